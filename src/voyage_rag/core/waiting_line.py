"""Requests that wait for a rate limit, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from voyage_rag.core.sliding_window import Slot

ASK_AGAIN_SECONDS = 0.5
ASK_AGAIN_SHARE = 0.1
"""A waiting request asks again after a tenth of its delay, at least half a second, because a query
may have overtaken it, or other requests may have cost less than expected."""

ABANDONED_AFTER_SECONDS = 5.0
"""A request that does not ask again within this time after its delay is overtaken by others."""


class WaitingLine:
    """Waiting requests: queries before requests of jobs, each in the order of their first asking.

    A request that does not ask again in time loses its place to others until it asks.

    Attributes:
        count: Number of requests.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self._queries: dict[Slot, float] = {}
        self._jobs: dict[Slot, float] = {}

    def join(self, slot: Slot, now: float) -> None:
        """Add a request, unless it waits already."""
        self._line_of(slot).setdefault(slot, now)
        self._recount()

    def expect(self, slot: Slot, at: float) -> None:
        """Keep the place of a request that will ask again at this time."""
        self._line_of(slot)[slot] = at + ABANDONED_AFTER_SECONDS

    def leave(self, slot: Slot) -> None:
        """Remove a request, if it waits."""
        self._line_of(slot).pop(slot, None)
        self._recount()

    def ahead_of(self, slot: Slot, now: float) -> Iterator[Slot]:
        """Return the requests that are sent before another one."""
        for line in (self._queries,) if slot.is_query else (self._queries, self._jobs):
            for other, asks_by in line.items():
                if other is slot:
                    return
                if now <= asks_by:
                    yield other

    def _line_of(self, slot: Slot) -> dict[Slot, float]:
        return self._queries if slot.is_query else self._jobs

    def _recount(self) -> None:
        self.count = len(self._queries) + len(self._jobs)


def ask_again_after(delay: float) -> float:
    """Return the seconds after which a request with this delay asks again."""
    if delay == inf:
        return ASK_AGAIN_SECONDS
    return max(0.0, min(delay, max(ASK_AGAIN_SECONDS, ASK_AGAIN_SHARE * delay)))
