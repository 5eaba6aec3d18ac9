"""One budget for several workers: the limit is kept by all of them together, and used up."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import pytest

from voyage_rag.bulk.shared_limiter import Bookkeeper, SharedRateLimiter
from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import RateLimits

TOKENS = 8_000


class Time:
    """A clock that stands still until it is told; workers see it shifted, as on other machines."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def shifted(self, by: float) -> Any:
        return lambda: self.seconds + by


class Handle:
    """What Ray gives for an actor, without Ray: the call is made at once."""

    def __init__(self, bookkeeper: Bookkeeper) -> None:
        self.bookkeeper = bookkeeper
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> Any:
            self.calls += 1
            return getattr(self.bookkeeper, name)(*arguments)

        return type("Method", (), {"remote": staticmethod(called)})


def workers(count: int, time: Time, limits: RateLimits | None) -> list[SharedRateLimiter]:
    actor = Handle(Bookkeeper(time.shifted(0)))
    paces = [
        SharedRateLimiter(time.shifted(1_000.0 * n), actor, lambda it: it) for n in range(count)
    ]
    for pace in paces:
        if limits:
            pace.keep_to(limits)
    return paces


def run(
    paces: Sequence[RateLimiter], time: Time, seconds: float, taken: Any, requests: int = 32
) -> list[float]:
    """So many requests at a time, that take half a second each; when they left."""
    left: list[float] = []
    events: list[tuple[float, int, RateLimiter, Reservation]] = []

    def ask(number: int, pace: RateLimiter, turn: Reservation) -> None:
        delay = turn.wait()
        if delay > 0:
            heapq.heappush(events, (time.seconds + delay, number, pace, turn))
            return
        if taken(time.seconds, pace, turn):
            left.append(time.seconds)
            turn.accepted(TOKENS)
        else:
            turn.refused(None, RateLimits())
        heapq.heappush(events, (time.seconds + 0.5, number, pace, pace.book(TOKENS)))

    for number in range(requests):
        pace = paces[number % len(paces)]
        ask(number, pace, pace.book(TOKENS))
    while events and events[0][0] < seconds:
        time.seconds, number, pace, turn = heapq.heappop(events)
        ask(number, pace, turn)
    return left


@pytest.mark.parametrize("count", [1, 4])
def test_limits_that_are_given_are_kept_and_used_by_all_together(count: int) -> None:
    """Never more than the limit in any minute, and no more than 5 % less."""
    time, limits = Time(), RateLimits(tokens_per_minute=1_000_000)
    paces = workers(count, time, limits)

    left = run(paces, time, 600.0, lambda *_: True)

    for at in left:
        assert sum(TOKENS for other in left if at <= other < at + 60) <= 1_000_000
    assert len(left) * TOKENS >= 0.95 * 10 * 1_000_000


class Bucket:
    """A service that refuses what is beyond its limit: a minute's tokens, filled evenly."""

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
    """Nobody gave a limit: four workers find it as the threads of one process do."""
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
    (pace,) = workers(1, time, None)
    handle = pace._actor

    for _ in range(1_000):
        turn = pace.book(TOKENS)
        assert turn.wait() == 0
        turn.accepted(TOKENS)
        time.seconds += 0.01

    pace.refused(pace.generation, None, RateLimits())
    assert handle.calls <= 130
    found = handle.bookkeeper.state().limits.tokens_per_minute
    assert found == pytest.approx(0.95 * 6_000 * TOKENS, rel=0.02)


def test_a_limit_that_others_met_is_known_within_a_second() -> None:
    """Though a worker that may send asks nobody."""
    time = Time()
    one, other = workers(2, time, None)
    assert one.book(TOKENS).wait() == other.book(TOKENS).wait() == 0
    assert other.book(TOKENS).wait() == 0

    one.refused(one.generation, None, RateLimits(requests_per_minute=3))
    time.seconds += 1.0

    waits = [other.book(TOKENS).wait() for _ in range(4)]
    assert waits[-1] > 0
    assert other.limits == RateLimits(requests_per_minute=3)


def test_a_budget_that_was_lost_is_kept_to_the_limits_again() -> None:
    """An actor that Ray starts anew learns them with the next booking."""
    time = Time()
    (pace,) = workers(1, time, RateLimits(requests_per_minute=60))
    pace._actor = Handle(Bookkeeper(time.shifted(0)))

    turns = [pace.book(TOKENS) for _ in range(70)]
    waits = [turn.wait() for turn in turns]

    assert pace.known
    assert pace.limits == RateLimits(requests_per_minute=60)
    assert sum(wait == 0 for wait in waits) <= 2


def test_bookings_of_workers_that_died_are_forgotten() -> None:
    """So that the actor does not grow."""
    time = Time()
    bookkeeper = Bookkeeper(time.shifted(0))
    for _ in range(1_000):
        time.seconds += 1
        bookkeeper.place(RateLimits(), 1.0)

    assert len(bookkeeper._bookings) < 200
