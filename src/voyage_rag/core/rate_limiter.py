"""Who may send when. Books time, never spends it.

One `RateLimiter` stands for one budget of the account: a host, a key and a model. Requests of every
thread, task and object that share the budget book their turns here.

Limits that are known, because the user gave them or a 429 named them, are kept in every minute: a
turn is booked only where the minute before it has room. Limits that are not known are discovered.
Between two refusals the service has taken exactly what the account allows, so what was accepted in
that time is the rate to go on with, as far as it was asked for anything; it rises slowly until the
next refusal, and faster if none comes in a minute. After a refusal one request at a time probes
whether the service takes anything again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from voyage_rag.core.rate_limits import RateLimits, ThroughputMeter, scaled, stricter
from voyage_rag.locks import Lock

Clock = Callable[[], float]
"""Seconds on a clock that never goes back."""

Estimate = Callable[[], float]
"""The tokens a request is expected to cost, by all that is known when it is asked."""

WINDOW = 60.5
"""Voyage counts per minute (docs: "Rate Limits"); half a second is left for the way there."""

BURST = 1.0
"""Seconds' worth that may leave at once after a pause, or two requests if they are worth more."""

CAUTION = 0.95
GROWTH_PER_SECOND = 0.01
IMPATIENT_AFTER = 60.0
"""Seconds without a refusal after which a rate rises twice as fast, and then ever faster: what was
met once may have passed, or was not the account's limit at all."""
FIRST_HOLD = 0.5
LONGEST_HOLD = 32.0
ASK_AGAIN = 0.5
PROBE_PATIENCE = 10.0


class Reservation:
    """One attempt's place in the queue of its budget.

    Attributes:
        tokens: What it was expected to cost when it was booked.
        sent_at: When it was let go, None while it waits.
    """

    __slots__ = ("_booked", "_estimate", "_generation", "_not_before", "_pace", "sent_at", "tokens")

    def __init__(self, pace: RateLimiter, estimate: Estimate, not_before: float) -> None:
        self._pace = pace
        self._estimate = estimate
        self._not_before = not_before
        self._generation = -1
        self._booked: Slot | None = None
        self.tokens = 0.0
        self.sent_at: float | None = None

    def wait(self) -> float:
        """Seconds until the attempt may leave, or until it should ask again; 0 means it leaves."""
        now = self._pace.now()
        if now < self._not_before:
            return self._not_before - now
        if (
            self._booked is None
            or self._booked.at == inf
            or self._generation != self._pace.generation
        ):
            self._generation = self._pace.generation
            self.tokens = self._estimate()
            self._booked = self._pace.place(self.tokens)
        delay = self._pace.delay(self._booked)
        if delay <= 0:
            self.sent_at = now
            return 0.0
        return delay

    def held(self) -> float:
        """Seconds its place in the queue, and no delay of its own, makes it wait; maybe inf."""
        if self._booked is None or self.sent_at is not None:
            return 0.0
        return max(0.0, self._booked.at - self._pace.now())

    def age(self) -> float:
        """Seconds since it left."""
        return 0.0 if self.sent_at is None else self._pace.now() - self.sent_at

    def accepted(self, tokens: int) -> None:
        """The service took it, and billed so many tokens."""
        self._pace.accepted(self._booked, self.tokens, tokens)

    def refused(self, retry_after: float | None, named: RateLimits) -> None:
        """The service refused it for the rate, and may want nothing for so many seconds."""
        self._pace.refused(self._generation, retry_after, named)


class Slot:
    """A time in the queue, and what was booked for it."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: float) -> None:
        self.at = at
        self.tokens = tokens


class RateLimiter:
    """The turns of one budget.

    Attributes:
        now: The clock.
        era: Counts the refusals; a turn that was booked in an earlier era is booked anew.
        limits: What is kept to now.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock
        self.generation = 0
        self.limits = RateLimits()
        self._given = RateLimits()
        self._ceiling = RateLimits()
        self._lock = Lock()
        self._booked: deque[Slot] = deque()
        self._full_at = -inf
        self._held_until = -inf
        self._holds = 0
        self._probing = False
        self._accepted = ThroughputMeter(self.now())
        self._last_event_at = self._grown_at = self._refused_at = self.now()

    def book(self, tokens: float | Estimate, delay: float = 0.0) -> Reservation:
        """A turn, `delay` seconds from now or later; its place is booked when it first waits."""
        estimate = tokens if callable(tokens) else lambda: tokens
        return Reservation(self, estimate, self.now() + delay)

    def keep_to(self, limits: RateLimits) -> None:
        """Keep to limits that the user gives."""
        with self._lock:
            if limits and limits != self._given:
                self._given = self.limits = self._ceiling = limits
                self._new_generation(self.now())

    @property
    def known(self) -> bool:
        """Whether the limits were given or named, and not discovered."""
        return bool(self._ceiling)

    @property
    def is_open(self) -> bool:
        """Whether nobody has to wait: no limit is known, and none was met just now."""
        return not self.limits and not self._probing and self.now() >= self._held_until

    def forecast(self, tokens: float, requests: int) -> float:
        """Seconds that so much work takes at the limits."""
        return self.limits.seconds(tokens / max(1, requests)) * requests

    def exceeds_minute_limit(self, tokens: float) -> bool:
        """Whether one request with so many tokens is more than a whole minute's allowance."""
        return self.known and tokens > (self.limits.tokens_per_minute or inf)

    def place(self, tokens: float) -> Slot:
        """Find the first time that has room, and take it."""
        with self._lock:
            now = self.now()
            self._forget(now)
            if self._was_idle(now):
                self._accepted.idle(now - self._last_event_at)
            self._last_event_at = now
            if self._probing and self._is_probed(now):
                return Slot(inf, tokens)
            cost = self.limits.seconds(tokens)
            at = max(now, self._held_until, self._full_at - max(BURST, cost))
            if self.known:
                at = self._first_with_room(at, tokens)
            self._full_at = max(self._full_at, at) + cost
            booking = Slot(at, tokens)
            self._booked.append(booking)
            return booking

    def delay(self, booking: Slot) -> float:
        """Seconds until a booking's time; at most a moment while it or the limits are not known."""
        delay = booking.at - self.now()
        return delay if self.known and delay < inf else min(delay, ASK_AGAIN)

    def accepted(self, booking: Slot | None, expected: float, billed: int) -> None:
        """The service took a request: correct what was booked, and let the rate rise."""
        with self._lock:
            now = self._last_event_at = self.now()
            if booking is not None:
                self._full_at -= self.limits.seconds(expected) - self.limits.seconds(billed)
                booking.tokens = billed
            self._accepted.add(now, billed)
            self._holds = 0
            if self._probing:
                self._probing = False
                self._grown_at = now
                self._new_generation(now)
            self._grow(now)

    def refused(self, generation: int, retry_after: float | None, named: RateLimits) -> None:
        """The service refused a request. Of those that left together only the first counts."""
        with self._lock:
            now = self._last_event_at = self.now()
            if generation != self.generation:
                return
            self._refused_at = now
            if named:
                self.limits = self._ceiling = stricter(named, self._given)
            else:
                self._slow_down(now)
            self._holds += 1
            self._held_until = now + max(retry_after or 0.0, _hold(self._holds))
            self._probing = not named
            self._new_generation(now)

    def _new_generation(self, now: float) -> None:
        self.generation += 1
        self._full_at = max(now, self._held_until) + BURST
        while self._booked and self._booked[-1].at > now:
            self._booked.pop()

    def _slow_down(self, now: float) -> None:
        if self.known:
            self.limits = scaled(self.limits, CAUTION)
        elif taken := self._accepted.rate_at_refusal(now):
            self.limits = scaled(taken, CAUTION)

    def _grow(self, now: float) -> None:
        if self.limits and self.limits != self._ceiling:
            impatience = 1 + ((now - self._refused_at) / IMPATIENT_AFTER) ** 4
            growth = GROWTH_PER_SECOND * impatience * (now - self._grown_at)
            grown = scaled(self.limits, 1 + min(1.0, growth))
            is_forgotten = grown.is_beyond_all and not self.known
            self.limits = RateLimits() if is_forgotten else stricter(grown, self._ceiling)
        self._grown_at = now

    def _was_idle(self, now: float) -> bool:
        """Whether nobody has waited for a turn since the last event."""
        waits = self._booked and self._booked[-1].at > self._last_event_at
        return not self._probing and now >= self._held_until and not waits

    def _is_probed(self, now: float) -> bool:
        return any(
            self._held_until <= booking.at and now < booking.at + PROBE_PATIENCE
            for booking in self._booked
        )

    def _forget(self, now: float) -> None:
        while self._booked and self._booked[0].at <= now - WINDOW:
            self._booked.popleft()

    def _first_with_room(self, at: float, tokens: float) -> float:
        inside = [booking for booking in self._booked if booking.at > at - WINDOW]
        count, total = len(inside), sum(booking.tokens for booking in inside)
        most_requests = self.limits.requests_per_minute or inf
        most_tokens = self.limits.tokens_per_minute or inf
        for booking in inside:
            if count + 1 <= most_requests and total + tokens <= most_tokens:
                break
            count, total = count - 1, total - booking.tokens
            at = max(at, booking.at + WINDOW)
        return at


def _hold(refusals: int) -> float:
    return float(min(LONGEST_HOLD, FIRST_HOLD * 2.0 ** min(refusals - 1, 10)))
