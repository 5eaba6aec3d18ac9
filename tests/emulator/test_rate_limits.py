"""Rate limits, on a clock that the tests turn."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.emulator.arguments import RejectedRequest
from voyage_rag.emulator.options import EmulatorOptions
from voyage_rag.emulator.rate_limits import EmulatedRateLimits, TokenBucket

BODY = {"input": "Hello, world!", "model": "voyage-4"}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refusal(
    limits: EmulatedRateLimits, tokens: int = 1, key: str = "pa-1", model: str = "voyage-4"
) -> str:
    """Return why a request is refused, empty for one that is not."""
    try:
        limits.take(key, model, tokens)
    except RejectedRequest as rejected:
        return str(rejected)
    return ""


def test_requests_come_back_with_time(clock: Clock) -> None:
    """Two a minute: two immediately, and another one every half minute."""
    limits = EmulatedRateLimits(EmulatorOptions(requests_per_minute=2, clock=clock))
    assert [bool(refusal(limits)) for _ in range(4)] == [False, False, True, True]
    clock.now = 30
    assert [bool(refusal(limits)) for _ in range(2)] == [False, True]


def test_tokens_are_limited_too(clock: Clock) -> None:
    """A refused request takes none."""
    limits = EmulatedRateLimits(EmulatorOptions(tokens_per_minute=100, clock=clock))
    assert not refusal(limits, 60)
    assert refusal(limits, 60)
    assert not refusal(limits, 40)


def test_more_than_the_limit_never_passes(clock: Clock) -> None:
    """After any time."""
    limits = EmulatedRateLimits(EmulatorOptions(tokens_per_minute=100, clock=clock))
    clock.now = 1e6
    assert refusal(limits, 101)


def test_each_key_and_model_has_its_own_limits(clock: Clock) -> None:
    """One does not use up another's."""
    limits = EmulatedRateLimits(EmulatorOptions(requests_per_minute=1, clock=clock))
    assert not refusal(limits)
    assert not refusal(limits, key="pa-2")
    assert not refusal(limits, model="voyage-4-lite")
    assert refusal(limits)


def test_wordings_are_those_seen_live(clock: Clock) -> None:
    """Limit, model and, for tokens, what was used."""
    requests = EmulatedRateLimits(EmulatorOptions(requests_per_minute=1, clock=clock))
    refusal(requests)
    assert refusal(requests).startswith(
        "You have exceeded your project's Requests Per Minute (RPM) rate limit of 1 requests per "
        "minute for voyage-4. "
    )
    tokens = EmulatedRateLimits(EmulatorOptions(tokens_per_minute=4_000_000, clock=clock))
    refusal(tokens, 3_971_647, model="rerank-3")
    assert refusal(tokens, 50_000, model="rerank-3").startswith(
        "You have exceeded the project's Tokens Per Minute (TPM) rate limit of 4,000,000 tokens "
        "per minute for rerank-3. In the minute before this request, you used 3,971,647 tokens. "
    )


def test_the_free_tier_allows_three_requests_and_ten_thousand_tokens(clock: Clock) -> None:
    """And asks for a payment method."""
    limits = EmulatedRateLimits(EmulatorOptions(free_tier=True, clock=clock))
    assert refusal(limits, 10_001).startswith("You have not yet added your payment method")
    assert [bool(refusal(limits)) for _ in range(4)] == [False, False, False, True]


@given(
    st.integers(1, 10_000),
    st.floats(1, 120),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 10_000)), max_size=50),
)
def test_the_rate_holds_over_time(
    limit: int, burst_seconds: float, asked: list[tuple[float, int]]
) -> None:
    """At most the rate times the time, one burst and one loan."""
    bucket, now, passed = TokenBucket(limit, burst_seconds, 0.0), 0.0, 0
    for pause, amount in asked:
        now += pause
        if bucket.seconds_until(amount, now) == 0:
            bucket.take(amount)
            passed += amount
    assert passed <= limit * (now + burst_seconds) / 60 + limit + 1e-6


@given(st.integers(1, 10_000), st.floats(1, 120), st.integers(1, 10_000))
def test_the_wait_named_is_enough(limit: int, burst_seconds: float, amount: int) -> None:
    """After it, the same amount passes."""
    bucket = TokenBucket(limit, burst_seconds, 0.0)
    bucket.take(limit)
    wait = bucket.seconds_until(min(amount, limit), 0.0)
    assert bucket.seconds_until(min(amount, limit), wait + 1e-6) == 0


def test_a_429_has_no_retry_after_unless_configured(emulate, clock: Clock) -> None:
    """As the service's; with the option, whole seconds until the request would pass."""
    for form, header in ((None, None), ("seconds", "60")):
        ask = emulate(requests_per_minute=1, retry_after=form, clock=clock)
        assert ask("embeddings", BODY).status_code == 200
        limited = ask("embeddings", BODY)
        assert limited.status_code == 429
        assert limited.headers.get("retry-after") == header


def test_retry_after_can_be_a_date(emulate, clock: Clock) -> None:
    """In the form HTTP gives dates."""
    ask = emulate(requests_per_minute=1, retry_after="date", clock=clock)
    ask("embeddings", BODY)
    assert ask("embeddings", BODY).headers["retry-after"].endswith(" GMT")


def test_a_refused_body_costs_nothing(emulate, clock: Clock) -> None:
    """Only what passes every rule is booked."""
    ask = emulate(requests_per_minute=1, clock=clock)
    assert ask("embeddings", {}).status_code == 400
    assert ask("embeddings", BODY | {"model": "nonexistent"}).status_code == 400
    assert ask("embeddings", BODY).status_code == 200


def test_the_free_tier_warns_in_every_answer(emulate) -> None:
    """A 200 carries the sentence of a 429."""
    answer = emulate(free_tier=True)("embeddings", BODY)
    assert answer.headers["x-api-warning"].startswith("You have not yet added your payment method")
