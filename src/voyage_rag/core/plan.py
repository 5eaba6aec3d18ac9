"""Inputs into requests: as many as the limits allow, in order, nothing lost.

The laws (property-tested): every input is in exactly one slice, order is kept, no slice is empty,
and no slice is over a limit unless it is a single input.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")

FEWEST_WORTH_SPREADING = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: inputs, and their weight together."""

    inputs: int
    weight: float

    def spread(self, count: int, weight: float, concurrency: int) -> Limits:
        """Smaller slices, so that this much work keeps `concurrency` requests busy."""
        if count <= FEWEST_WORTH_SPREADING:
            return self
        inputs = max(FEWEST_WORTH_SPREADING, math.ceil(count / concurrency))
        share = max(weight * FEWEST_WORTH_SPREADING / count, weight / concurrency)
        return replace(self, inputs=min(self.inputs, inputs), weight=min(self.weight, share * 1.1))


def pack(inputs: Iterable[tuple[T, float]], limits: Limits) -> Iterator[list[tuple[T, float]]]:
    """Cut weighed inputs into slices, lazily. An input over the weight limit goes alone."""
    held: list[tuple[T, float]] = []
    weight = 0.0
    for item in inputs:
        if held and (len(held) >= limits.inputs or weight + item[1] > limits.weight):
            yield held
            held, weight = [], 0.0
        held.append(item)
        weight += item[1]
    if held:
        yield held
