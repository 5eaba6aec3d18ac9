"""Inputs into requests: as many as the limits allow, in order, nothing lost.

The laws (property-tested): every input is in exactly one slice, order is kept, no slice is empty,
and no slice is over a limit unless it is a single input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

FEWEST_WORTH_SPREADING = 32
MOST_WORTH_SENDING_TOGETHER = 256
"""With these, texts are embedded soonest (see `benchmarks/`): smaller requests wait more often, the
answers to larger ones come late, and a few texts gain nothing from more requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: inputs, their weight together, and their bulk.

    What the bulk is, is the endpoint's affair: chunks, or bytes.
    """

    inputs: int
    estimated_tokens: float
    size: float = math.inf

    def spread(self, count: int | None, concurrency: int) -> Limits:
        """Smaller slices, so that work on so many inputs keeps `concurrency` requests busy.

        Args:
            count: How many inputs there are, None where nobody knows.
            concurrency: Requests in flight.
        """
        share = MOST_WORTH_SENDING_TOGETHER if count is None else math.ceil(count / concurrency)
        inputs = max(FEWEST_WORTH_SPREADING, min(share, MOST_WORTH_SENDING_TOGETHER))
        return Limits(min(self.inputs, inputs), self.estimated_tokens, self.size)


def _none(_: object) -> float:
    return 0.0


def pack(
    inputs: Iterable[tuple[T, float]],
    limits: Callable[[], Limits],
    size_of: Callable[[T], float] = _none,
) -> Iterator[list[tuple[T, float]]]:
    """Cut weighed inputs into slices, lazily. An input over a limit goes alone.

    `limits` is asked again for every slice, since they are learnt on the way.
    """
    held: list[tuple[T, float]] = []
    estimated_tokens = size = 0.0
    now = limits()
    for item in inputs:
        more = size_of(item[0])
        if held and (estimated_tokens + item[1] > now.estimated_tokens or size + more > now.size):
            yield held
            held, estimated_tokens, size, now = [], 0.0, 0.0, limits()
        held.append(item)
        estimated_tokens += item[1]
        size += more
        if len(held) >= now.inputs:  # sent without waiting for an input more
            yield held
            held, estimated_tokens, size, now = [], 0.0, 0.0, limits()
    if held:
        yield held
