"""What all embedding endpoints have in common: a slice of inputs, recalled or asked for, halved.

A verb says how its inputs are written, read, kept and cut, as a `Call`; `sliced` is the
conversation.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from voyage_rag.core.failures import concerning, is_too_much
from voyage_rag.core.http import About, Remember, Tell, recall
from voyage_rag.core.retry import retrying
from voyage_rag.errors import VoyageError
from voyage_rag.events import BatchSplit, Billed
from voyage_rag.types import Usage

if TYPE_CHECKING:
    from voyage_rag.core.budget import Budget
    from voyage_rag.core.http import Flow, Request
    from voyage_rag.core.plan import Limits
    from voyage_rag.core.terms import Terms
    from voyage_rag.core.tokens import TokenRatio
    from voyage_rag.core.wire import Embedded, EmbedOptions
    from voyage_rag.events import Verb
    from voyage_rag.models import Model

SLOW = 60.0
"""Seconds from which a person wants to know why, and how long."""


class Piece(Protocol):
    """What a request holds several of."""

    @property
    def place(self) -> Hashable:
        """Tells it from all others of the call."""

    @property
    def position(self) -> int:
        """The position of the input it is (a part of) in the caller's list."""

    @property
    def weight(self) -> float:
        """What it weighs."""


Item = TypeVar("Item", bound=Piece)
Value = TypeVar("Value")


@dataclass(slots=True)
class Gathered(Generic[Value]):
    """What has come in of one call.

    Attributes:
        expected: How many inputs there are.
        weight_left: What those weigh that are not there yet.
        values: What is there, by place.
        usage: What it cost.
        told: Whether the user knows that it takes long.
    """

    expected: int
    weight_left: float
    values: dict[Hashable, Value] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    told: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, items: Sequence[Piece], values: Sequence[Value], usage: Usage) -> None:
        """Keep the values of one answer."""
        for item, value in zip(items, values, strict=True):
            self.values[item.place] = value
        with self._lock:
            self.weight_left -= sum(item.weight for item in items)
            self.usage += usage


@dataclass(frozen=True, slots=True)
class Call(ABC, Generic[Item, Value]):
    """One call of a verb: what holds for all its slices."""

    terms: Terms
    options: EmbedOptions
    row: Model
    budget: Budget
    ratio: TokenRatio

    def about(self, verb: Verb, inputs: int | None) -> About:
        """What it is, to speak of."""
        return About(verb, self.row.name, inputs, self.options.expected_dimension)

    @abstractmethod
    def limits(self, count: int | None) -> Limits:
        """What the next request may hold, of so many inputs."""

    @abstractmethod
    def request(self, items: Sequence[Item]) -> Request:
        """What asks for these."""

    @abstractmethod
    def read(self, body: bytes, items: Sequence[Item]) -> Embedded[Value]:
        """The answer to that, or `UnexpectedAnswerError`."""

    @abstractmethod
    def key(self, item: Item) -> bytes:
        """Under which the cache keeps its value."""

    @abstractmethod
    def to_bytes(self, value: Value) -> bytes:
        """A value as the cache keeps it."""

    @abstractmethod
    def from_bytes(self, stored: bytes) -> Value:
        """The value that was kept."""

    def done(self, items: Sequence[Item]) -> int:
        """How many of the caller's inputs are done when these are."""
        return len(items)

    def tokens(self, weight: float) -> int:
        """What so much weight is expected to cost."""
        return self.ratio.tokens(weight)

    def learn(self, items: Sequence[Item], answer: Embedded[Value]) -> None:
        """Take note of what an answer cost."""
        unbilled = len(items) * bool(self.options.input_type)
        self.ratio.learn(sum(item.weight for item in items), answer.total_tokens + unbilled)

    def cut(
        self,
        items: Sequence[Item],
        failure: VoyageError | None,  # noqa: ARG002 - others look at it
    ) -> list[Sequence[Item]]:
        """Smaller slices instead of one that is too large; none if it cannot be made smaller."""
        middle = len(items) // 2
        return [items[:middle], items[middle:]] if middle else []

    def blame(self, failure: VoyageError, items: Sequence[Item]) -> VoyageError:
        """The failure, with the caller's inputs it is about."""
        positions = [item.position for item in items]
        return concerning(failure, positions, [self.tokens(item.weight) for item in items])

    def is_too_much(self, failure: VoyageError, tokens: float) -> bool:
        """Whether a smaller request would be accepted."""
        return is_too_much(failure, self.budget.pace, tokens)


def sliced(
    call: Call[Item, Value], items: Sequence[Item], gathered: Gathered[Value] | None
) -> Flow[list[tuple[Item, Value]]]:
    """The values of one slice, of the cache and of the service, in no particular order."""
    found: list[tuple[Item, Value]] = []
    if call.terms.caching and items:
        found = yield from _recalled(call, items, gathered)
        known = {item.place for item, _ in found}
        items = [item for item in items if item.place not in known]
    if items:
        found += yield from _requested(call, items, gathered)
    return found


def _recalled(
    call: Call[Item, Value], items: Sequence[Item], gathered: Gathered[Value] | None
) -> Flow[list[tuple[Item, Value]]]:
    keys = [call.key(item) for item in items]
    stored = yield from recall(keys)
    hits = [
        (item, call.from_bytes(stored[key]))
        for item, key in zip(items, keys, strict=True)
        if key in stored
    ]
    call.terms.recalled(call.done([item for item, _ in hits]))
    if gathered is not None:
        gathered.add([item for item, _ in hits], [value for _, value in hits], Usage())
    return hits


def _requested(
    call: Call[Item, Value], items: Sequence[Item], gathered: Gathered[Value] | None
) -> Flow[list[tuple[Item, Value]]]:
    """Ask the service; cut the slice for as long as it is too much for one request."""
    weight = sum(item.weight for item in items)
    tokens = call.tokens(weight)
    tell_if_slow(call, gathered)
    failure: VoyageError | None = None
    if len(items) == 1 or not call.budget.pace.never_takes(tokens):
        try:
            return (yield from _answered(call, items, weight, gathered))
        except VoyageError as error:
            if not call.is_too_much(error, tokens):
                raise call.blame(error, items)  # noqa: B904 - the error itself, with its cause
            failure = error
    parts = call.cut(items, failure)
    if failure is not None and not parts:
        raise call.blame(failure, items)
    if call.terms.observed:
        status = None if failure is None else failure.http_status
        yield Tell(partial(BatchSplit, inputs=len(items), parts=len(parts), status=status))
    found: list[tuple[Item, Value]] = []
    for part in parts:
        found += yield from sliced(call, part, gathered)
    return found


def _answered(
    call: Call[Item, Value],
    items: Sequence[Item],
    weight: float,
    gathered: Gathered[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    terms = call.terms
    read = partial(call.read, items=items)
    tokens = partial(call.tokens, weight)
    answer = yield from retrying(call.request(items), read, terms.policy, call.budget.pace, tokens)
    call.learn(items, answer)
    usage = answer.usage.of(call.row.name)
    terms.answered(call.done(items), usage)
    if terms.observed:
        yield Tell(partial(Billed, inputs=len(items), usage=usage))
    if gathered is not None:
        gathered.add(items, answer.vectors, usage)
        tell_if_slow(call, gathered)
    if terms.caching:
        keys = map(call.key, items)
        yield Remember(dict(zip(keys, map(call.to_bytes, answer.vectors), strict=True)))
    return list(zip(items, answer.vectors, strict=True))


def tell_if_slow(call: Call[Item, Value], gathered: Gathered[Value] | None) -> None:
    """Say once that a rate limit makes this a matter of minutes."""
    pace = call.budget.pace
    if gathered is None or gathered.told or not pace.known:
        return
    limits = call.limits(gathered.expected)
    by_weight = round(gathered.weight_left / max(1.0, limits.weight))
    by_count = round((gathered.expected - len(gathered.values)) / limits.inputs)
    requests = max(1, by_weight, by_count)
    seconds = pace.forecast(call.tokens(gathered.weight_left), requests)
    if seconds > SLOW:
        gathered.told = True
        call.terms.slowed(seconds, pace.limits, call.row.name)
