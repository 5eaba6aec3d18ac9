"""Retries: which requests are sent again, when, and with which outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from fakes import (
    EPOCH,
    FREE_TIER,
    MODEL,
    FakeClock,
    FakeService,
    embedded,
    failed,
    ok,
    served,
    voyage_over,
)
from voyage_rag.core.flow import Attempt
from voyage_rag.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    Timeout,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.messages import Response

if TYPE_CHECKING:
    from conftest import Runner


@dataclass
class Played:
    """The outcome of a script."""

    attempts: list[Attempt]
    waits: list[float]
    outcome: Any


def play(
    *script: Response | Exception,
    took: float = 0.0,
    input_type: str | None = None,
    **options: Any,
) -> Played:
    """Embed one text with a service that does as the script says, then responds normally."""
    clock = FakeClock()
    service = FakeService(*script)
    sent_at: list[float] = []
    send = service.send

    def timed(attempt: Attempt, abort: Any) -> Response:
        sent_at.append(clock.now())
        clock.advance(took)
        return send(attempt, abort)

    service.send = timed  # type: ignore[method-assign]
    voyage = voyage_over(service, clock, **options)
    voyage.context = replace(
        voyage.context,
        policy=replace(voyage.context.policy, chance=lambda: 0.0),
        query_policy=replace(voyage.context.query_policy, chance=lambda: 0.0),
    )
    try:
        outcome: Any = voyage.embed(["text"], MODEL, input_type).vectors.dtype
    except VoyageError as error:
        outcome = error
    waits = [later - sooner - took for sooner, later in pairwise(sent_at)]
    return Played(service.attempts, [round(wait, 6) for wait in waits], outcome)


SENT_AGAIN = [408, 424, 425, 429, 499, 500, 502, 503, 504, 529, 599]
SENT_ONCE: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: InvalidRequestError,
    405: InvalidRequestError,
    409: InvalidRequestError,
    410: InvalidRequestError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    418: InvalidRequestError,
    201: APIError,
    204: APIError,
    301: APIError,
    307: APIError,
}


@pytest.mark.parametrize("status", SENT_AGAIN)
def test_a_failure_that_may_pass_is_tried_again(status: int) -> None:
    """408, 424, 425, 429, 499 and every 5xx lead to another attempt, which knows why."""
    played = play(failed(status))

    assert played.outcome == "float"
    assert [attempt.number for attempt in played.attempts] == [1, 2]
    assert status == played.attempts[1].failure.http_status


@pytest.mark.parametrize(("status", "error"), SENT_ONCE.items())
def test_an_answer_that_another_try_cannot_change_is_final(
    status: int, error: type[APIError]
) -> None:
    """Every other status is raised as its class after one attempt."""
    played = play(failed(status, "no"))

    assert error is type(played.outcome)
    assert (1, status) == (played.outcome.attempts, played.outcome.http_status)
    assert len(played.attempts) == 1


@pytest.mark.parametrize(
    "failure",
    [
        APIConnectionError("refused"),
        Timeout("too late"),
        ok({"data": []}),
        ok([]),
        Response(200, {}, b"<html>"),
    ],
    ids=["refused", "timeout", "too few vectors", "no object", "no JSON"],
)
def test_a_lost_or_unsound_answer_is_asked_for_again(failure: Response | Exception) -> None:
    """A lost connection, a timeout, and a 200 without a valid result are retried."""
    played = play(failure)

    assert played.outcome == "float"
    assert len(played.attempts) == 2


def test_without_max_retries_there_are_six_and_for_a_rate_limit_as_many_as_time_allows() -> None:
    """A failure may be permanent, but a limit is temporary: only total_timeout ends its retries."""
    failure, limit = (play(*[failed(status)] * 50, total_timeout=3_600.0) for status in (500, 429))

    assert (ServerError, 7) == (type(failure.outcome), len(failure.attempts))
    assert (limit.outcome, len(limit.attempts)) == ("float", 51)
    assert (RateLimitError, 20) == (
        type(play(*[failed(429)] * 50, max_retries=19, total_timeout=None).outcome),
        len(play(*[failed(429)] * 50, max_retries=19, total_timeout=None).attempts),
    )


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (failed(500), ServerError),
        (failed(503), ServiceUnavailableError),
        (failed(429), RateLimitError),
        (APIConnectionError("refused"), APIConnectionError),
        (ok({"data": []}), UnexpectedAnswerError),
    ],
    ids=["500", "503", "429", "refused", "unsound"],
)
def test_attempts_are_counted_and_end(
    failure: Response | Exception, error: type[VoyageError], retries: int
) -> None:
    """After max_retries retries, the failure is raised with the number of attempts."""
    played = play(*[failure] * 9, max_retries=retries)

    assert error is type(played.outcome)
    assert retries + 1 == played.outcome.attempts == len(played.attempts)


def test_the_last_failure_is_the_one_raised() -> None:
    """Independently of earlier failures."""
    played = play(failed(500, "first"), Timeout("second"), failed(401, "third"))

    assert AuthenticationError is type(played.outcome)
    assert (played.outcome.attempts, played.outcome.message.startswith("third")) == (3, True)


def test_waits_double_from_half_a_second_to_half_a_minute() -> None:
    """Without jitter the waits are 0.5, 1, 2, ... and never more than 32 seconds."""
    played = play(*[failed(500)] * 9, max_retries=9, total_timeout=None)

    assert played.waits == [0.5, 1, 2, 4, 8, 16, 32, 32, 32]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("seconds", [0, 1, 7, 59])
def test_retry_after_in_seconds_is_waited_out(status: int, seconds: int) -> None:
    """A Retry-After of n delays the next attempt by n seconds, for every status."""
    played = play(failed(status, retry_after=str(seconds)))

    assert seconds <= played.waits[0] <= seconds + 1


def test_retry_after_as_a_date_is_waited_out() -> None:
    """A Retry-After may name a time of day (RFC 9110, 10.2.3)."""
    played = play(failed(503, retry_after=formatdate(EPOCH + 42, usegmt=True)))

    assert 42 <= played.waits[0] <= 43


@pytest.mark.parametrize("value", ["soon", "", "-5", "1.5.2", "Thu, 99 Xyz", "１２", "0x10"])
def test_a_retry_after_of_no_use_is_as_good_as_none(value: str) -> None:
    """An invalid header neither fails nor changes the delay."""
    assert play(failed(503, retry_after=value)).waits == [0.5]


def test_vectors_of_another_length_are_not_requested_for_half_a_minute() -> None:
    """The server has another model: three attempts instead of seven, also after right ones."""
    wrong = ok(embedded([[1.0, 2.0, 3.0]]))
    service = FakeService(served, always=lambda _: wrong)
    voyage = voyage_over(service)
    assert voyage.embed(["text"], MODEL).vectors
    with pytest.raises(UnexpectedAnswerError) as caught:
        voyage.embed(["text"], MODEL, output_dimension=256)
    assert (caught.value.attempts, len(service.attempts)) == (3, 1 + 3)


def page(_body: bytes) -> Response:
    """What a web application sends for any address."""
    return Response(200, {}, b"<!doctype html><title>Open WebUI</title>")


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Sign in</body></html>",
        b"<!doctype html><title>Open WebUI</title>",
        b'{"error": "Unexpected endpoint or method. (POST /embeddings)"}',
        b'{"embedding": []}',
        b"[[1.0, 2.0]]",
    ],
)
def test_an_address_of_something_else_is_not_tried_for_half_a_minute(body: bytes) -> None:
    """A web page or an error with status 200: three attempts instead of seven."""
    service = FakeService(always=lambda _: Response(200, {}, body))
    with pytest.raises(UnexpectedAnswerError) as caught:
        voyage_over(service).embed(["text"], MODEL)
    assert caught.value.attempts == 3


def test_a_page_during_a_job_is_a_failure_of_the_gateway() -> None:
    """Earlier responses were valid, so later ones probably are, too."""
    service = FakeService(served, *[page] * 6)
    voyage = voyage_over(service)
    assert voyage.embed(["text"], MODEL).vectors
    assert voyage.embed(["text"], MODEL).vectors


@pytest.mark.parametrize(
    ("error", "expected", "attempts"),
    [
        ({"error": {"message": "No endpoints found", "code": 404}}, InvalidRequestError, 1),
        ({"error": {"message": "User not found", "code": "401"}}, AuthenticationError, 1),
        ({"message": "Rate limit exceeded", "code": 429}, RateLimitError, 4),
        (
            {"error": {"message": "Provider returned error", "code": 502}},
            ServiceUnavailableError,
            4,
        ),
        ({"error": {"message": "unknown", "code": "model_error"}}, UnexpectedAnswerError, 3),
    ],
)
def test_an_error_with_status_200_has_the_status_that_it_names(
    error: dict[str, Any], expected: type[VoyageError], attempts: int
) -> None:
    """As OpenRouter sends the errors of providers."""
    played = play(*[ok(error)] * 9, input_type="query")
    assert type(played.outcome) is expected
    assert played.outcome.attempts == attempts


def test_a_quota_that_is_used_up_is_not_tried_again() -> None:
    """A 429 about money is raised at once: waiting does not help."""
    played = play(failed(429, "Insufficient balance: the account's credit is exhausted."))

    assert QuotaExhaustedError is type(played.outcome)
    assert played.outcome.attempts == 1


def test_the_free_tiers_refusal_is_tried_again() -> None:
    """Its 429 mentions payment, too, but waiting helps."""
    played = play(failed(429, FREE_TIER))

    assert played.outcome == "float"


def test_the_total_timeout_ends_the_attempts() -> None:
    """Attempts and the waits between them stay within total_timeout; the last error is raised."""
    played = play(*[failed(500)] * 9, max_retries=9, total_timeout=10.0)

    assert ServerError is type(played.outcome)
    assert played.waits == [0.5, 1, 2, 4]
    assert played.outcome.attempts == 5


def test_a_limit_that_leaves_no_time_is_raised_at_once() -> None:
    """Not after a backoff, with a message about an attempt that is never made."""
    named = failed(429, "Requests Per Minute (RPM) rate limit of 1")
    clock = FakeClock()
    voyage = voyage_over(FakeService(served, named), clock, query_total_timeout=20.0)
    voyage.embed(["a"], MODEL, "query")

    with pytest.raises(RateLimitError, match=r"next request is allowed in (59|60)"):
        voyage.embed(["b"], MODEL, "query")
    assert clock.sleeps == []


def test_a_pause_without_a_known_limit_is_named() -> None:
    """A query during the pause that another one's Retry-After requires."""
    voyage = voyage_over(FakeService(failed(429, "slow down", retry_after="3000")), FakeClock())
    with pytest.raises(RateLimitError, match=r"slow down .* is allowed in 3,000\.\d s"):
        voyage.embed(["a"], MODEL, "query")

    with pytest.raises(RateLimitError, match=r"^the pause after an earlier 429 allows no request"):
        voyage.embed(["b"], MODEL, "query")


def test_no_attempt_may_outlast_the_total_timeout() -> None:
    """The timeout of an attempt is limited by the rest of total_timeout."""
    played = play(*[Timeout("late")] * 2, took=4.0, timeout=5.0, total_timeout=10.0)

    assert [attempt.timeout for attempt in played.attempts] == [5.0, 5.0, 0.5]


def test_a_retry_after_beyond_the_total_timeout_is_not_waited_for() -> None:
    """A Retry-After beyond the total timeout ends the request at once."""
    played = play(failed(503, retry_after="3600"), total_timeout=60.0)

    assert (ServiceUnavailableError, 3600.0) == (type(played.outcome), played.outcome.retry_after)
    assert len(played.attempts) == 1


def test_an_invalid_response_names_its_host() -> None:
    """The error has model, status and request id, for the service's support."""
    error = play(ok({}, **{"x-request-id": "abc"}), max_retries=0).outcome

    assert (error.model, error.http_status, error.request_id) == ("voyage-of-tests", 200, "abc")


def test_a_damaged_response_blames_the_network() -> None:
    """Which `voyage-rag doctor` examines; other failures do not say so."""
    spoiled = play(ok("no object"), max_retries=0).outcome
    assert isinstance(spoiled, UnexpectedAnswerError)
    assert "`voyage-rag doctor` shows proxies" in spoiled.message
    assert "doctor" not in play(failed(503), max_retries=0).outcome.message


def test_an_internal_error_is_not_retried() -> None:
    """Errors that are not failures of the service are raised immediately."""
    with pytest.raises(ZeroDivisionError):
        play(ZeroDivisionError())


# ── queries ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("failure", [failed(503), failed(429), Timeout("late"), ok({"data": []})])
def test_a_query_is_tried_four_times(failure: Response | Exception) -> None:
    """Three retries after any failure, because a user waits."""
    played = play(*[failure] * 50, input_type="query")

    assert isinstance(played.outcome, VoyageError)
    assert played.outcome.attempts == len(played.attempts) == 4
    assert sum(played.waits) < 10


def test_a_query_has_its_own_options() -> None:
    """At most those of jobs."""
    assert len(play(*[failed(500)] * 50, input_type="query", query_max_retries=1).attempts) == 2
    assert len(play(*[failed(500)] * 50, input_type="query", max_retries=0).attempts) == 1
    slow = play(*[failed(500)] * 50, input_type="query", query_total_timeout=2.0)
    assert slow.waits == [0.5, 1.0]
    short = play(*[failed(500)] * 50, input_type="query", total_timeout=1.0)
    assert short.waits == [0.5]


def test_many_texts_are_a_job_even_as_queries() -> None:
    """An evaluation embeds thousands of questions, for which no user waits."""
    clock, service = FakeClock(), FakeService(*[failed(500)] * 5)

    voyage_over(service, clock).embed([f"text {n}" for n in range(9)], MODEL, "query")

    assert len(service.attempts) == 6


@pytest.mark.parametrize(
    "options", [{"query_max_retries": -1}, {"query_total_timeout": 0}, {"query_max_retries": 1.5}]
)
def test_options_of_queries_are_checked(options: dict[str, Any]) -> None:
    """By name, at construction."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        voyage_over(FakeService(), **options)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("detail", ["slow down", FREE_TIER])
@pytest.mark.parametrize("total", [0.1, 10.0, 70.0, 300.0])
@pytest.mark.parametrize("input_type", [None, "query"])
def test_no_call_outlives_its_total_timeout(
    runner: Runner, total: float, detail: str, input_type: str | None
) -> None:
    """Including the wait for the limit. The error has the number of attempts and the next possible
    time.
    """
    clock = FakeClock()
    service = FakeService(always=lambda body: failed(429, detail))
    voyage = voyage_over(service, clock, total_timeout=total)
    began = clock.now()

    with pytest.raises(RateLimitError) as raised:
        runner.call(voyage, "embed", ["text"], MODEL, input_type)

    assert clock.now() - began <= total
    assert raised.value.attempts == len(service.attempts) >= 1
    assert "the next request is allowed in" in raised.value.message


def test_a_limit_that_leaves_no_room_in_time_is_reported_at_once(runner: Runner) -> None:
    """Nothing is sent, and the call does not wait."""
    clock, service = FakeClock(), FakeService()
    voyage = voyage_over(service, clock, total_timeout=10.0, requests_per_minute=1)
    runner.call(voyage, "embed", ["text"], MODEL)

    with pytest.raises(
        RateLimitError, match=r"1 request per minute .* allowed in 60.1 s"
    ) as raised:
        runner.call(voyage, "embed", ["text"], MODEL)

    assert (raised.value.attempts, len(service.attempts), clock.sleeps) == (0, 1, [])


def test_a_long_job_under_a_known_limit_does_not_time_out(runner: Runner) -> None:
    """The time of each request starts when it is the next one."""
    clock, service = FakeClock(), FakeService()
    voyage = voyage_over(service, clock, total_timeout=90.0, requests_per_minute=1)

    runner.call(voyage, "embed", [f"text {n}" for n in range(8)], MODEL, batch_size=1)

    assert len(service.attempts) == 8
    assert sum(clock.sleeps) > 7 * 60


@pytest.mark.parametrize("value", ["99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "3601"])
@pytest.mark.parametrize("total", [None, 300.0])
def test_a_retry_after_in_the_far_future_is_not_waited_for(value: str, total: float | None) -> None:
    """Nor does it stop the requests after it."""
    played = play(failed(429, retry_after=value), total_timeout=total)

    assert isinstance(played.outcome, RateLimitError)
    assert "the client waits at most 3,600 s" in played.outcome.message


def unreachable() -> APIConnectionError:
    error = APIConnectionError("refused")
    error.never_sent = True
    return error


@pytest.mark.parametrize("input_type", [None, "query"])
def test_a_host_that_cannot_be_reached_is_given_up_soon(input_type: str | None) -> None:
    """A refused connection or an unknown name is rarely repaired within seconds."""
    played = play(*[unreachable() for _ in range(50)], input_type=input_type)

    assert isinstance(played.outcome, APIConnectionError)
    assert len(played.attempts) > 1
    assert sum(played.waits) < 3


def test_a_job_waits_for_a_host_that_was_reached_before() -> None:
    """A server that restarts does not end the work of hours."""
    clock, service = FakeClock(), FakeService(served, *[unreachable() for _ in range(5)])
    voyage = voyage_over(service, clock)

    for _ in range(2):
        voyage.embed(["text"], MODEL)

    assert len(service.attempts) == 7
