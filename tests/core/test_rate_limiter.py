"""Given limits hold in every minute; unknown ones are found; nobody waits for ever."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.simulation import Bucket, Minute, simulate
from fakes import FREE_TIER, FakeClock
from voyage_rag.core.rate_limiter import RateLimiter
from voyage_rag.core.rate_limits import RateLimits, limits_named

FREE = RateLimits(3, 10_000)


class Everything:
    """A service without limits."""

    def takes(self, now: float, tokens: float) -> bool:
        return True


@settings(max_examples=60)
@given(
    sizes=st.lists(st.floats(1, 3_000), min_size=1, max_size=60),
    requests=st.integers(1, 300),
    tokens=st.floats(3_200, 100_000),
    workers=st.integers(1, 20),
)
def test_given_limits_are_never_exceeded_in_any_minute(
    sizes: list[float], requests: int, tokens: float, workers: int
) -> None:
    """Whatever the sizes and however many callers: no sixty seconds hold more than was given."""
    limits = RateLimits(requests, tokens)

    run = simulate(Everything(), sizes, given=limits, workers=workers, overestimate=1.0)

    sent, spent = run.most_in_a_minute()
    assert sent <= requests
    assert spent <= tokens + len(sizes)  # billed tokens are whole numbers
    assert len(sizes) == len(run.sent)


def test_given_limits_are_used_in_full() -> None:
    """12 million tokens a minute, ten seconds of burst: no refusal, and as fast as the rate."""
    run = simulate(Bucket(12e6, 10), [12_160.0] * 469, given=RateLimits(2_000, 12e6))

    assert run.refused == 0
    assert run.seconds < 1.1 * 469 * 12_160 / 200_000


@pytest.mark.parametrize("seed", range(5))
def test_unknown_limits_of_a_bucket_are_found(seed: int) -> None:
    """Limits nobody named: within 1.25 of the rate, at most a tenth refused."""
    run = simulate(Bucket(12e6, 10), [12_160.0] * 469, seed=seed)

    assert run.seconds < 1.25 * 469 * 12_160 / 200_000
    assert run.share_refused < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_unknown_limits_per_minute_are_found(seed: int) -> None:
    """The same where the service counts sixty seconds back."""
    run = simulate(Minute(2_000, 8e6), [12_160.0] * 2_000, seed=seed)

    assert run.seconds < 1.25 * 2_000 * 12_160 * 60 / 8e6
    assert run.share_refused < 0.1


def test_limits_that_a_refusal_names_are_kept_to_from_then_on() -> None:
    """The free tier: the first burst is refused, and nothing after it."""
    run = simulate(Minute(3, 10_000), [3_000.0] * 20, named=FREE)

    first_burst = [at for at, _ in run.sent if at < 1]
    assert len(first_burst) - 3 == run.refused
    assert run.seconds < 1.05 * 20 / 3 * 60
    assert run.most_attempts == 2


def ask(pace: RateLimiter, clock: FakeClock, *, refused: bool = False) -> float:
    """One small request after the other; the seconds this one waited for its turn."""
    turn, began = pace.book(20), clock.now()
    while (delay := turn.wait()) > 0:
        clock.advance(delay)
    waited = clock.now() - began
    clock.advance(0.2)
    if refused:
        turn.refused(None, RateLimits())
    else:
        turn.accepted(20)
    return waited


def test_a_refusal_by_chance_does_not_slow_down_who_asks_now_and_then() -> None:
    """Six requests in a minute were taken, because no more were sent."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    for _ in range(10):
        ask(pace, clock)
        clock.advance(10.0)

    ask(pace, clock, refused=True)

    assert ask(pace, clock) < 1.0
    assert max(ask(pace, clock) for _ in range(10)) < 0.1


def test_a_limit_that_is_not_met_again_is_forgotten() -> None:
    """In some minutes, whatever was found."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    for _ in range(3):
        ask(pace, clock)
    ask(pace, clock, refused=True)
    ask(pace, clock)
    assert pace.limits

    for _ in range(600):
        ask(pace, clock)
        clock.advance(1.0)

    assert not pace.limits
    assert pace.is_open


def test_a_limit_that_was_given_is_never_forgotten() -> None:
    """Though refusals made it lower for a while, and it is absurd."""
    clock, given = FakeClock(), RateLimits(requests_per_minute=2e6)
    pace = RateLimiter(clock.now)
    pace.keep_to(given)
    ask(pace, clock, refused=True)
    assert pace.limits != given

    for _ in range(600):
        ask(pace, clock)
        clock.advance(1.0)

    assert pace.limits == given


def test_a_service_without_limits_is_never_waited_for() -> None:
    """Nothing is refused, so nothing is paced."""
    run = simulate(Everything(), [10_000.0] * 160, latency=lambda tokens: 1.0)

    assert run.seconds == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("detail", "limits"),
    [
        (FREE_TIER, FREE),
        ("Requests Per Minute (RPM) rate limit of 2,000 for voyage-4", RateLimits(2_000, None)),
        ("Tokens Per Minute (TPM) rate limit of 8000000 reached", RateLimits(None, 8e6)),
        ("slow down", RateLimits()),
        ("", RateLimits()),
    ],
)
def test_limits_are_read_from_the_words_of_a_refusal(detail: str, limits: RateLimits) -> None:
    """The recorded wording of the free tier, and Atlas's."""
    assert limits == limits_named(detail)


def test_a_refusal_holds_back_those_who_wait() -> None:
    """A turn that was booked before the refusal is booked anew after it."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    refused, waiting = pace.book(100), pace.book(100)
    assert refused.wait() == 0

    refused.refused(7.0, RateLimits())

    assert 0 < waiting.wait() <= 7.0
    clock.advance(6.9)
    assert waiting.wait() > 0
    clock.advance(0.2)
    assert waiting.wait() == 0


def test_only_one_probe_goes_after_a_refusal() -> None:
    """Until something is accepted again, the others wait."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    first = pace.book(100)
    assert first.wait() == 0
    first.refused(None, RateLimits())
    probe, other = pace.book(100), pace.book(100)
    clock.advance(0.6)
    assert probe.wait() == 0
    assert other.wait() > 0

    probe.accepted(100)
    clock.advance(1.0)

    assert other.wait() == 0


def test_a_probe_that_vanishes_does_not_stop_the_others() -> None:
    """Its answer never comes: after some seconds the next one tries."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    first = pace.book(100)
    assert first.wait() == 0
    first.refused(None, RateLimits())
    clock.advance(0.6)
    assert pace.book(100).wait() == 0
    other = pace.book(100)
    assert other.wait() > 0

    clock.advance(10.1)

    assert other.wait() == 0


def test_a_turn_waits_for_its_backoff_first() -> None:
    """A repetition does not take a place before its time."""
    clock = FakeClock()
    turn = RateLimiter(clock.now).book(10, delay=3.0)

    assert turn.wait() == pytest.approx(3.0)
    clock.advance(3.0)
    assert turn.wait() == 0
    assert clock.now() == turn.sent_at


def test_what_was_billed_replaces_what_was_expected() -> None:
    """A request that was overestimated gives its place in the minute back."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(None, 1_000))
    big = pace.book(1_000)
    assert big.wait() == 0
    big.accepted(10)

    assert pace.book(900).wait() == 0


def test_the_last_limits_given_hold() -> None:
    """Another client of the account that was told other limits corrects the first."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(1, None))
    assert pace.book(1).wait() == 0
    assert pace.book(1).wait() > 50

    pace.keep_to(RateLimits(100, None))

    assert pace.book(1).wait() < 2


def test_threads_that_share_a_pace_keep_its_limits() -> None:
    """Two hundred turns booked from eight threads: as many leave at once as the limit allows."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(10, None))
    left: list[float] = []

    def ask() -> None:
        left.extend(pace.book(1).wait() for _ in range(25))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(left) == 200
    assert sum(delay == 0 for delay in left) <= 10
    assert max(left) >= 60 * 190 / 10


def test_a_lost_probe_under_given_limits_holds_nobody_for_ever() -> None:
    """After a refusal one request probes; if its answer is lost, others ask again in a moment."""
    clock = FakeClock()
    pace = RateLimiter(clock.now)
    pace.keep_to(RateLimits(2_000, 3_000_000))
    refused = pace.book(10.0)
    assert refused.wait() == 0
    refused.refused(None, RateLimits())
    probe = pace.book(10.0)
    while (delay := probe.wait()) > 0:
        clock.advance(delay)

    waiting = pace.book(10.0)
    for _ in range(60):
        if (delay := waiting.wait()) == 0:
            break
        assert delay <= 60
        clock.advance(delay)
    assert waiting.sent_at is not None
