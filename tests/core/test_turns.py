"""One turn after the other: what a turn is told, and what holds for turns of one budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fakes import FREE_TIER, FakeClock
from voyage_rag.core.budget import Budgets, budgets_of
from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import RateLimits, limits_named

NOBODY_SAYS = RateLimits()


def leave(pace: RateLimiter, clock: FakeClock, turn: Reservation) -> float:
    """Wait for a turn, and say when it left."""
    while (delay := turn.wait()) > 0:
        clock.advance(delay)
    return clock.now()


def send_all(
    clock: FakeClock, pace: RateLimiter, work: list[int], lanes: int
) -> list[tuple[float, int]]:
    """Send requests of so many tokens, `lanes` at a time; what was taken when."""
    todo, taken = list(reversed(work)), []
    turns = [pace.book(todo.pop()) for _ in range(min(lanes, len(todo)))]
    while turns:
        delays = [turn.wait() for turn in turns]
        ready = delays.index(min(delays))
        clock.advance(delays[ready])
        if delays[ready] > 0:
            continue
        turn = turns.pop(ready)
        taken.append((clock.now(), int(turn.tokens)))
        turn.accepted(int(turn.tokens))
        if todo:
            turns.append(pace.book(todo.pop()))
    return taken


def most_in_a_minute(taken: list[tuple[float, int]]) -> tuple[int, int]:
    """The most requests and tokens in any sixty seconds."""
    windows = [[t for at, t in taken if start <= at < start + 60] for start, _ in taken]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0)


@given(
    st.lists(st.integers(1, 1_000), max_size=60),
    st.none() | st.integers(1, 30),
    st.none() | st.integers(1_000, 5_000),
    st.integers(1, 16),
)
def test_limits_that_are_known_are_kept_in_every_minute(
    work: list[int], requests: int | None, tokens: int | None, lanes: int
) -> None:
    """However much is waiting, no sixty seconds hold more than the account allows."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(requests, tokens))

    taken = send_all(clock, pace, work, lanes)

    assert sorted(work) == sorted(tokens for _, tokens in taken)
    most_requests, most_tokens = most_in_a_minute(taken)
    assert most_requests <= (requests or len(work))
    assert most_tokens <= (tokens or sum(work))


def test_known_limits_are_used_up() -> None:
    """Ninety requests at thirty a minute take three minutes, not four."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(requests_per_minute=30))
    began = clock.now()

    send_all(clock, pace, [1] * 90, 4)

    assert clock.now() - began < 181


@given(st.floats(0, 100), st.booleans())
def test_after_a_refusal_everybody_waits(seconds: float, named: bool) -> None:
    """Nobody leaves before the time that the service asked for, booked before or after."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    first, before = pace.book(1), pace.book(1)
    leave(pace, clock, first)
    refused_at = clock.now()
    first.refused(seconds, RateLimits(requests_per_minute=600) if named else NOBODY_SAYS)

    for turn in (before, pace.book(1)):
        assert leave(pace, clock, turn) - refused_at >= seconds - 1e-6
        turn.accepted(1)


def test_requests_refused_together_count_once() -> None:
    """Sixteen refusals of one moment slow down as much as one does."""
    one, many = FakeClock(), FakeClock()
    waits = []
    for clock, refused in ((one, 1), (many, 16)):
        pace = RateLimiter(clock.now)
        turns = [pace.book(1) for _ in range(16)]
        for turn in turns:
            leave(pace, clock, turn)
        for turn in turns[:refused]:
            turn.refused(None, NOBODY_SAYS)
        began = clock.now()
        waits.append(leave(pace, clock, pace.book(1)) - began)

    assert waits[0] == waits[1] > 0


def test_a_turn_has_no_age_before_it_left() -> None:
    """Waiting for a turn is not counted against the total timeout."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    turn = pace.book(1, delay=5)

    clock.advance(3)
    assert turn.age() == 0
    left_at = leave(pace, clock, turn)
    clock.advance(2)
    assert clock.now() - left_at == turn.age() == 2


@given(st.text(alphabet="0123456789,RPMTK and()limtsof ", max_size=60))
def test_any_refusal_can_be_read(detail: str) -> None:
    """No wording breaks the client."""
    limits = limits_named(detail)

    assert limits.requests_per_minute is None or limits.requests_per_minute >= 0


def test_a_named_limit_is_kept_from_then_on() -> None:
    """After the free tier's refusal no minute holds more than three requests."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    turn = pace.book(1)
    leave(pace, clock, turn)
    turn.refused(None, limits_named(FREE_TIER))

    taken = send_all(clock, pace, [1] * 12, 4)

    assert most_in_a_minute(taken)[0] == 3


def test_a_request_that_is_more_than_a_minute_allows_is_known() -> None:
    """It would wait for ever: whoever asks can cut it."""
    pace = RateLimiter(FakeClock().now)
    pace.keep_to(RateLimits(None, 10_000))

    assert (pace.exceeds_minute_limit(10_000), pace.exceeds_minute_limit(10_001)) == (False, True)
    assert not RateLimiter(FakeClock().now).exceeds_minute_limit(1e9)


def test_one_account_has_one_budget_per_model() -> None:
    """Shared by every object of the process, and by no other account."""
    now = FakeClock().now
    mine = budgets_of(("host", "key"), now)

    assert mine["a"] is budgets_of(("host", "key"), now)["a"]
    others = [mine["b"], budgets_of(("host", "other"), now)["a"]]
    others += [budgets_of(("elsewhere", "key"), now)["a"], Budgets(("host", "key"), now)["a"]]
    assert all(mine["a"] is not other for other in others)
