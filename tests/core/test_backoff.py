"""Properties of the delay between two attempts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import EPOCH
from voyage_rag.core.retry import RetryPolicy
from voyage_rag.errors import (
    RateLimitError,
    ServerError,
    Timeout,
    UnexpectedAnswerError,
    VoyageError,
)


def policy(chance: float = 0.0, total_timeout: float | None = 300.0) -> RetryPolicy:
    constant: Callable[[], float] = lambda: chance  # noqa: E731
    return RetryPolicy(6, 60.0, total_timeout, constant, lambda: EPOCH)


chances = st.floats(0, 1)
failures = st.sampled_from([ServerError, RateLimitError, Timeout, UnexpectedAnswerError])


@given(failures, st.integers(1, 10_000))
def test_the_bound_of_a_wait_rises_with_the_attempts_and_ends(
    failure: type[VoyageError], attempts: int
) -> None:
    """Without jitter no wait is shorter than the one before it, or longer than 32 seconds."""
    sooner, later = (policy().backoff(failure(), number) for number in (attempts, attempts + 1))

    assert 0.5 <= sooner <= later <= 32


@given(failures, st.integers(1, 100), chances)
def test_jitter_shortens_a_wait_by_a_quarter_at_most(
    failure: type[VoyageError], attempts: int, chance: float
) -> None:
    """Clients that failed together do not come back together, nor much too soon."""
    bound = policy(0.0).backoff(failure(), attempts)

    assert bound * (1 - 0.25 * chance) == pytest.approx(policy(chance).backoff(failure(), attempts))


@given(failures, st.integers(1, 100), chances, st.floats(0, 1e6))
def test_retry_after_is_never_undercut(
    failure: type[VoyageError], attempts: int, chance: float, seconds: float
) -> None:
    """Jitter is added to what the service asks for, a quarter of a second at most."""
    wait = policy(chance).backoff(failure(retry_after=seconds), attempts)

    assert seconds <= wait <= seconds + 0.25


@given(st.floats(0, 1e4), st.floats(0.1, 1e4))
def test_time_left_is_within_both_timeouts(spent: float, total: float) -> None:
    """An attempt that is allowed has some time, and not more than either timeout."""
    tried = policy(total_timeout=total)
    if tried.allows(ServerError(), 1, spent):
        assert 0 < tried.time_left(spent) <= min(60.0, total - spent)
    else:
        assert spent >= total
