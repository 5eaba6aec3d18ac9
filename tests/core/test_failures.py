"""The error for a response, and its message."""

from __future__ import annotations

import json
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import EPOCH, FREE_TIER, TOO_MANY_TOKENS
from voyage_rag.core.failures import failure_of, is_too_large, retry_after
from voyage_rag.errors import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    VoyageError,
)
from voyage_rag.hosts import select_host
from voyage_rag.hosts.failures import message_of
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.secret import APIKey

ONE_TOO_LONG = (
    "The example at index 0 in your batch has too many tokens and does not fit into the model's "
    "context window of 32000 tokens. Please lower the number of tokens in the listed example(s) or "
    "use truncation."
)

REQUEST = Request("/embeddings", b"{}", "voyage-4", 3)
HOST = select_host(APIKey("pa-test"), None)


def failure(status: int, body: bytes = b"", **headers: str) -> APIError:
    """The error of an answer."""
    return failure_of(REQUEST, Response(status, headers, body), HOST, lambda: EPOCH)


@pytest.mark.parametrize(
    ("message", "suggests"),
    [
        ("Model voyage-5 is not supported. Supported models are ['voyage-2'].", True),
        ("The model `voyage-5` does not exist", True),
        (f"Request to model 'voyage-5' failed. {ONE_TOO_LONG}", False),
    ],
)
def test_another_model_is_suggested_only_for_an_unknown_one(message: str, suggests: bool) -> None:
    """A model that is newer than the catalogue may have refused the inputs."""
    request = replace(REQUEST, model="voyage-5")
    body = json.dumps({"detail": message}).encode()
    found = failure_of(request, Response(400, {}, body), HOST, lambda: EPOCH)
    assert ("Did you mean 'voyage-" in found.message) == suggests


DETAILS = [
    (b'{"detail":"a b"}', "a b"),
    (b'{"detail":"a","error_code":"X"}', "a"),
    (b'{"detail":[{"loc":["body"],"msg":"bad"}]}', '[{"loc": ["body"], "msg": "bad"}]'),
    (b'{"detail":{"message":"a"}}', "a"),
    (b'{"detail":{"message":7}}', '{"message": 7}'),
    (b'{"detail":""}', '{"detail": ""}'),
    (b'{"message":"a"}', "a"),
    (b'{"error":"a"}', "a"),
    (b'{"error":{"message":"a","type":"t"}}', "a"),
    (b'{"detail":null,"message":"a"}', "a"),
    (b'{"other":1}', '{"other": 1}'),
    (b'"a"', '"a"'),
    (b"[]", ""),
    (b"null", ""),
    (b"", ""),
    (b"   ", ""),
    (b"Bad Gateway", "Bad Gateway"),
    (b"<html><body>502</body></html>", ""),
    (b"\n <!DOCTYPE html>", ""),
    (b"<html><head><TITLE>\n 403 \x1b[1m Forbidden</TITLE>", "a web page: 403 ?[1m Forbidden"),
    (b"\xff\xfe", "\ufffd\ufffd"),
    (b"[" * 100_000, "[" * 300),
]


@pytest.mark.parametrize(("body", "detail"), DETAILS, ids=[repr(b[:24]) for b, _ in DETAILS])
def test_the_detail_of_an_error_answer_is_found_whatever_its_shape(
    body: bytes, detail: str
) -> None:
    """FastAPI's envelope, gateways' envelopes, plain text; a page of HTML says nothing."""
    assert detail == message_of(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["detail", "message", "error", "x"]), inner, max_size=3)
    ),
)


@given(st.sampled_from([400, 401, 418, 429, 500, 302, 204, 999]), json_values)
def test_any_json_makes_an_error_with_a_message(status: int, value: Any) -> None:
    """No shape of an error answer breaks the error, and its message is never empty or endless."""
    error = failure(status, json.dumps(value).encode())

    assert 0 < len(error.message) < 1_000
    assert (status, "voyage-4") == (error.http_status, error.model)


@given(st.integers(100, 999).filter(lambda status: status != 200), st.binary())
def test_any_bytes_make_an_error(status: int, body: bytes) -> None:
    """Neither does any string of bytes, with any status."""
    error = failure(status, body)

    assert isinstance(error, APIError)
    assert error.message


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        ((400, 404, 405, 409, 410, 413, 422), InvalidRequestError),
        ((401,), AuthenticationError),
        ((403,), PermissionDeniedError),
        ((429,), RateLimitError),
        ((408, 424, 425, 499, 500, 501, 505, 528, 530, 599), ServerError),
        ((502, 503, 504, 529), ServiceUnavailableError),
        ((100, 201, 204, 300, 302, 399, 600), APIError),
    ],
)
def test_a_status_has_its_class(statuses: tuple[int, ...], error: type[APIError]) -> None:
    """As the tree of errors says."""
    assert [error] * len(statuses) == [type(failure(status)) for status in statuses]


def test_a_response_without_a_message_gets_one() -> None:
    """An error without a reason contains the status."""
    assert failure(418).message == "the service responded with HTTP 418 and no message"


def test_a_long_detail_is_cut() -> None:
    """A message stays readable."""
    assert failure(400, json.dumps({"detail": "x" * 5_000}).encode()).message == "x" * 600


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "VOYAGE_API_KEY"),
        (403, "host"),
        (404, "/v1"),
        (405, "/v1"),
        (410, "retired"),
        (429, "limit"),
    ],
)
def test_a_remedy_follows_what_the_service_says(status: int, remedy: str) -> None:
    """The message keeps the service's words and adds what to do."""
    message = failure(status, b'{"detail":"No."}').message

    assert message.startswith("No. (")
    assert remedy in message


@pytest.mark.parametrize("status", [201, 202, 206])
def test_a_result_under_another_status_is_not_printed(status: int) -> None:
    """It may hold vectors or texts."""
    body = json.dumps({"data": [{"embedding": [0.125, 0.25], "index": 0}]}).encode()
    message = failure(status, body).message

    assert "0.125" not in message
    assert "instead of 200" in message


def test_a_redirect_is_named_and_not_followed() -> None:
    """The message says where the address leads, without its path, and to set base_url."""
    error = failure(307, b"moved", location="https://elsewhere.example/secret-path")

    assert "'https://elsewhere.example'" in error.message
    assert "base_url" in error.message
    assert "secret-path" not in error.message


def test_a_redirect_within_the_host_or_to_tls_says_so() -> None:
    """A missing slash or a plain address is the usual cause."""
    assert "another path of the same host" in failure(308, location="/v1/embeddings/").message
    assert (
        "'https://here.example:8443'" in failure(301, location="https://here.example:8443/").message
    )


def test_a_redirect_to_nowhere_is_still_an_error() -> None:
    """A redirect without or with a broken location is an error like any other."""
    assert "an unnamed host" in failure(301).message
    assert isinstance(failure(301, location="http://[broken"), APIError)


def test_the_request_id_and_retry_after_are_kept() -> None:
    """They are attributes of the error."""
    error = failure(503, **{"x-request-id": "abc", "retry-after": "7"})

    assert (error.request_id, error.retry_after) == ("abc", 7.0)


@pytest.mark.parametrize(
    ("detail", "error"),
    [
        (FREE_TIER, RateLimitError),
        ("Requests Per Minute (RPM) rate limit of 2000 reached", RateLimitError),
        ("Too many requests", RateLimitError),
        ("", RateLimitError),
        ("Rate limit exhausted, insufficient capacity", RateLimitError),
        ("Insufficient balance", QuotaExhaustedError),
        ("Your free tokens are exhausted", QuotaExhaustedError),
        ("You are OUT OF CREDITs", QuotaExhaustedError),
        ("You exceeded your current quota, check your plan and billing", QuotaExhaustedError),
        ("You have exceeded the monthly usage quota. It resets on Monday", QuotaExhaustedError),
        ("limited to 1000 calls / month; a paid key has higher rate limits", QuotaExhaustedError),
        ("Free limit of 50000 events reached: upgrade your plan", QuotaExhaustedError),
        ("Budget has been exceeded! Current cost: 1.2, Max budget: 1.0", QuotaExhaustedError),
        ("LiteLLM User: one, exceeded budget for model=voyage-4", QuotaExhaustedError),
        ("No deployments available - crossed budget. Try again in 5 seconds", RateLimitError),
        ("limited to 40 calls / minute; a paid key has higher rate limits", RateLimitError),
        ("Limit of 14400 requests per day. Please try again in 6.5s", RateLimitError),
        ("Resource exhausted. Please try again later.", RateLimitError),
        ("trial token rate limit exceeded, limit is 100000 tokens per minute", RateLimitError),
    ],
)
def test_a_429_about_billing_is_distinguished_from_a_rate_limit(
    detail: str, error: type[VoyageError]
) -> None:
    """Words of money, or of weeks, make a quota that does not pass soon; words of a rate do not.

    All but the first two are quoted from other services and gateways.
    """
    assert error is type(failure(429, json.dumps({"detail": detail}).encode()))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("No deployments available for selected model, Try again in 60 seconds.", 60.0),
        ("Please retry in 52.454646382s.", 52.454646382),
        ("pricing tier. Please retry after 20 seconds. Please go here", 20.0),
        ("Limit 3, Used 3, Requested 1. Please try again in 6m0s. Visit", 360.0),
        ("Please try again in 120ms", 0.12),
        ("try again in 2 minutes", 120.0),
        ("try again in 1h5m", 3_900.0),
        ("try again later", None),
        ("try again in 3 attempts", None),
        ("wait 20 s", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_delay_that_a_gateway_names_in_words_is_kept(
    status: int, message: str, seconds: float | None
) -> None:
    """As one in a Retry-After, which is believed if there are both."""
    body = json.dumps({"error": {"message": message}}).encode()
    found = failure(status, body).retry_after

    assert found == (None if seconds is None else pytest.approx(seconds))
    assert failure(status, body, **{"retry-after": "7"}).retry_after == 7.0
    assert failure(500, body).retry_after is None


def test_only_a_429_can_be_about_money() -> None:
    """The same words with another status mean that status."""
    assert InvalidRequestError is type(failure(400, b'{"detail":"Insufficient balance"}'))


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (400, TOO_MANY_TOKENS, True),
        (429, TOO_MANY_TOKENS, False),
        (500, TOO_MANY_TOKENS, False),
        (400, ONE_TOO_LONG, False),
        (400, "The batch size limit is 1000. Your batch size is 3663.", False),
    ],
    ids=["batch", "429", "500", "one example", "count"],
)
def test_only_a_batch_with_too_many_tokens_is_worth_halving(
    status: int, detail: str, expected: bool
) -> None:
    """It is the recorded wording of a 400, and nothing like it."""
    error = failure(status, json.dumps({"detail": detail}).encode())

    assert expected is is_too_large(error)


@given(st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_none(value: str) -> None:
    """No header value breaks the retry, or gives a wait that is not a number of seconds."""
    seconds = retry_after({"retry-after": value, "retry-after-ms": value}, EPOCH)

    assert seconds is None or 0 <= seconds < 1e12


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("9" * 40, 999_999_999.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0.0),
        ("Tue, 14 Nov 1995 22:13:20 GMT", 0.0),
        ("7.5", 7.5),
        ("1700000030", 30.0),
        ("", None),
        ("7.", None),
        ("7s", None),
        ("-7", None),
        ("٧", None),
        ("Tue, 99 Nov 2023 22:13:50 GMT", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_has_it(value: str, seconds: float | None) -> None:
    """Seconds, of gateways with decimals, or a date; a past date is no wait; all else is no use."""
    assert seconds == retry_after({"retry-after": value}, EPOCH)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "23"}, 23.0),
        ({"x-ratelimit-reset": "23", "x-ratelimit-remaining": "0"}, 23.0),
        ({"x-ratelimit-reset": "1700000023"}, 23.0),
        ({"x-ratelimit-reset": "1700000023000"}, 23.0),
        ({"ratelimit": '"default";r=0;t=23'}, 23.0),
        ({"ratelimit": '"burst";r=5;t=90, "minute";r=0;t=23'}, 23.0),
        ({"ratelimit": "limit=100, remaining=0, reset=23"}, 23.0),
        ({"x-ratelimit-reset": "90", "x-ratelimit-remaining": "5"}, None),
        ({"ratelimit": '"default";r=5;t=23'}, None),
        ({"ratelimit-reset": "soon"}, None),
        ({"retry-after": "7", "ratelimit-reset": "23"}, 7.0),
    ],
)
def test_the_delay_lasts_until_an_exhausted_limit_is_reset(
    headers: dict[str, str], seconds: float | None
) -> None:
    """A gateway may send no Retry-After, and also limits that are not the cause."""
    assert failure(429, **headers).retry_after == seconds
    assert failure(500, **{**headers, "retry-after": "7"}).retry_after == 7.0


@pytest.mark.parametrize("skew", [-300, 300])
@pytest.mark.parametrize(
    "name_and_value",
    [
        ("retry-after", formatdate(EPOCH + 30, usegmt=True)),
        ("x-ratelimit-reset", str(int(EPOCH) + 30)),
    ],
)
def test_a_time_is_compared_with_the_clock_of_the_server(
    name_and_value: tuple[str, str], skew: int
) -> None:
    """The clock of a virtual machine or a laptop may be minutes wrong, for example after sleep."""
    name, value = name_and_value
    headers = {name: value, "date": formatdate(EPOCH, usegmt=True)}
    response = Response(429, headers, b"")
    found = failure_of(REQUEST, response, HOST, lambda: EPOCH + skew)
    assert found.retry_after == 30.0


def test_milliseconds_are_more_exact_than_seconds() -> None:
    """As OpenAI's and Azure's gateways send them beside whole seconds."""
    assert retry_after({"retry-after": "1", "retry-after-ms": "250"}, EPOCH) == 0.25
    assert retry_after({"retry-after": "1", "retry-after-ms": "soon"}, EPOCH) == 1.0
    assert retry_after({}, EPOCH) is None


def test_litellm_sends_the_delay_in_a_header_of_its_own() -> None:
    """Its proxy adds a prefix to the headers of the provider and of its own limits."""
    assert retry_after({"llm_provider-retry-after": "60"}, EPOCH) == 60.0
    assert retry_after({"llm_provider-retry-after": "60", "retry-after": "7"}, EPOCH) == 7.0
