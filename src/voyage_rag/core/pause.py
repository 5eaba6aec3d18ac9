"""The pause of a budget after a 429."""

from __future__ import annotations

from math import inf

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 32.0
PROBE_TIMEOUT_SECONDS = 10.0


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

    def awaits_probe(self, now: float) -> bool:
        """Return whether a probe was sent, whose response is still expected."""
        return self.is_probing and now < self.probed_at + PROBE_TIMEOUT_SECONDS

    def resume_time(self, now: float) -> float:
        """Return the time from which requests may be sent."""
        return max(now, self.ends_at)
