"""Limits as numbers: shares, forecasts, the words of a 429, and measured throughput."""

from __future__ import annotations

from math import inf, sqrt

import pytest

from voyage_rag.core.rate_limits import (
    NO_LIMITS,
    RateLimits,
    ThroughputMeter,
    scaled,
    stricter,
)


@pytest.mark.parametrize(
    ("limits", "jobs"),
    [
        (RateLimits(3, 10_000), RateLimits(3, 9_500)),
        (RateLimits(100, None), RateLimits(90, None)),
        (RateLimits(2_000, 3_000_000), RateLimits(1_940, 2_980_000)),
        (NO_LIMITS, NO_LIMITS),
    ],
)
def test_jobs_leave_a_share_to_queries(limits: RateLimits, jobs: RateLimits) -> None:
    """A tenth of the requests and a twentieth of the tokens, up to what people ask."""
    assert limits.for_jobs == jobs


def test_a_request_takes_its_part_of_the_limit_that_binds() -> None:
    limits = RateLimits(60, 6_000)
    assert [limits.seconds(tokens) for tokens in (0, 100, 101)] == [1, 1, pytest.approx(1.01)]
    assert limits.forecast(3, 600) == pytest.approx(6)
    assert limits.forecast(0, 0) == 0
    assert NO_LIMITS.seconds(1e9) == 0


def test_limits_are_exceeded_by_either_number() -> None:
    limits = RateLimits(60, 6_000)
    assert not limits.are_exceeded_by(60, 6_000)
    assert limits.are_exceeded_by(61, 0)
    assert limits.are_exceeded_by(0, 6_001)
    assert not NO_LIMITS.are_exceeded_by(10**9, inf)


def test_limits_are_scaled_and_the_stricter_ones_taken() -> None:
    """What is not limited stays so."""
    assert scaled(RateLimits(60, None), 0.5) == RateLimits(30, None)
    assert scaled(RateLimits(None, 100), 2) == RateLimits(None, 200)
    assert stricter(RateLimits(60, None), RateLimits(80, 100)) == RateLimits(60, 100)
    assert stricter(NO_LIMITS, NO_LIMITS) == NO_LIMITS


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (RateLimits(1, None), "1 request per minute"),
        (RateLimits(3, 10_000), "3 requests and 10,000 tokens per minute"),
        (RateLimits(None, 2_500.4), "2,500 tokens per minute"),
    ],
)
def test_limits_can_be_read(limits: RateLimits, text: str) -> None:
    assert str(limits) == text


def measured(requests: int, tokens: float, at: float = 0.0) -> ThroughputMeter:
    """A meter whose first measurement is over, after which so much was accepted."""
    meter = ThroughputMeter(at)
    assert meter.rate_at_refusal(at, (1, 1.0), (0, 0.0)) is not None
    meter.requests += requests
    meter.tokens += tokens
    return meter


def test_the_rate_is_what_was_accepted_since_the_refusal_before() -> None:
    """In requests, or in tokens if requests are large."""
    assert measured(20, 200).rate_at_refusal(6, (20, 200), (0, 0)) == RateLimits(200, None)
    large = measured(20, 100_000).rate_at_refusal(6, (20, 100_000), (0, 0))
    assert large == RateLimits(None, 1_000_000)


def test_requests_in_flight_count_as_accepted() -> None:
    """They were sent before the rejected one, and have no response yet."""
    assert measured(20, 200).rate_at_refusal(6, (20, 200), (10, 100)) == RateLimits(300, None)


def test_the_rate_is_at_least_that_of_the_last_minute() -> None:
    assert measured(1, 10).rate_at_refusal(30, (50, 500), (0, 0)) == RateLimits(50, None)


def test_time_without_requests_does_not_count() -> None:
    """It does not affect the measured rate."""
    meter = measured(20, 200)
    meter.idle_seconds = 54
    assert meter.rate_at_refusal(60, (20, 200), (0, 0)) == RateLimits(200, None)


def test_the_first_rate_is_between_a_burst_and_a_steady_minute() -> None:
    """It is unknown over which time the first accepted tokens were saved up."""
    meter = ThroughputMeter(0)
    meter.requests, meter.tokens = 30, 300
    assert meter.rate_at_refusal(15, (30, 300), (0, 0)) == RateLimits(sqrt(120 * 30), None)


def test_nothing_accepted_is_no_rate() -> None:
    assert ThroughputMeter(0).rate_at_refusal(10, (0, 0), (0, 0)) is None
