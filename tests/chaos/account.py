"""Who was paid for what: the emulator's record of requests, read as an account.

Every text has to be answered soundly exactly once for each purpose. An answer that a fault spoiled
or lost was paid for, too: that is what the fault forced, and nothing else may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from voyage_rag.emulator import ReceivedRequest, faults
from voyage_rag.emulator.faults import DeliveryFault, Fault

STAYS_SOUND = (faults.REORDERED, faults.CLOSED)
ONLY_OF_VECTORS = (faults.SHORT_VECTOR, faults.WRONG_DTYPE)


@dataclass(frozen=True)
class Account:
    """What a run cost.

    Attributes:
        requests: All that came in.
        faults: How often each kind was met.
        retries: Requests that got no sound answer.
        paid: How often each text was answered, soundly or not.
        sound: How often soundly.
        tokens: Billed for sound answers.
    """

    requests: int
    faults: Counter[str]
    retries: int
    paid: Counter[Hashable]
    sound: Counter[Hashable]
    tokens: int

    @property
    def forced(self) -> int:
        """Number of texts that were paid for again because a fault lost or damaged the response."""
        return (self.paid - self.sound).total()

    def grievances(self, due: Iterable[Hashable]) -> list[str]:
        """Return what is wrong with the account if each of these texts needs a result."""
        once = Counter(due)
        return [
            *(f"never answered: {text!r}" for text in (once - self.sound)),
            *(f"paid again without a fault: {text!r}" for text in (self.sound - once)),
        ]


def account_of(requests: Sequence[ReceivedRequest]) -> Account:
    """Return the account of an emulator's requests."""
    paid: Counter[Hashable] = Counter()
    sound: Counter[Hashable] = Counter()
    met: Counter[str] = Counter()
    answered = tokens = 0
    for request in requests:
        if request.fault is not None:
            met[request.fault.name] += 1
        if request.tokens is None:
            continue
        texts = list(_texts(request.path, request.body))
        paid.update(texts)
        if _is_sound(request, texts):
            answered += 1
            tokens += request.tokens
            sound.update(texts)
    return Account(len(requests), met, len(requests) - answered, paid, sound, tokens)


def _texts(path: str, body: Any) -> Iterator[Hashable]:
    match body:
        case {"input": str(text)}:
            yield path, text
        case {"input": texts}:
            yield from ((path, text) for text in texts)
        case {"inputs": documents}:
            yield from ((path, text) for document in documents for text in document)
        case {"query": query, "documents": texts}:
            yield from ((path, query, text) for text in texts)


def _is_sound(request: ReceivedRequest, texts: Sequence[Hashable]) -> bool:
    """Whether a billed response reached the client complete and undamaged."""
    fault: Fault | None = request.fault
    if fault is None or fault in STAYS_SOUND:
        return True
    if isinstance(fault, DeliveryFault):
        return fault.name == "trickled"
    if fault in ONLY_OF_VECTORS:
        return request.path.endswith("/rerank")
    return fault is faults.DUPLICATED and _items(request) == 1


def _items(request: ReceivedRequest) -> int:
    """Return the number of results that a fault can damage (of the first document, if any)."""
    if "inputs" in request.body:
        return len(request.body["inputs"][0])
    return len(request.body.get("input", request.body.get("documents")))
