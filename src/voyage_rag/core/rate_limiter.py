"""Decide when a request may be sent under the rate limits of one budget.

A `RateLimiter` represents one budget of the account: an address, a key and a model. All threads,
tasks and objects that share the budget ask it before they send a request. It computes delays and
never blocks. Interactive queries are sent before requests of jobs.

- While no limit is known, every request is sent immediately.
- Limits that the user passed or a 429 named are applied as the service counts them: a request is
  sent as soon as the last minute allows it. If the service nevertheless responds with a 429, it
  smooths traffic: from then on, requests are sent at even intervals. In the first minute of a
  process, an earlier process may be the cause, so this ends after that minute. Named limits are
  measured again after ten minutes without a 429.
- Unknown limits are measured. Between two 429s, the service has accepted exactly what the account
  allows, so requests continue at that rate, which rises until the next 429. After a 429, one
  request at a time probes whether the service accepts requests again.

A few 429s among many accepted requests are not a limit: only the rejected request is delayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from voyage_rag.core.pause import Pause
from voyage_rag.core.rate_limits import NO_LIMITS, RateLimits, ThroughputMeter, scaled, stricter
from voyage_rag.core.sliding_window import WINDOW_SECONDS, SlidingWindow, Slot
from voyage_rag.core.waiting_line import WaitingLine, ask_again_after
from voyage_rag.locks import lock_for

Clock = Callable[[], float]
"""Returns the seconds of a monotonic clock."""

BURST_SECONDS = 1.0
"""Seconds of a smoothed rate that may be sent at once after a pause; at least one request."""

SAFETY_FACTOR = 0.97
GROWTH_PER_SECOND, GROWTH_OF_A_GUESS = 0.01, 0.5
"""The first measurement of a rate is an estimate, which rises fast until the next 429."""

FASTER_GROWTH_AFTER_SECONDS = 60.0
"""After this time without a 429, a measured rate rises twice as fast, and then even faster, because
the cause of the 429 may have been temporary."""

NAMED_FOR_SECONDS = 600.0
"""After this time without a 429, limits that a 429 named become a measured rate, which rises,
because the account may have been upgraded. Otherwise, the next 429 names them again."""

MAX_REFUSALS, MAX_UNDERESTIMATE = 3, 3.0
OUTCOMES_REMEMBERED = 16
REFUSALS_OF_A_LIMIT = 3
"""Number of 429s among the last outcomes that indicate a limit; fewer occur by chance."""


class Reservation(Slot):
    """The position of an attempt in the queue, and its outcome.

    Attributes:
        asked_at: Time when it first asked to be sent, or None.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        estimate: Callable[[], float],
        not_before: float,
        *,
        is_query: bool,
    ) -> None:
        self.tokens = 0.0
        self.is_query = is_query
        self.asked_at: float | None = None
        self._limiter = limiter
        self._estimate = estimate
        self._not_before = not_before

    def wait(self) -> float:
        """Return the seconds until the attempt may be sent or should ask again; 0 sends it."""
        now = self._limiter.now()
        if self.asked_at is None:
            self.asked_at = now
        if now < self._not_before:
            return self._not_before - now
        self.tokens: float = self._estimate()
        delay = self._limiter.ask(self)
        if not delay:
            self._estimate = float  # returns 0, and does not keep the texts for a minute
        return delay and ask_again_after(delay)

    def limit_delay(self) -> float:
        """Return the delay due to the limits, without the backoff; inf while another one probes."""
        return max(0.0, self.allowed_at - self._limiter.now()) if self.sent_at is None else 0.0

    def record_accepted(self, tokens: int) -> None:
        """Record that the service accepted it, and the tokens billed."""
        self._limiter.record_accepted(self, tokens)

    def record_refused(self, retry_after: float | None, named: RateLimits) -> None:
        """Record a 429, and the seconds for which the service may accept nothing."""
        self._limiter.record_refused(self, retry_after, named)

    def cancel(self) -> None:
        """Remove it from the queue, unless it was sent."""
        if self.sent_at is None and self.asked_at is not None:
            self._limiter.cancel(self)


class RateLimiter:
    """The rate limits of one budget.

    Attributes:
        now: The clock.
        generation: Number of changes of the limits. A 429 for a request that was sent before the
            last change is ignored.
        limits: The current limits.
        known: Whether the limits were passed or named, not measured.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock
        self.known: bool = False
        self.generation: int = 0
        self.limits: RateLimits = NO_LIMITS
        self._given = NO_LIMITS  # passed by the user
        self._ceiling = NO_LIMITS  # passed or named: a reduced rate rises up to it
        self._lock = lock_for(self)
        self._window = SlidingWindow()
        self._waiting = WaitingLine()
        self._pause = Pause()
        self._drained_at = -inf  # when an even rate would have allowed everything sent
        self._smooth_until = -inf  # until then, requests are sent at an even rate
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES_REMEMBERED)
        self._throughput = ThroughputMeter(self.now())
        self._began_at = self._last_event_at = self._grown_at = self._refused_at = self.now()

    def reserve(
        self, tokens: float | Callable[[], float], delay: float = 0.0, *, is_query: bool = False
    ) -> Reservation:
        """Return a reservation that queues from `delay` seconds on."""
        estimate = tokens if callable(tokens) else lambda: tokens
        return Reservation(self, estimate, self.now() + delay, is_query=is_query)

    def keep_to(self, limits: RateLimits) -> None:
        """Apply limits that the user passed."""
        if limits is self._given or limits is NO_LIMITS:
            return
        with self._lock:
            if limits != self._given:
                self._given = self.limits = self._ceiling = limits
                self.known, self._smooth_until, self._pause.is_probing = True, -inf, False
                self._begin_generation(self.now())

    @property
    def is_open(self) -> bool:
        """Whether requests need not wait: no limit is known, and there was no recent 429."""
        return self.limits is NO_LIMITS and not self._is_paused(self.now())

    @property
    def has_accepted(self) -> bool:
        """Whether the service has accepted a request of this process."""
        return self._throughput.requests > 0

    def allowed_in(self, tokens: float, *, is_query: bool) -> float:
        """Return the seconds until a request that asks now may be sent."""
        with self._lock:
            now = self.now()
            at = self._earliest(Slot(tokens, is_query=is_query), now)
            return max(self._pause.ends_at, at if at < inf else now) - now

    def exceeds_minute_limit(self, tokens: float, refusals: int = 0) -> bool:
        """Return whether one request exceeds a whole minute's allowance of tokens.

        After several 429s, it may, because texts such as base64 have more tokens than estimated.
        """
        if refusals >= MAX_REFUSALS:
            tokens *= MAX_UNDERESTIMATE
        return self.known and tokens > (self.limits.tokens_per_minute or inf)

    def ask(self, slot: Slot) -> float:
        """Return the current delay of a request; at 0 it is sent and counted."""
        with self._lock:
            now = self.now()
            is_paused = self._is_paused(now)
            if not (is_paused or self._waiting.count):
                self._throughput.idle_seconds += now - self._last_event_at
            self._last_event_at = now
            if is_paused or self.limits is not NO_LIMITS:
                self._waiting.join(slot, now)
                slot.allowed_at = self._earliest(slot, now)
                if (delay := slot.allowed_at - now) > 0:
                    self._waiting.expect(slot, now + ask_again_after(delay))
                    return delay
            self._mark_sent(slot, now)
            return 0.0

    def record_sent(self, tokens: float) -> Slot:
        """Count a request that was sent without asking."""
        with self._lock:
            slot = Slot(tokens)
            self._mark_sent(slot, self.now())
            return slot

    def cancel(self, slot: Slot) -> None:
        """Cancel a waiting request."""
        with self._lock:
            self._waiting.leave(slot)

    def record_accepted(self, slot: Slot, billed: int) -> None:
        """Record an accepted request: correct its count, and let the rate rise."""
        with self._lock:
            now = self._last_event_at = self.now()
            if self.limits is not NO_LIMITS:
                self._drained_at -= self.limits.seconds(slot.tokens) - self.limits.seconds(billed)
            self._window.accept(slot, billed, now)
            self._throughput.requests += 1
            self._throughput.tokens += billed
            self._outcomes.append(True)
            self._pause.count = 0
            if self._pause.is_probing and slot.generation == self.generation:
                self._pause.is_probing = False
                self._grown_at = now
                self._drained_at = self._pause.resume_time(now) + BURST_SECONDS
            if slot.generation < self.generation and self._ceiling != self._given:
                self._drop_implausible(now)
            elif now > self._refused_at + NAMED_FOR_SECONDS:
                self._forget_named(now)
            if self.limits is not self._ceiling:
                self._grow(now)

    def record_refused(self, slot: Slot, retry_after: float | None, named: RateLimits) -> None:
        """Record a 429. Of several requests that were sent together, only the first counts."""
        with self._lock:
            now = self._last_event_at = self.now()
            self._outcomes.append(False)
            if slot.generation == self.generation:
                self._learn(now, slot, retry_after, self._plausible(named))
            self._window.remove(slot)

    def _learn(self, now: float, slot: Slot, retry_after: float | None, named: RateLimits) -> None:
        is_expected = self._pause.is_probing or (bool(self.limits) and not self.known)
        is_rare = self._outcomes.count(False) < REFUSALS_OF_A_LIMIT
        if is_rare and not (named or retry_after or is_expected):
            return
        self._refused_at = self._grown_at = now
        allowed = stricter(named, self._given) if named else self._ceiling
        if allowed == self._ceiling:  # nothing new: these limits allowed the request
            self._slow_down(now, slot)
            self._smooth(now)
        else:
            self.limits = self._ceiling = allowed
            self.known = True
            self._smooth_until = -inf
            if self._window.is_far_below(allowed):
                self._smooth(now)
        one_request = self.limits.seconds(slot.tokens)
        self._pause.begin(now, one_request, retry_after or 0.0, then_probe=not named)
        self._outcomes.clear()
        self._begin_generation(now)

    def _is_paused(self, now: float) -> bool:
        """Return whether requests must wait, or probe."""
        return self._pause.is_probing or now < self._pause.ends_at

    def _plausible(self, named: RateLimits) -> RateLimits:
        """Return the limits that a 429 names; none if the service has just accepted far more."""
        return NO_LIMITS if self._window.has_accepted_far_more_than(named) else named

    def _drop_implausible(self, now: float) -> None:
        """Discard limits that a 429 named if requests that were sent before were accepted."""
        if not self._plausible(self._ceiling):
            self.limits = self._ceiling = self._given
            self.known = bool(self._given)
            self._pause.ends_at = now

    def _forget_named(self, now: float) -> None:
        """Let limits that a 429 named rise up to those that the user passed."""
        if self._ceiling != self._given:
            self._ceiling = self._given
            self.known = bool(self._given)
            self._smooth_until, self._grown_at = inf, now

    def _begin_generation(self, now: float) -> None:
        self.generation += 1
        self._drained_at = self._pause.resume_time(now) + BURST_SECONDS

    def _slow_down(self, now: float, slot: Slot) -> None:
        if self.known:
            if now < self._smooth_until:
                self.limits = scaled(self.limits, SAFETY_FACTOR)
        elif rate := self._throughput.rate_at_refusal(
            now, self._window.accepted_totals(), self._window.in_flight_before(slot)
        ):
            self.limits = scaled(rate, SAFETY_FACTOR)

    def _smooth(self, now: float) -> None:
        minute_ends_at = self._began_at + WINDOW_SECONDS
        self._smooth_until = minute_ends_at if now < minute_ends_at else inf

    def _grow(self, now: float) -> None:
        speed = 1 + ((now - self._refused_at) / FASTER_GROWTH_AFTER_SECONDS) ** 4
        is_guess = self._throughput.measurements == 1 and not self.known
        growth = GROWTH_OF_A_GUESS if is_guess else GROWTH_PER_SECOND * speed
        grown = scaled(self.limits, 1 + min(1.0, growth * (now - self._grown_at)))
        is_forgotten = grown.is_beyond_any_tier and not self.known
        grown = NO_LIMITS if is_forgotten else stricter(grown, self._ceiling)
        self.limits = self._ceiling if grown == self._ceiling else grown
        self._grown_at = now

    def _mark_sent(self, slot: Slot, now: float) -> None:
        if self._waiting.count:
            self._waiting.leave(slot)
        slot.sent_at = self._pause.probed_at = now
        slot.generation = self.generation
        self._window.add(slot, now)
        if self.limits is not NO_LIMITS:
            self._drained_at = max(self._drained_at, now) + self.limits.seconds(slot.tokens)

    def _earliest(self, slot: Slot, now: float) -> float:
        """Return when a request may be sent after those ahead of it; inf while another probes."""
        if self._pause.awaits_probe(now):
            return inf
        requests, tokens, ahead_seconds = 1, slot.tokens, 0.0
        for other in self._waiting.ahead_of(slot, now):
            requests += 1
            tokens += other.tokens
            ahead_seconds += self.limits.seconds(other.tokens)
        at = self._pause.resume_time(now)
        if at < self._smooth_until or not self.known:
            burst = max(BURST_SECONDS, self.limits.seconds(slot.tokens))
            at = max(at, self._drained_at + ahead_seconds - burst)
        if not self.known:
            return at
        return self._window.earliest_time(
            at, self._ceiling, requests, tokens, for_job=not slot.is_query
        )
