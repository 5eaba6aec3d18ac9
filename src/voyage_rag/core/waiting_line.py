"""The order in which requests wait for a rate limit, and the pause after a 429."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from voyage_rag.core.sliding_window import Slot

FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 32.0
PROBE_TIMEOUT_SECONDS = 10.0

ASK_AGAIN_SECONDS = 0.5
ASK_AGAIN_SHARE = 0.1
"""A waiting request asks again after a tenth of its delay, at least half a second, because a query
may have overtaken it, or other requests may have cost less than expected."""

ABANDONED_AFTER_SECONDS = 5.0
"""A request that does not ask again within this time after its delay is overtaken by others."""


class WaitingLine:
    """Waiting requests: queries before requests of jobs, each in the order of their first asking.

    A request that does not ask again in time loses its place to others until it asks.
    """

    def __init__(self) -> None:
        self._queries: dict[Slot, float] = {}
        self._jobs: dict[Slot, float] = {}

    def __bool__(self) -> bool:
        return bool(self._queries or self._jobs)

    def join(self, slot: Slot, now: float) -> None:
        """Add a request, unless it waits already."""
        self._line_of(slot).setdefault(slot, now)

    def expect(self, slot: Slot, at: float) -> None:
        """Keep the place of a request that will ask again at this time."""
        self._line_of(slot)[slot] = at + ABANDONED_AFTER_SECONDS

    def leave(self, slot: Slot) -> None:
        """Remove a request, if it waits."""
        self._line_of(slot).pop(slot, None)

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


class Pause:
    """The pause after a 429. Afterwards, one request may probe whether the service accepts more.

    Attributes:
        ends_at: When it ends, or ended.
        count: Number of pauses since the last accepted request; each is twice as long.
        is_probing: Whether requests wait for the response to a probe.
        probed_at: When the last request was sent, which may be the probe.
    """

    def __init__(self) -> None:
        self.ends_at = self.probed_at = -inf
        self.count = 0
        self.is_probing = False

    def begin(self, now: float, at_least: float, asked: float, *, then_probe: bool) -> None:
        """Begin a pause of `asked` seconds, or of those that the number of pauses requires."""
        seconds = max(at_least, FIRST_PAUSE_SECONDS * 2.0 ** min(self.count, 10))
        self.ends_at = now + max(asked, min(MAX_PAUSE_SECONDS, seconds))
        self.count += 1
        self.is_probing = then_probe
        self.probed_at = -inf

    def is_active(self, now: float) -> bool:
        """Return whether requests must wait, or probe."""
        return self.is_probing or now < self.ends_at

    def awaits_probe(self, now: float) -> bool:
        """Return whether a probe was sent, whose response is still expected."""
        return self.is_probing and now < self.probed_at + PROBE_TIMEOUT_SECONDS

    def resume_time(self, now: float) -> float:
        """Return the time from which requests may be sent."""
        return max(now, self.ends_at)


def ask_again_after(delay: float) -> float:
    """Return the seconds after which a request with this delay asks again."""
    if delay == inf:
        return ASK_AGAIN_SECONDS
    return max(0.0, min(delay, max(ASK_AGAIN_SECONDS, ASK_AGAIN_SHARE * delay)))
