"""Errors contain what an operator needs, whatever the shape of a response."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import Runner
from fakes import FREE_TIER, KEY, MODEL, RERANKER, FakeClock, FakeService, failed, ok, voyage_over
from voyage_rag.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    InvalidRequestError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    Timeout,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.messages import Response

WORDS = st.sampled_from(
    [
        "detail",
        "message",
        "error",
        "loc",
        "RPM) rate limit of ",
        "TPM) rate limit of ",
        "3 RPM and 10 K TPM",
        "example at index ",
        "lower the number of tokens in the batch",
        "1,000",
        ",",
        "9" * 400,
        "insufficient balance",
        "\ud800",
        "\x1b[31m",
        "\x00",
    ]
)
TEXTS = st.lists(WORDS | st.text(max_size=6), max_size=5).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=40)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["detail", "message", "error"]), VALUES, min_size=1).map(
        lambda value: json.dumps(value).encode()
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-request-id", "location", "content-type", "date"]),
    TEXTS
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 01 Jan 0001 00:00:00 -2359",
            "Sun, 06 Nov 1994 08:49:37 -0000",
            "https://[::1",
            "http://elsewhere:99999/",
        ]
    ),
)


def lists(depth: int) -> bytes:
    return b'{"detail":' + b"[" * depth + b"]" * depth + b"}"


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(status=st.integers(100, 599), body=BODIES, headers=HEADERS)
@example(status=429, body=b'{"detail":"Requests Per Minute (RPM) rate limit of ,"}', headers={})
@example(status=429, body=b'{"detail":"RPM) rate limit of 0 TPM) rate limit of 0"}', headers={})
@example(status=400, body=b'{"detail":"example at index ' + b"9" * 500 + b'"}', headers={})
@example(status=500, body=lists(500), headers={})
@example(status=500, body=lists(900), headers={})
@example(status=500, body=lists(100_000), headers={})
@example(status=500, body=b"9" * 10_000, headers={})
@example(status=500, body=b'{"detail":"\\ud800 \\u001b[31m"}', headers={"x-request-id": "\x1b"})
@example(status=503, body=b"", headers={"retry-after": "9" * 400})
@example(status=503, body=b"", headers={"retry-after": "Mon, 01 Jan 0001 00:00:00 -2359"})
@example(status=307, body=b"", headers={"location": "https://[::1"})
def test_no_answer_breaks_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """It is one of our errors, has the known details, and can be printed, logged and pickled."""
    answer = Response(status, headers, body)
    service = FakeService(always=lambda _: answer)
    voyage = voyage_over(service, FakeClock(), max_retries=1)
    with pytest.raises(VoyageError) as caught:
        voyage.embed(["a", "b"], MODEL)

    error = caught.value
    assert error.http_status == status
    assert error.model == MODEL
    assert error.attempts in {1, 2}
    assert {*error.indices} <= {0, 1}
    assert error.indices
    check_that_it_can_be_told(error)


def check_that_it_can_be_told(error: VoyageError) -> None:
    reported = str(error)
    assert reported.encode("utf-8")
    assert len(reported) < 2_000
    assert all(c.isprintable() or c == "\n" for c in reported), reported
    assert error.message
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is type(error)
    assert vars(copied) == vars(error)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (error,), None)
    assert logging.Formatter().format(record) == reported


@pytest.mark.parametrize(
    ("answers", "kind", "what_to_do"),
    [
        ([failed(400, "bad", x_request_id="r")], InvalidRequestError, "bad"),
        ([failed(401, "no", x_request_id="r")], AuthenticationError, "VOYAGE_API_KEY"),
        ([failed(404, "no", x_request_id="r")], InvalidRequestError, "base_url"),
        ([failed(413, "", x_request_id="r")], InvalidRequestError, "shorten"),
        ([failed(429, FREE_TIER, x_request_id="r")] * 3, RateLimitError, "requests_per_minute"),
        ([failed(429, "balance exhausted", x_request_id="r")], QuotaExhaustedError, "credit"),
        ([failed(500, "oops", x_request_id="r")] * 3, ServerError, "try again later"),
        ([Response(503, {"x-request-id": "r"}, b"<html>")] * 3, ServerError, "try again later"),
        ([ok({"data": []}, **{"x-request-id": "r"})] * 3, UnexpectedAnswerError, "proxy"),
    ],
)
def test_the_last_real_error_says_what_an_operator_needs(
    runner, answers: list[Response], kind: type[VoyageError], what_to_do: str
) -> None:
    """Attempts, status, request id, model, the inputs concerned and what to do."""
    for verb, arguments, model in (
        ("embed", (["a"], MODEL), MODEL),
        ("rerank", ("q", ["a"], RERANKER), RERANKER),
    ):
        voyage = voyage_over(FakeService(*answers), max_retries=2)
        with pytest.raises(kind) as caught:
            runner.call(voyage, verb, *arguments)

        error = caught.value
        assert type(error) is not APIError
        assert (error.attempts, error.http_status) == (len(answers), answers[0].status)
        assert (error.request_id, error.model, error.indices) == ("r", model, (0,))
        assert what_to_do in error.message
        assert "request r" in str(error)
        assert (len(answers) == 1) or f"{len(answers)} attempts" in str(error)
        check_that_it_can_be_told(error)


@pytest.mark.parametrize(
    ("lost", "what_to_do"),
    [(APIConnectionError("no answer from x"), ""), (Timeout("late"), "")],
)
def test_a_lost_connection_says_what_it_can(runner, lost: VoyageError, what_to_do: str) -> None:
    """There is neither status nor request id; attempts, and the inputs concerned."""
    voyage = voyage_over(FakeService(lost, lost), max_retries=1)
    with pytest.raises(type(lost)) as caught:
        runner.call(voyage, "embed", ["a", "b"], MODEL)

    error = caught.value
    assert (error.attempts, error.http_status, error.request_id) == (2, None, None)
    assert error.indices == (0, 1)
    check_that_it_can_be_told(error)


def test_the_last_error_is_the_one_that_is_raised(runner) -> None:
    """Not the first, nor one that combines several."""
    script = [failed(503), APIConnectionError("lost"), failed(500, "the last", x_request_id="z")]
    with pytest.raises(ServerError, match="the last") as caught:
        runner.call(voyage_over(FakeService(*script), max_retries=2), "embed", ["a"], MODEL)
    assert (caught.value.attempts, caught.value.request_id) == (3, "z")


def test_a_key_that_the_service_repeats_is_redacted(runner, http_service) -> None:
    """A debugging proxy may return the request that it received."""
    from voyage_rag import Voyage

    http_service.always = lambda _: failed(400, f"I got Bearer {KEY}", x_request_id=KEY)
    voyage = Voyage(KEY, base_url=http_service.url)
    with pytest.raises(InvalidRequestError) as caught:
        runner.call(voyage, "embed", ["a"], MODEL)

    assert KEY not in str(caught.value)
    assert KEY not in repr(vars(caught.value))
    assert "I got Bearer" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"No provider answered","code":null}}', "No provider answered"),
        (b'{"detail":"overloaded"}', "overloaded"),
        (b"<html><head><title>Sign in to Guest WiFi</title>", "Sign in to Guest WiFi"),
        (b" <!doctype html><body>", "a web page, not JSON: check base_url"),
        (f'{{"error":"bad key {KEY}"}}'.encode(), "bad key"),
    ],
)
def test_an_error_with_status_200_is_quoted(runner: Runner, body: bytes, said: str) -> None:
    """Gateways and networks that require a login respond with 200; the error quotes them."""
    service = FakeService(always=lambda _: Response(200, {}, body))
    with pytest.raises(UnexpectedAnswerError) as caught:
        runner.call(voyage_over(service, max_retries=0), "embed", ["a"], MODEL)

    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    check_that_it_can_be_told(caught.value)


def test_vectors_with_status_200_are_not_quoted(runner: Runner) -> None:
    """A response that is no error does not fill the message."""
    body = json.dumps({"data": [], "numbers": [0.123456] * 9}).encode()
    service = FakeService(always=lambda _: Response(200, {}, body))
    with pytest.raises(UnexpectedAnswerError) as caught:
        runner.call(voyage_over(service, max_retries=0), "embed", ["a"], MODEL)

    assert "0.123456" not in str(caught.value)
