"""Divide inputs among requests: as many in each as the limits allow, in order.

Invariants (property-tested): every input is in exactly one slice, order is kept, no slice is empty,
and no slice is over a limit unless it is a single input.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from voyage_rag.core.flow import HasTokens

MIN_SPREAD_INPUTS = 32
MAX_SPREAD_INPUTS = 256
"""The fastest sizes (see `benchmarks/`): smaller requests wait more often, and the responses to
larger ones arrive late.
"""

TOKENS_OF_A_SMALL_REQUEST, MAX_SMALL_REQUESTS = 8_000, 2
"""A job that fits into this number of small requests is not spread: it takes one round trip."""

SCARCE_REQUESTS_PER_MINUTE, SCARCE_SHARE = 600, 0.5
"""Requests are scarce under a low limit, or under one of which a job would use half."""


def are_scarce(requests_per_minute: float | None, requests: float = 0) -> bool:
    """Return whether a job with this number of requests should send as few as possible."""
    return requests_per_minute is not None and requests_per_minute <= max(
        SCARCE_REQUESTS_PER_MINUTE, requests / SCARCE_SHARE
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request.

    Attributes:
        inputs: Maximum number of inputs.
        estimated_tokens: Maximum of their tokens, before the ratio of the model is applied.
        size: Maximum of their sizes, in the unit of the endpoint: chunks or bytes.
    """

    inputs: int
    estimated_tokens: float
    size: float = math.inf

    def requests_for(self, inputs: int, estimated_tokens: float) -> int:
        """Return the approximate number of requests for this amount of work."""
        by_tokens = estimated_tokens / max(1.0, self.estimated_tokens)
        return max(1, round(by_tokens), round(inputs / self.inputs))

    def spread(
        self,
        count: int | None,
        estimated_tokens: float,
        concurrency: int,
        requests_per_minute: float | None = None,
    ) -> Limits:
        """Return limits of smaller slices, so that a job uses `concurrency` requests.

        Small jobs are not spread, nor are jobs under a low limit of requests.

        Args:
            count: Number of inputs; None if it is unknown.
            estimated_tokens: Conservative estimate of their tokens.
            concurrency: Number of concurrent requests.
            requests_per_minute: The limit of the budget; None if it is unknown.
        """
        share = MAX_SPREAD_INPUTS if count is None else math.ceil(count / concurrency)
        inputs = max(MIN_SPREAD_INPUTS, min(share, MAX_SPREAD_INPUTS))
        if are_scarce(requests_per_minute, (count or 0) / inputs):
            return self
        small_requests = estimated_tokens / TOKENS_OF_A_SMALL_REQUEST
        if count is not None and small_requests <= MAX_SMALL_REQUESTS:
            inputs = max(inputs, math.ceil(count / max(1, math.ceil(small_requests))))
        return Limits(min(self.inputs, inputs), self.estimated_tokens, self.size)


Item = TypeVar("Item", bound=HasTokens)


def slices(
    items: Iterable[Item],
    limits: Callable[[], Limits],
    size_of: Callable[[Item], float] | None = None,
) -> Iterator[list[Item]]:
    """Divide items among requests, lazily and in order. An item above a limit is sent alone.

    `limits` is called for every slice, because responses improve the estimate. A deque is emptied
    during the iteration, so that its items can be freed.
    """
    current: list[Item] = []
    estimated_tokens = size = 0.0
    now = limits()
    for item in _emptied(items) if isinstance(items, deque) else items:
        tokens = item.estimated_tokens
        more = size_of(item) if size_of else 0.0
        if current and (estimated_tokens + tokens > now.estimated_tokens or size + more > now.size):
            yield current
            current, estimated_tokens, size, now = [], 0.0, 0.0, limits()
        current.append(item)
        estimated_tokens += tokens
        size += more
        if len(current) >= now.inputs:  # sent without waiting for another input
            yield current
            current, estimated_tokens, size, now = [], 0.0, 0.0, limits()
    if current:
        yield current


def _emptied(items: deque[Item]) -> Iterator[Item]:
    while items:
        yield items.popleft()


@dataclass(slots=True)
class Rejected:
    """The requests of one call that a 429 rejected. They wait for the limit one after another.

    Otherwise a request would wait for all the others, for which its total timeout is too short.

    Attributes:
        accepted_at: When the service last accepted a request of the call.
        first: The request that waits for the limit.
    """

    accepted_at: float = -math.inf
    first: object = None
