"""One budget for several workers: together they keep to the limit, and use it up."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any

import pytest

from voyage_rag.bulk.shared_limiter import LimiterActor, SharedRateLimiter
from voyage_rag.core.rate_limiter import SAFETY_FACTOR, RateLimiter, Reservation
from voyage_rag.core.rate_limits import NO_LIMITS, RateLimits

TOKENS = 8_000


class Time:
    """A clock that advances on request; workers see it shifted, as on other machines."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def shifted(self, by: float) -> Any:
        return lambda: self.seconds + by


class Handle:
    """A Ray actor handle without Ray: calls are executed immediately."""

    def __init__(self, actor: LimiterActor) -> None:
        self.actor = actor
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> Any:
            self.calls += 1
            return getattr(self.actor, name)(*arguments)

        return type("Method", (), {"remote": staticmethod(called)})


def workers(count: int, time: Time, limits: RateLimits | None) -> list[SharedRateLimiter]:
    actor = Handle(LimiterActor(time.shifted(0)))
    limiters = [
        SharedRateLimiter(time.shifted(1_000.0 * n), actor, lambda it: it) for n in range(count)
    ]
    for limiter in limiters:
        if limits:
            limiter.keep_to(limits)
    return limiters


def run(
    limiters: Sequence[RateLimiter], time: Time, seconds: float, taken: Any, requests: int = 32
) -> list[float]:
    """Send requests of half a second, several at a time, and return when they were sent."""
    left: list[float] = []
    events: list[tuple[float, int, RateLimiter, Reservation]] = []

    def ask(number: int, limiter: RateLimiter, reservation: Reservation) -> None:
        delay = reservation.wait()
        if delay > 0:
            heapq.heappush(events, (time.seconds + delay, number, limiter, reservation))
            return
        if taken(time.seconds, limiter, reservation):
            left.append(time.seconds)
            reservation.record_accepted(TOKENS)
        else:
            reservation.record_refused(None, NO_LIMITS)
        heapq.heappush(events, (time.seconds + 0.5, number, limiter, limiter.reserve(TOKENS)))

    for number in range(requests):
        limiter = limiters[number % len(limiters)]
        ask(number, limiter, limiter.reserve(TOKENS))
    while events and events[0][0] < seconds:
        time.seconds, number, limiter, reservation = heapq.heappop(events)
        ask(number, limiter, reservation)
    return left


@pytest.mark.parametrize("count", [1, 4])
def test_limits_that_are_given_are_kept_and_used_by_all_together(count: int) -> None:
    """Never above the limit in any minute, and at most 5 % below it."""
    time, limits = Time(), RateLimits(tokens_per_minute=1_000_000)
    limiters = workers(count, time, limits)

    left = run(limiters, time, 600.0, lambda *_: True)

    for at in left:
        assert sum(TOKENS for other in left if at <= other < at + 60) <= 1_000_000
    assert len(left) * TOKENS >= 0.95 * 10 * 1_000_000


class Bucket:
    """A service with a token bucket of a minute's tokens, which refills evenly."""

    def __init__(self, per_minute: float) -> None:
        self.refused = 0
        self._per_minute = self._level = per_minute
        self._filled_at = 0.0

    def __call__(self, now: float, *_: object) -> bool:
        filled = self._level + (now - self._filled_at) * self._per_minute / 60
        self._level, self._filled_at = min(self._per_minute, filled), now
        if self._level < TOKENS:
            self.refused += 1
            return False
        self._level -= TOKENS
        return True


def test_a_limit_that_one_worker_meets_slows_all() -> None:
    """Without given limits, four workers discover the limit as the threads of one process do."""
    alone, shared = Bucket(1_000_000), Bucket(1_000_000)
    by_one = run([RateLimiter((time := Time()).shifted(0))], time, 600.0, alone, requests=32)
    by_four = run(workers(4, time := Time(), None), time, 600.0, shared, requests=32)

    assert len(by_four) >= 0.9 * len(by_one)
    assert len(by_four) * TOKENS >= 0.8 * 10 * 1_000_000
    assert shared.refused <= 2 * alone.refused + 4


def test_where_nobody_knows_of_a_limit_nobody_asks_for_every_request() -> None:
    """A thousand requests in ten seconds cost a call to the actor every tenth of one, and it hears
    of all of them."""
    time = Time()
    (limiter,) = workers(1, time, None)
    handle = limiter._actor

    for _ in range(1_000):
        reservation = limiter.reserve(TOKENS)
        assert reservation.wait() == 0
        reservation.record_accepted(TOKENS)
        time.seconds += 0.01
    refused = [limiter.reserve(TOKENS) for _ in range(3)]
    assert [reservation.wait() for reservation in refused] == [0, 0, 0]
    for reservation in refused:
        reservation.record_refused(None, NO_LIMITS)

    assert handle.calls <= 130
    found = handle.actor.state().limits.tokens_per_minute
    # The first guess lies between the rate and what one minute has held so far.
    assert found == pytest.approx(SAFETY_FACTOR * math.sqrt(6_000 * 1_000) * TOKENS, rel=0.02)


def test_a_limit_that_others_met_is_known_within_a_second() -> None:
    """Although a worker that may send does not ask the actor."""
    time = Time()
    one, other = workers(2, time, None)
    assert one.reserve(TOKENS).wait() == other.reserve(TOKENS).wait() == 0
    assert other.reserve(TOKENS).wait() == 0

    refused = one.reserve(TOKENS)
    assert refused.wait() == 0
    refused.record_refused(None, RateLimits(requests_per_minute=3))
    time.seconds += 1.0

    waits = [other.reserve(TOKENS).wait() for _ in range(4)]
    assert waits[-1] > 0
    assert other.limits == RateLimits(requests_per_minute=3)


def test_a_budget_that_was_lost_is_kept_to_the_limits_again() -> None:
    """An actor that Ray restarts receives the limits with the next request."""
    time = Time()
    (limiter,) = workers(1, time, RateLimits(requests_per_minute=60))
    limiter._actor = Handle(LimiterActor(time.shifted(0)))

    reservations = [limiter.reserve(TOKENS) for _ in range(70)]
    waits = [reservation.wait() for reservation in reservations]

    assert limiter.known
    assert limiter.limits == RateLimits(requests_per_minute=60)
    assert sum(wait == 0 for wait in waits) == 54


def test_a_worker_knows_that_the_service_has_accepted_its_requests() -> None:
    """Otherwise a short outage of the network would end its job."""
    (limiter,) = workers(1, time := Time(), None)
    assert not limiter.has_accepted
    run([limiter], time, 1.0, lambda *_: True)
    assert limiter.has_accepted


def test_slots_of_workers_that_died_are_forgotten() -> None:
    """So that the memory of the actor does not grow."""
    time = Time()
    actor = LimiterActor(time.shifted(0))
    for number in range(1_000):
        time.seconds += 1
        actor.ask(("worker", number), 1.0, NO_LIMITS)

    assert len(actor._slots) < 200


def test_a_query_of_one_worker_leaves_before_the_job_of_another() -> None:
    """Cancelled requests free their place."""
    time = Time()
    one, other = workers(2, time, RateLimits(requests_per_minute=1))
    assert one.reserve(1).wait() == 0
    job, query = one.reserve(1), other.reserve(1, is_query=True)
    for _ in range(60):
        assert job.wait() > 0
        assert query.wait() > 0
        time.seconds += 1.0
    cancelled = one.reserve(1, is_query=True)
    assert cancelled.wait() > 0
    cancelled.cancel()
    time.seconds += 0.5

    assert job.wait() > 0
    assert query.wait() == 0
