"""Inputs into requests: as many as the limits allow, in order, nothing lost.

The laws (property-tested): every input is in exactly one slice, order is kept, no slice is empty,
and no slice is over a limit unless it is a single input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")

FEWEST_WORTH_SPREADING = 32
MOST_WORTH_SENDING_TOGETHER = 128
"""More texts in one request save little, and wait longer for each other (see `benchmarks/`)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: inputs, and their weight together."""

    inputs: int
    weight: float

    def spread(self, count: int | None, concurrency: int) -> Limits:
        """Smaller slices, so that work on so many inputs keeps `concurrency` requests busy.

        Args:
            count: How many inputs there are, None where nobody knows.
            concurrency: Requests in flight.
        """
        share = MOST_WORTH_SENDING_TOGETHER if count is None else math.ceil(count / concurrency)
        inputs = max(FEWEST_WORTH_SPREADING, min(share, MOST_WORTH_SENDING_TOGETHER))
        return replace(self, inputs=min(self.inputs, inputs))


def pack(
    inputs: Iterable[tuple[T, float]], limits: Callable[[], Limits]
) -> Iterator[list[tuple[T, float]]]:
    """Cut weighed inputs into slices, lazily. An input over the weight limit goes alone.

    `limits` is asked again for every slice, since they are learnt on the way.
    """
    held: list[tuple[T, float]] = []
    weight = 0.0
    now = limits()
    for item in inputs:
        if held and (len(held) >= now.inputs or weight + item[1] > now.weight):
            yield held
            held, weight, now = [], 0.0, limits()
        held.append(item)
        weight += item[1]
    if held:
        yield held
