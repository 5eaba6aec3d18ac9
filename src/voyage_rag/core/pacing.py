"""Who may send when. Books time, never spends it.

One `Pace` stands for one budget of the account: a host, a key and a model. Requests of every
thread, task and object that share the budget book their turns here.

Limits that are known, because the user gave them or a 429 named them, are kept in every minute: a
turn is booked only where the minute before it has room. Limits that are not known are discovered.
Between two refusals the service has taken exactly what the account allows, so what was accepted in
that time is the rate to go on with; it rises slowly until the next refusal. After a refusal one
request at a time probes whether the service takes anything again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

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
MEASURED_SPAN = 10.0
FIRST_HOLD = 0.5
LONGEST_HOLD = 32.0
ASK_AGAIN = 0.5
PROBE_PATIENCE = 10.0
TOKENS_BIND_FROM = 2_000.0
"""Tokens per request from which a refusal without a reason is taken to be about tokens: tier 1 has
2,000 requests and 3 to 16 million tokens a minute."""

NAMED_REQUESTS = re.compile(r"RPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_TOKENS = re.compile(r"TPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_FREE_TIER = re.compile(
    r"\b([1-9][0-9,]{0,12})\s*RPM and\s*([1-9][0-9,]{0,9})\s*K\s*TPM", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What an account may send in a minute, None where it is not known.

    Attributes:
        requests_per_minute: Requests.
        tokens_per_minute: Tokens.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __bool__(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def seconds(self, tokens: float) -> float:
        """How much of a minute one request with so many tokens takes up."""
        return 60.0 * max(
            1 / (self.requests_per_minute or inf), tokens / (self.tokens_per_minute or inf)
        )

    def __str__(self) -> str:
        told = []
        if self.requests_per_minute is not None:
            told.append(f"{self.requests_per_minute:,.0f} requests")
        if self.tokens_per_minute is not None:
            told.append(f"{self.tokens_per_minute:,.0f} tokens")
        return " and ".join(told) + " per minute"


def limits_named(detail: str) -> RateLimits:
    """The limits that the text of a 429 names: the free tier's, or one of Atlas's."""
    if free := NAMED_FREE_TIER.search(detail):
        return RateLimits(_number(free[1]), 1_000 * _number(free[2]))
    requests, tokens = NAMED_REQUESTS.search(detail), NAMED_TOKENS.search(detail)
    return RateLimits(requests and _number(requests[1]), tokens and _number(tokens[1]))


def _number(text: str) -> float:
    return float(text.replace(",", ""))


class Turn:
    """One attempt's place in the queue of its budget.

    Attributes:
        tokens: What it was expected to cost when it was booked.
        sent_at: When it was let go, None while it waits.
    """

    __slots__ = ("_booked", "_era", "_estimate", "_not_before", "_pace", "sent_at", "tokens")

    def __init__(self, pace: Pace, estimate: Estimate, not_before: float) -> None:
        self._pace = pace
        self._estimate = estimate
        self._not_before = not_before
        self._era = -1
        self._booked: Booking | None = None
        self.tokens = 0.0
        self.sent_at: float | None = None

    def wait(self) -> float:
        """Seconds until the attempt may leave, or until it should ask again; 0 means it leaves."""
        now = self._pace.now()
        if now < self._not_before:
            return self._not_before - now
        if self._booked is None or self._booked.at == inf or self._era != self._pace.era:
            self._era = self._pace.era
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
        self._pace.refused(self._era, retry_after, named)


class Booking:
    """A time in the queue, and what was booked for it."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: float) -> None:
        self.at = at
        self.tokens = tokens


class Pace:
    """The turns of one budget.

    Attributes:
        now: The clock.
        era: Counts the refusals; a turn that was booked in an earlier era is booked anew.
        limits: What is kept to now.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock
        self.era = 0
        self.limits = RateLimits()
        self._given = RateLimits()
        self._ceiling = RateLimits()
        self._lock = Lock()
        self._booked: deque[Booking] = deque()
        self._full_at = -inf
        self._held_until = -inf
        self._holds = 0
        self._probing = False
        self._accepted = Accepted(self.now())
        self._grown_at = self.now()

    def book(self, tokens: float | Estimate, delay: float = 0.0) -> Turn:
        """A turn, `delay` seconds from now or later; its place is booked when it first waits."""
        estimate = tokens if callable(tokens) else lambda: tokens
        return Turn(self, estimate, self.now() + delay)

    def keep_to(self, limits: RateLimits) -> None:
        """Keep to limits that the user gives."""
        with self._lock:
            if limits and limits != self._given:
                self._given = self.limits = self._ceiling = limits
                self._new_era(self.now())

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

    def never_takes(self, tokens: float) -> bool:
        """Whether one request with so many tokens is more than a whole minute's allowance."""
        return self.known and tokens > (self.limits.tokens_per_minute or inf)

    def place(self, tokens: float) -> Booking:
        """Find the first time that has room, and take it."""
        with self._lock:
            now = self.now()
            self._forget(now)
            if self._probing and self._is_probed(now):
                return Booking(inf, tokens)
            cost = self.limits.seconds(tokens)
            at = max(now, self._held_until, self._full_at - max(BURST, cost))
            if self.known:
                at = self._first_with_room(at, tokens)
            self._full_at = max(self._full_at, at) + cost
            booking = Booking(at, tokens)
            self._booked.append(booking)
            return booking

    def delay(self, booking: Booking) -> float:
        """Seconds until a booking's time; at most a moment while it or the limits are not known."""
        delay = booking.at - self.now()
        return delay if self.known and delay < inf else min(delay, ASK_AGAIN)

    def accepted(self, booking: Booking | None, expected: float, billed: int) -> None:
        """The service took a request: correct what was booked, and let the rate rise."""
        with self._lock:
            now = self.now()
            if booking is not None:
                self._full_at -= self.limits.seconds(expected) - self.limits.seconds(billed)
                booking.tokens = billed
            self._accepted.add(now, billed)
            self._holds = 0
            if self._probing:
                self._probing = False
                self._new_era(now)
            self._grow(now)

    def refused(self, era: int, retry_after: float | None, named: RateLimits) -> None:
        """The service refused a request. Of those that left together only the first counts."""
        with self._lock:
            now = self.now()
            if era != self.era:
                return
            if named:
                self.limits = self._ceiling = _stricter(named, self._given)
            else:
                self._slow_down(now)
            self._holds += 1
            self._held_until = now + max(retry_after or 0.0, _hold(self._holds))
            self._probing = not named
            self._new_era(now)

    def _new_era(self, now: float) -> None:
        self.era += 1
        self._full_at = max(now, self._held_until) + BURST
        while self._booked and self._booked[-1].at > now:
            self._booked.pop()

    def _slow_down(self, now: float) -> None:
        if self.known:
            self.limits = _scaled(self.limits, CAUTION)
        elif taken := self._accepted.rate_at_refusal(now):
            self.limits = _scaled(taken, CAUTION)

    def _grow(self, now: float) -> None:
        if self.limits and self.limits != self._ceiling:
            grown = _scaled(self.limits, 1 + GROWTH_PER_SECOND * min(1, now - self._grown_at))
            self.limits = _stricter(grown, self._ceiling)
        self._grown_at = now

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


class Accepted:
    """What the service has taken: in the last minute, and between refusals."""

    def __init__(self, now: float) -> None:
        self._requests = 0
        self._tokens = 0
        self._last_minute: deque[tuple[float, int]] = deque()
        self._marks = deque([(now, 0, 0)])
        self._unmeasured = True

    def add(self, now: float, tokens: int) -> None:
        """One more request."""
        self._last_minute.append((now, tokens))
        self._requests += 1
        self._tokens += tokens
        while self._last_minute[0][0] <= now - 60:
            self._last_minute.popleft()

    def rate_at_refusal(self, now: float) -> RateLimits | None:
        """What it takes in a minute, in the unit that is likely to bind; None if it took nothing.

        At least what it took in the last minute; more, if it took more for its time since a refusal
        some seconds ago. The first measurement, which holds what had been saved up, is used once.
        """
        while len(self._marks) > 1 and self._marks[0][0] < now - MEASURED_SPAN:
            self._marks.popleft()
        since, requests_then, tokens_then = self._marks[0]
        requests: float = len(self._last_minute)
        tokens: float = sum(tokens for _, tokens in self._last_minute)
        if self._requests > requests_then and now > since:
            requests = max(requests, 60 * (self._requests - requests_then) / (now - since))
            tokens = max(tokens, 60 * (self._tokens - tokens_then) / (now - since))
        if self._unmeasured:
            self._unmeasured = False
            self._marks.clear()
        self._marks.append((now, self._requests, self._tokens))
        if not requests:
            return None
        if tokens / requests >= TOKENS_BIND_FROM:
            return RateLimits(tokens_per_minute=tokens)
        return RateLimits(requests_per_minute=requests)


def _hold(refusals: int) -> float:
    return float(min(LONGEST_HOLD, FIRST_HOLD * 2.0 ** min(refusals - 1, 10)))


def _scaled(limits: RateLimits, factor: float) -> RateLimits:
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    return RateLimits(requests and requests * factor, tokens and tokens * factor)


def _stricter(one: RateLimits, other: RateLimits) -> RateLimits:
    def least(a: float | None, b: float | None) -> float | None:
        return min((value for value in (a, b) if value is not None), default=None)

    return RateLimits(
        least(one.requests_per_minute, other.requests_per_minute),
        least(one.tokens_per_minute, other.tokens_per_minute),
    )
