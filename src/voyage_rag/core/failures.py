"""Convert an error response to an exception that names the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime

from voyage_rag.core.rate_limits import RateLimits
from voyage_rag.errors import (
    APIConnectionError,
    APIError,
    InvalidRequestError,
    RateLimitError,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.failures import (
    TOO_MANY_REQUESTS,
    delay_named,
    error_in_success,
    printable,
    status_in_success,
)
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.models import kind_of
from voyage_rag.suggestions import similar_model

OK, UNAVAILABLE = 200, 503
MAX_ID_CHARS = 128
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
MAX_SECONDS = 999_999_999.0
EPOCH_SECONDS, EPOCH_MILLISECONDS = 1e9, 1e12
"""Larger numbers are timestamps, not durations: a billion seconds is in the year 2001."""

LITELLM_RETRY_AFTER = "llm_provider-retry-after"
"""LiteLLM's proxy sends Retry-After by this name: the provider's, or that of its own limits."""

MAX_RETRY_AFTER_SECONDS = 3_600.0
"""A longer Retry-After ends the request: it is an error, or an outage that should be reported."""

UNREACHABLE_AFTER_SECONDS = 2.0
"""Time for which a host that refuses connections or has no address is retried."""

MAX_SYSTEMATIC = 3
"""Maximum attempts if every response has vectors of a wrong length, or is not from the API and no
earlier response was valid."""

EXHAUSTED = re.compile(r"\b(?:r|remaining)=0\s*[;,]\s*(?:t|reset)=(\d{1,9})\b")
"""A limit in the header `RateLimit`: `"default";r=0;t=23`, earlier `remaining=0, reset=23`."""


def failure_of(
    request: Request, response: Response, host: Host, wall_clock: Callable[[], float]
) -> APIError:
    """Return the error for a response with a status other than 200."""
    detail = host.error(response)
    message = detail.message or f"the service responded with HTTP {detail.status} and no message"
    message = f"{message} ({detail.remedy})" if detail.remedy else message
    if issubclass(detail.error_class, InvalidRequestError) and is_about_model(detail.message):
        similar = similar_model(request.model or "")
        message += f" Did you mean {similar!r}?" if similar else ""
    server_time = _timestamp(response.headers.get("date", ""))
    now = wall_clock() if server_time is None else server_time  # the local clock may be wrong
    delay = retry_after(response.headers, now)
    if delay is None and detail.status in {TOO_MANY_REQUESTS, UNAVAILABLE}:
        delay = delay_named(detail.message)
    if delay is None and detail.status == TOO_MANY_REQUESTS:
        delay = reset_after(response.headers, now)
    failure = detail.error_class(
        host.redact(message.encode()).decode(),
        model=request.model,
        http_status=detail.status,
        request_id=request_id_of(response),
        retry_after=delay,
    )
    failure.is_too_large = detail.is_too_large
    failure.input_index = detail.input_index
    return failure


def is_about_model(message: str) -> bool:
    """Return whether a message may be about an unknown model; others name a model, too."""
    return "model" in message.lower() and not message.startswith("Request to model ")


def failure_in_success(
    request: Request, response: Response, host: Host, wall_clock: Callable[[], float]
) -> APIError | None:
    """Return the error for a 200 whose body is an error with a status of its own, else None."""
    status = status_in_success(response.body)
    if status is None:
        return None
    return failure_of(request, replace(response, status=status), host, wall_clock)


def error_text(response: Response, host: Host) -> str:
    """Return the error in a response of status 200, as some gateways send, or ""."""
    found = error_in_success(response.body)
    return host.redact(found.encode()).decode() if found else ""


def request_id_of(response: Response) -> str | None:
    """Return the service's id of a request, escaped because a header may contain anything."""
    given = response.headers.get("x-request-id")
    return printable(given)[:MAX_ID_CHARS] if given else None


def is_too_large(failure: Exception) -> bool:
    """Return whether a request with fewer inputs, tokens or bytes would be accepted."""
    return isinstance(failure, APIError) and failure.is_too_large


def named_input(failure: VoyageError) -> int | None:
    """Return the position in the request of the input that a failure concerns, if it is one."""
    return failure.input_index if isinstance(failure, APIError) else None


SPLIT_BY_SERVICE = (
    " Split it, or have the service split it: contextualized_embed(texts, model, 'document', "
    "enable_auto_chunking=True); in LangChain ContextualVectorStore(store, embeddings, "
    "auto_chunk=True), in LlamaIndex VoyageAutoChunker()."
)
SPLIT_OR_TRUNCATE = " Split it, or pass truncation=True."


def is_over_window(failure: VoyageError) -> bool:
    """Return whether an input is longer than the window of the model."""
    return isinstance(failure, InvalidRequestError) and "context window" in failure.message


def with_positions(
    failure: VoyageError, positions: Sequence[int], tokens: Sequence[int]
) -> VoyageError:
    """Return the failure with the caller's positions of the inputs that it concerns.

    If a single input does not fit, its position and approximate number of tokens are added to the
    message, because the service counts positions within the request.
    """
    failure.indices = tuple(positions)
    example = named_input(failure)
    if example is not None and example < len(positions):
        failure.indices = (positions[example],)
        size = f": ~{tokens[example]:,} tokens" if "token" in failure.message else ""
        failure.message += f" That is your input {positions[example]}{size}."
        if is_over_window(failure):
            is_text = kind_of(failure.model or "") not in {"rerank", "multimodal"}
            failure.message += SPLIT_BY_SERVICE if is_text else SPLIT_OR_TRUNCATE
    return failure


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the Retry-After of a response in seconds, or None.

    Retry-After is an integer or a date (RFC 9110, 10.2.3). Gateways also send decimals, the seconds
    since the epoch, and milliseconds as `retry-after-ms`.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if SECONDS.fullmatch(milliseconds):
        return min(float(milliseconds) / 1_000, MAX_SECONDS)
    value = headers.get("retry-after", headers.get(LITELLM_RETRY_AFTER, "")).strip()
    if SECONDS.fullmatch(value):
        return _seconds_from(float(value), now)
    at = _timestamp(value)
    return None if at is None else max(0.0, at - now)


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def reset_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until an exhausted limit is reset, or None.

    Envoy, Kong and others send `RateLimit-Reset`, `X-RateLimit-Reset`, or `RateLimit` in one of the
    formats of draft-ietf-httpapi-ratelimit-headers. Limits that are not exhausted are not the cause
    of a 429.
    """
    for name in ("ratelimit", "x-ratelimit"):
        remaining = headers.get(f"{name}-remaining", "0").strip()
        reset = headers.get(f"{name}-reset", "").strip()
        if remaining == "0" and SECONDS.fullmatch(reset):
            return _seconds_from(float(reset), now)
    resets = EXHAUSTED.findall(headers.get("ratelimit", ""))
    return max(map(float, resets), default=None)


def _seconds_from(number: float, now: float) -> float:
    """Convert a duration, or a timestamp in seconds or milliseconds, to seconds from now."""
    if number >= EPOCH_MILLISECONDS:
        number /= 1_000
    return min(max(0.0, number - now) if number >= EPOCH_SECONDS else number, MAX_SECONDS)


def is_persistent(failure: VoyageError, attempts: int, spent: float, may_recover: bool) -> bool:
    """Return whether the host is not reachable, or every response is wrong in the same way."""
    if isinstance(failure, APIConnectionError):
        is_late = spent > UNREACHABLE_AFTER_SECONDS
        return failure.never_sent and is_late and not may_recover
    if not isinstance(failure, UnexpectedAnswerError) or attempts < MAX_SYSTEMATIC:
        return False
    return failure.is_systematic or (failure.is_from_elsewhere and not may_recover)


def late(limits: RateLimits, total_timeout: float, model: str) -> RateLimitError:
    """Return the error for a request that may not be sent within its total timeout."""
    cause = f"the limit of {limits}" if limits else "the pause after an earlier 429"
    return RateLimitError(
        f"{cause} allows no request within the total timeout of {total_timeout:g} s", model=model
    )


def add_notes(failure: VoyageError, allowed_in: float) -> None:
    """Add the remedy, and when the next request is allowed, to the message of a last failure."""
    if isinstance(failure, UnexpectedAnswerError):
        note = "a gateway or proxy may damage responses: `voyage-rag doctor` shows proxies"
        failure.message += f" ({note})"
    if (failure.retry_after or 0.0) > MAX_RETRY_AFTER_SECONDS:
        failure.message += (
            f" (the response asks to wait {failure.retry_after:,.0f} s; the client waits "
            f"at most {MAX_RETRY_AFTER_SECONDS:,.0f} s)"
        )
    elif isinstance(failure, RateLimitError):
        failure.message += f" (the next request is allowed in {allowed_in:,.1f} s)"
