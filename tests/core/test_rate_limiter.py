"""Given limits hold in every minute and are used in full; unknown ones are discovered; queries
first.
"""

from __future__ import annotations

import threading
from functools import partial
from math import inf
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import EagerThreads
from core.simulation import (
    Bucket,
    Everything,
    Minute,
    OneEvery,
    Outage,
    Service,
    Stray,
    simulate,
)
from fakes import FREE_TIER, FakeClock
from voyage_rag.core.context import Budgets, budgets_of
from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import NO_LIMITS, RateLimits, limits_in_message

FREE = RateLimits(3, 10_000)
SIZE = 12_160.0


# ── given limits ──────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=80)
@given(
    sizes=st.lists(st.floats(1, 3_000), min_size=1, max_size=60),
    requests=st.integers(1, 300),
    tokens=st.floats(3_200, 100_000),
    workers=st.integers(1, 20),
    queries=st.lists(st.floats(0, 200), max_size=20),
)
def test_given_limits_are_never_exceeded_in_any_minute(
    sizes: list[float], requests: int, tokens: float, workers: int, queries: list[float]
) -> None:
    """For any sizes and any number of callers, in any sixty seconds."""
    limits = RateLimits(requests, tokens)

    run = simulate(
        Everything(), sizes, given=limits, workers=workers, overestimate=1.0, queries_at=queries
    )

    sent, spent = run.most_in_a_minute()
    assert sent <= requests
    assert spent <= tokens + len(sizes)  # billed tokens are whole numbers
    assert len(sizes) + len(queries) == len(run.sent)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.floats(1, 3_000), min_size=1, max_size=40),
    requests=st.integers(1, 100),
    tokens=st.floats(3_200, 60_000),
    queries=st.lists(st.floats(0, 200), max_size=10),
)
def test_given_limits_are_met_by_a_service_that_counts_minutes(
    sizes: list[float], requests: int, tokens: float, queries: list[float]
) -> None:
    """No request under correct limits receives a 429."""
    run = simulate(
        Minute(requests, tokens), sizes, given=RateLimits(requests, tokens), queries_at=queries
    )

    assert run.refused == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_the_minute_allows_is_sent_at_once(share: float) -> None:
    """A known limit does not slow down a job within the minute's allowance."""
    sizes = [SIZE] * int(share * 3e6 / SIZE)

    free = simulate(Everything(), sizes)
    limited = simulate(Minute(2_000, 3e6), sizes, given=RateLimits(2_000, 3e6))

    assert limited.refused == 0
    assert limited.seconds <= 1.001 * free.seconds


def test_given_limits_are_used_in_full() -> None:
    """A job of four minutes' allowance takes no longer, including the share of queries."""
    limits = RateLimits(2_000, 3e6)

    run = simulate(Minute(2_000, 3e6), [SIZE] * int(4 * 3e6 / SIZE), given=limits)

    assert run.refused == 0
    assert run.seconds <= 1.05 * 4 * 60


@pytest.mark.parametrize("burst_seconds", [5, 10, 30])
def test_a_service_that_smooths_traffic_is_found_out(burst_seconds: float) -> None:
    """It rejects what the minute allows: the client then smooths traffic, too, at the same rate."""
    run = simulate(Bucket(12e6, burst_seconds), [SIZE] * 469, given=RateLimits(2_000, 12e6))

    assert run.share_refused < 0.06
    assert run.seconds < 1.05 * 469 * SIZE / 200_000


def test_known_requests_are_used_up() -> None:
    """Ninety queries at thirty a minute take two minutes; jobs leave a tenth to queries."""
    thirty = RateLimits(requests_per_minute=30)

    queries = simulate(Everything(), [], given=thirty, queries_at=[0.0] * 90)
    job = simulate(Everything(), [1.0] * 54, given=thirty)

    assert 120 < queries.seconds < 122
    assert 60 < job.seconds < 62


def test_a_request_above_the_minutes_limit_is_sent_alone() -> None:
    """It cannot be divided, so the service decides."""
    run = simulate(Everything(), [100.0, 5_000.0, 100.0], given=RateLimits(None, 1_000))

    times = {size: at for at, size in run.sent}
    assert times[5_000.0] > 60
    assert max(at for at, _ in run.sent) > times[5_000.0] + 60


def test_the_last_limits_given_hold() -> None:
    """The limits of a newer client of the account replace those of the first."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(1, None))
    assert limiter.reserve(1).wait() == 0
    blocked = limiter.reserve(1)
    assert blocked.wait() > 0
    assert blocked.limit_delay() > 50

    limiter.keep_to(RateLimits(100, None))

    assert limiter.reserve(1).wait() == blocked.wait() == 0


def test_what_was_billed_replaces_what_was_expected() -> None:
    """An overestimated request frees a part of the minute."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(None, 1_000))
    big = limiter.reserve(900)
    assert big.wait() == 0
    waiting = limiter.reserve(800)
    assert waiting.wait() > 0
    big.record_accepted(10)

    assert waiting.wait() == 0


def test_a_usage_reported_after_the_minute_changes_nothing() -> None:
    """Its request is no longer counted."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(None, 1_000))
    slow = limiter.reserve(900)
    assert slow.wait() == 0
    clock.advance(61)
    assert limiter.reserve(900).wait() == 0
    slow.record_accepted(10)

    assert limiter.reserve(800).wait() > 0


def test_threads_that_share_a_limiter_keep_its_limits() -> None:
    """Two hundred requests of eight threads are sent within the limit."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(10, None))
    reservations: list[Reservation] = []
    delays: list[float] = []

    def ask() -> None:
        for _ in range(25):
            reservation = limiter.reserve(1, is_query=True)
            delays.append(reservation.wait())
            reservations.append(reservation)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(delay == 0 for delay in delays) == 10
    assert all(60 <= it.limit_delay() <= 121 for it in reservations if it.sent_at is None)


# ── queries and jobs ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("per_minute", "middle", "most"), [(60, 6.0, 61.0), (600, 2.0, 5.0), (2_000, 0.2, 0.2)]
)
def test_a_query_does_not_wait_for_a_job(per_minute: int, middle: float, most: float) -> None:
    """A job that uses up the limit leaves a share to queries, which are sent first."""
    limits = RateLimits(requests_per_minute=per_minute)
    asked_at = [10.0 + 7 * number for number in range(40)]

    run = simulate(
        Minute(per_minute, inf), [100.0] * (per_minute * 5), given=limits, queries_at=asked_at
    )

    assert run.refused == 0
    assert median(run.query_seconds) <= middle
    assert max(run.query_seconds) <= most


@pytest.mark.parametrize("service", [Minute(60, inf), Bucket(6_000, 10)])
def test_a_query_leaves_before_a_job_where_the_limit_is_not_known(service: Service) -> None:
    """With a limit that is measured, too."""
    run = simulate(service, [100.0] * 200, queries_at=[100.0 + 9 * n for n in range(10)])

    assert len(run.query_seconds) == 10
    assert median(run.query_seconds) <= 6.0


def test_a_query_that_waits_leaves_before_a_job_that_waited_longer() -> None:
    """It gets the next free slot."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(1, None))
    assert limiter.reserve(1).wait() == 0
    job, query = limiter.reserve(1), limiter.reserve(1, is_query=True)
    for _ in range(11):
        assert job.wait() > 0
        assert query.wait() > 0
        clock.advance(5.5)

    assert job.wait() > 0
    assert query.wait() == 0


def test_a_cancelled_request_gives_up_its_turn() -> None:
    """The requests behind it move up immediately."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(1, None))
    assert limiter.reserve(1).wait() == 0
    first, second = limiter.reserve(1), limiter.reserve(1)
    first.wait()
    second.wait()
    assert second.limit_delay() > 61
    first.cancel()
    second.wait()

    assert second.limit_delay() == pytest.approx(60.1)


def test_a_reservation_that_is_not_renewed_loses_its_turn() -> None:
    """A worker that died does not block others."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(1, None))
    assert limiter.reserve(1).wait() == 0
    dead = limiter.reserve(1)
    dead.wait()
    clock.advance(60.1)

    waiting = limiter.reserve(1)
    assert waiting.wait() == 0


def test_a_request_asks_again_while_it_waits() -> None:
    """After at most a tenth of its delay, so that it notices cancelled requests."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(RateLimits(1, None))
    assert limiter.reserve(1).wait() == 0
    waiting = limiter.reserve(1)

    assert waiting.wait() == pytest.approx(6.01)
    clock.advance(60)
    assert waiting.wait() == pytest.approx(0.1)


# ── limits that nobody gave ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(5))
def test_unknown_limits_of_a_bucket_are_found(seed: int) -> None:
    """Within 0.7 of the rate, since a bucket allows bursts, and with few rejections."""
    run = simulate(Bucket(12e6, 10), [SIZE] * 469, seed=seed)

    assert run.seconds < 0.72 * 469 * SIZE / 200_000
    assert run.share_refused < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_unknown_limits_per_minute_are_found(seed: int) -> None:
    """Also if the service counts the last sixty seconds."""
    run = simulate(Minute(2_000, 8e6), [SIZE] * 2_000, seed=seed)

    assert run.seconds < 1.25 * 2_000 * SIZE * 60 / 8e6
    assert run.share_refused < 0.1


def test_a_service_that_is_very_slow_is_found_out() -> None:
    """One request in 12.5 seconds: the few accepted at first do not represent a minute."""
    run = simulate(OneEvery(12.5), [300.0] * 20)

    assert run.seconds < 1.4 * 20 * 12.5


def test_an_outage_of_some_seconds_is_retried() -> None:
    """Every response is a 429 for five seconds, without a limit before and after."""
    run = simulate(Outage(5, 10), [SIZE] * 2_000)

    assert run.seconds < 2 * 25
    assert run.share_refused < 0.02


def test_two_thousand_requests_a_minute_that_nobody_names_are_used() -> None:
    """Fifteen thousand small requests take little more than seven minutes."""
    run = simulate(Minute(2_000, inf), [100.0] * 15_000)

    assert run.seconds < 1.2 * 7 * 60
    assert run.share_refused < 0.01


def test_limits_that_a_refusal_names_are_applied_from_then_on() -> None:
    """The free tier rejects the first burst, and nothing after it."""
    run = simulate(Minute(3, 10_000), [3_000.0] * 20, named=FREE)

    first_burst = [at for at, _ in run.sent if at < 1]
    assert len(first_burst) - 3 == run.refused
    assert run.seconds < 1.05 * 20 / 3 * 60
    assert run.most_attempts == 2


def test_a_minute_that_another_process_used_up_is_waited_for() -> None:
    """The limit is named, but this process has sent nothing: few attempts, within the minute."""
    service = Minute(3, 10_000)
    for _ in range(3):
        assert service.takes(-1.0, 20)

    run = simulate(service, [], named=FREE, queries_at=[0.0])

    assert run.most_attempts <= 4
    assert run.query_seconds[0] < 70


@pytest.mark.parametrize("burst_seconds", [5, 10])
def test_limits_that_a_service_names_while_it_smooths_are_spread_evenly(
    burst_seconds: float,
) -> None:
    """The minute would have allowed the first burst, so no second one follows its rejection."""
    limits, sizes = RateLimits(2_000, 12e6), [24_000.0] * 240

    informed = simulate(Bucket(12e6, burst_seconds), sizes, given=limits)
    run = simulate(Bucket(12e6, burst_seconds), sizes, named=limits)

    assert run.refused == informed.refused > 0
    assert run.seconds <= informed.seconds


@pytest.mark.parametrize("given", [NO_LIMITS, FREE], ids=["named", "given"])
def test_a_minute_used_by_an_earlier_process_does_not_slow_down_later_ones(
    given: RateLimits,
) -> None:
    """After a restart, only the first minute is affected by the requests of the earlier process."""
    service = Minute(3, 10_000)
    for _ in range(3):
        assert service.takes(-1.0, 20)

    run = simulate(service, [], given=given, named=FREE, queries_at=[0.0, 180.0, 180.0, 180.0])

    assert run.query_seconds[0] < 70
    assert max(run.query_seconds[1:]) < 1


@pytest.mark.parametrize("named", [NO_LIMITS, FREE], ids=["unnamed", "named"])
@pytest.mark.parametrize("given", [NO_LIMITS, RateLimits(20_000, 3e7)], ids=["unknown", "given"])
@pytest.mark.parametrize("seed", range(5))
def test_stray_429s_cost_little(seed: int, given: RateLimits, named: RateLimits) -> None:
    """One response in a hundred is a 429 without a reason, even with the free tier's message."""
    calm = simulate(Everything(), [SIZE] * 400, given=given)

    run = simulate(Stray(Everything(), 0.01, seed), [SIZE] * 400, given=given, named=named)

    assert run.refused > 0
    assert run.seconds <= 1.5 * calm.seconds


def ask(limiter: RateLimiter, clock: FakeClock, *, refused: bool = False) -> float:
    """One small request after the other; the seconds this one waited."""
    reservation, began = limiter.reserve(20), clock.now()
    while (delay := reservation.wait()) > 0:
        clock.advance(delay)
    waited = clock.now() - began
    clock.advance(0.2)
    if refused:
        reservation.record_refused(None, NO_LIMITS)
    else:
        reservation.record_accepted(20)
    return waited


def test_a_single_stray_429_slows_no_other_request() -> None:
    """Nor do two; three among sixteen responses are a limit."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    for _ in range(10):
        ask(limiter, clock)

    for _ in range(2):
        ask(limiter, clock, refused=True)
    assert limiter.is_open

    ask(limiter, clock, refused=True)
    assert not limiter.is_open
    assert limiter.limits


def test_a_limit_that_is_not_met_again_is_forgotten() -> None:
    """Within some minutes."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    for refused in (False, False, False, True, True, True, False):
        ask(limiter, clock, refused=refused)
    assert limiter.limits

    for _ in range(600):
        ask(limiter, clock)
        clock.advance(1.0)

    assert not limiter.limits
    assert limiter.is_open


def test_a_limit_that_a_429_named_ends_with_an_upgrade_of_the_account() -> None:
    """The message of the free tier asks for a payment method, and a user adds one during a job."""

    class Upgraded:
        def takes(self, now: float, tokens: float) -> bool:
            return (paid if now >= 300 else free).takes(now, tokens)

    free, paid = Minute(3, 10_000), Minute(2_000, 3_000_000)
    run = simulate(Upgraded(), [3_000.0] * 200, named=FREE)

    assert run.seconds < 15 * 60


def test_an_account_without_an_upgrade_costs_a_rejected_request_now_and_then() -> None:
    """Every ten minutes, the client tries whether the limits are still the named ones."""
    hours = 2
    run = simulate(Minute(3, 10_000), [3_000.0] * (hours * 180), named=FREE)

    assert run.refused <= 13 + hours * 6
    assert run.seconds < 1.02 * hours * 3600


def test_a_limit_that_was_given_is_never_forgotten() -> None:
    """Even after 429s lowered it for a while, or if it is very high."""
    clock, absurd = FakeClock(), RateLimits(requests_per_minute=2e6)
    limiter = RateLimiter(clock.now)
    limiter.keep_to(absurd)
    for _ in range(6):
        ask(limiter, clock, refused=True)
    assert limiter.limits != absurd

    for _ in range(600):
        ask(limiter, clock)
        clock.advance(1.0)

    assert limiter.limits == absurd


def test_a_service_without_limits_is_never_waited_for() -> None:
    """Without a 429, no request waits."""
    run = simulate(Everything(), [10_000.0] * 160, latency=lambda tokens: 1.0)

    assert run.seconds == pytest.approx(10.0)


# ── after a 429 ───────────────────────────────────────────────────────────────────────────────────


def refuse(limiter: RateLimiter, clock: FakeClock, named: RateLimits = NO_LIMITS) -> None:
    """As many 429s as are taken for a limit."""
    first = [limiter.reserve(100) for _ in range(3)]
    assert [it.wait() for it in first] == [0, 0, 0]
    for reservation in first:
        reservation.record_refused(None, named)


@given(st.floats(0.1, 100), st.booleans())
def test_all_requests_wait_for_the_time_of_retry_after(seconds: float, named: bool) -> None:
    """Requests that asked before and after the 429."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    first, before = limiter.reserve(1), limiter.reserve(1, delay=0.001)
    assert first.wait() == 0
    assert before.wait() > 0
    refused_at = clock.now()
    first.record_refused(seconds, RateLimits(requests_per_minute=600) if named else NO_LIMITS)

    for reservation in (before, limiter.reserve(1)):
        while (delay := reservation.wait()) > 0:
            clock.advance(delay)
        assert clock.now() - refused_at >= seconds - 1e-6
        reservation.record_accepted(1)


def test_only_one_probe_leaves_after_a_refusal() -> None:
    """The others wait until a request is accepted. Queries probe before jobs."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    refuse(limiter, clock)
    job, query = limiter.reserve(100), limiter.reserve(100, is_query=True)
    assert job.wait() > 0
    assert query.wait() > 0
    clock.advance(0.6)
    assert query.wait() == 0
    assert job.wait() > 0
    assert job.limit_delay() == inf

    query.record_accepted(100)
    clock.advance(1.0)

    assert job.wait() == 0


@pytest.mark.parametrize("given", [NO_LIMITS, RateLimits(2_000, 3_000_000)])
def test_a_cancelled_probe_does_not_block_other_requests(given: RateLimits) -> None:
    """If its response never arrives, the next one probes after some seconds."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    limiter.keep_to(given)
    refuse(limiter, clock)
    clock.advance(0.6)
    assert limiter.reserve(100).wait() == 0
    other = limiter.reserve(100)
    assert other.wait() > 0

    clock.advance(10.1)

    assert other.wait() == 0


def test_requests_refused_together_count_once() -> None:
    """Sixteen simultaneous 429s have the same effect as three."""
    waits = []
    for refused in (3, 16):
        clock = FakeClock()
        limiter = RateLimiter(clock.now)
        reservations = [limiter.reserve(1) for _ in range(16)]
        for reservation in reservations:
            assert reservation.wait() == 0
        for reservation in reservations[:refused]:
            reservation.record_refused(None, NO_LIMITS)
        waits.append(limiter.reserve(1).wait())

    assert waits[0] == waits[1] > 0


def test_refusals_of_requests_that_left_before_a_limit_was_known_say_nothing_new() -> None:
    """They do not lower the limit that the first one named."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    reservations = [limiter.reserve(1) for _ in range(16)]
    for reservation in reservations:
        assert reservation.wait() == 0

    for reservation in reservations:
        reservation.record_refused(None, FREE)

    assert limiter.limits == FREE


# ── one reservation ───────────────────────────────────────────────────────────────────────────────


def test_a_reservation_waits_for_its_backoff_first() -> None:
    """A retry does not queue before its time."""
    clock = FakeClock()
    reservation = RateLimiter(clock.now).reserve(10, delay=3.0)

    assert reservation.wait() == pytest.approx(3.0)
    assert reservation.limit_delay() == 0
    clock.advance(3.0)
    assert reservation.wait() == 0
    assert clock.now() == reservation.sent_at


def test_a_request_above_the_minutes_limit_is_recognised() -> None:
    """The caller can divide it."""
    limiter = RateLimiter(FakeClock().now)
    limiter.keep_to(RateLimits(None, 10_000))

    assert not limiter.exceeds_minute_limit(10_000)
    assert limiter.exceeds_minute_limit(10_001)
    assert not RateLimiter(FakeClock().now).exceeds_minute_limit(1e9)


# ── what is read and what is shared ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("detail", "limits"),
    [
        (FREE_TIER, FREE),
        ("Requests Per Minute (RPM) rate limit of 2,000 for voyage-4", RateLimits(2_000, None)),
        ("Tokens Per Minute (TPM) rate limit of 8000000 reached", RateLimits(None, 8e6)),
        ("slow down", NO_LIMITS),
        ("", NO_LIMITS),
    ],
)
def test_limits_are_read_from_the_words_of_a_refusal(detail: str, limits: RateLimits) -> None:
    """The recorded wording of the free tier, and Atlas's."""
    assert limits == limits_in_message(detail)


@given(st.text(alphabet="0123456789,RPMTK and()limtsof ", max_size=60))
def test_any_refusal_can_be_read(detail: str) -> None:
    """No wording causes an error."""
    limits = limits_in_message(detail)

    assert limits.requests_per_minute is None or limits.requests_per_minute >= 0


@pytest.mark.parametrize(
    ("limits", "for_jobs"),
    [
        (RateLimits(60, 600_000), RateLimits(54, 580_000)),
        (RateLimits(3, 10_000), RateLimits(3, 9_500)),
        (RateLimits(2_000, None), RateLimits(1_940, None)),
        (NO_LIMITS, NO_LIMITS),
    ],
)
def test_jobs_leave_a_tenth_to_queries(limits: RateLimits, for_jobs: RateLimits) -> None:
    """A tenth of low limits, and never more than queries need."""
    assert for_jobs == limits.for_jobs


def test_one_account_has_one_budget_per_model() -> None:
    """Shared by every object of the process, and by no other account."""
    now = FakeClock().now
    mine = budgets_of(("host:443", "key"), now)

    assert mine["a"] is budgets_of(("host:443", "key"), now)["a"]
    others = [mine["b"], budgets_of(("host:443", "other"), now)["a"]]
    others += [budgets_of(("host:8000", "key"), now)["a"], Budgets(now)["a"]]
    assert all(mine["a"] is not other for other in others)


def test_threads_that_start_together_share_one_budget(eager_threads: EagerThreads) -> None:
    """Otherwise each of them would use the whole limit."""
    now = FakeClock().now
    for number in range(100):
        budgets = eager_threads(partial(budgets_of, (f"host-{number}:443", "key"), now))
        assert len(set(map(id, budgets))) == 1


def test_the_wait_that_is_named_while_another_request_probes_is_finite() -> None:
    """It is the time until the limiter allows a probe; how that ends is not known."""
    clock = FakeClock()
    limiter = RateLimiter(clock.now)
    refused = [limiter.reserve(100) for _ in range(3)]
    for reservation in refused:
        assert reservation.wait() == 0
    for reservation in refused:
        reservation.record_refused(4.0, NO_LIMITS)
    clock.advance(4)
    assert limiter.reserve(100).wait() == 0  # it probes
    assert limiter.reserve(100).wait() > 0
    assert limiter.allowed_in(100, is_query=False) == 0
