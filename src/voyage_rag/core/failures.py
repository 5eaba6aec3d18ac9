"""Turn an error response into an exception that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from voyage_rag.errors import APIError, InvalidRequestError, RateLimitError, VoyageError
from voyage_rag.hosts.failures import (
    TOO_MANY_REQUESTS,
    delay_named,
    error_in_success,
    printable,
)
from voyage_rag.models import kind_of
from voyage_rag.suggestions import similar_model

if TYPE_CHECKING:
    from voyage_rag.core.rate_limiter import RateLimiter
    from voyage_rag.hosts.host import Host
    from voyage_rag.hosts.messages import Request, Response

OK, UNAVAILABLE = 200, 503
MAX_ID_CHARS = 128
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
MAX_SECONDS = 999_999_999.0


def failure_of(
    request: Request, response: Response, host: Host, wall_clock: Callable[[], float]
) -> APIError:
    """The error for a response whose status is not 200.

    Args:
        request: What was sent.
        response: The response.
        host: Whose response it is.
        wall_clock: Seconds since the epoch, to read a Retry-After that is a date.
    """
    detail = host.error(response)
    message = detail.message or f"the service responded with {detail.status} and no reason"
    message = f"{message} ({detail.remedy})" if detail.remedy else message
    if issubclass(detail.error_class, InvalidRequestError) and "model" in message.lower():
        similar = similar_model(request.model or "")
        message += f" Did you mean {similar!r}?" if similar else ""
    delay = retry_after(response.headers, wall_clock())
    if delay is None and detail.status in {TOO_MANY_REQUESTS, UNAVAILABLE}:
        delay = delay_named(detail.message)
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


def error_text(response: Response, host: Host) -> str:
    """The error in a response of status 200, as some gateways send; "" if there is none."""
    found = error_in_success(response.body)
    return host.redact(found.encode()).decode() if found else ""


def request_id_of(response: Response) -> str | None:
    """The service's id of a request, made printable since a header may hold anything."""
    given = response.headers.get("x-request-id")
    return printable(given)[:MAX_ID_CHARS] if given else None


def is_too_large(failure: Exception) -> bool:
    """Whether a smaller request would be accepted: fewer inputs, tokens or bytes."""
    return isinstance(failure, APIError) and failure.is_too_large


def is_too_much(failure: Exception, limiter: RateLimiter, tokens: float) -> bool:
    """Whether a smaller request would be accepted: by its size, or by the rate limit."""
    return is_too_large(failure) or (
        isinstance(failure, RateLimitError) and limiter.exceeds_minute_limit(tokens)
    )


def example_named(failure: VoyageError) -> int | None:
    """The position, within its request, of the one input that a failure is about."""
    return failure.input_index if isinstance(failure, APIError) else None


SPLIT_BY_SERVICE = (
    " Split it, or have the service split it: contextualized_embed(texts, model, 'document', "
    "enable_auto_chunking=True); in LangChain ContextualVectorStore(store, embeddings, "
    "auto_chunk=True), in LlamaIndex VoyageAutoChunker()."
)
SPLIT_OR_TRUNCATE = " Split it, or pass truncation=True."


def is_over_window(failure: VoyageError) -> bool:
    """Whether one input is longer than the window of the model."""
    return isinstance(failure, InvalidRequestError) and "context window" in failure.message


def concerning(
    failure: VoyageError, positions: Sequence[int], tokens: Sequence[int]
) -> VoyageError:
    """The failure, with the caller's positions of the inputs it is about.

    Where it is one input that does not fit, its position and about how many tokens it has are
    added to the message, since the service counts positions within its request.
    """
    failure.indices = tuple(positions)
    example = example_named(failure)
    if example is not None and example < len(positions):
        failure.indices = (positions[example],)
        failure.message += f" That is your input {positions[example]}: ~{tokens[example]:,} tokens."
        if is_over_window(failure):
            is_ranked = kind_of(failure.model or "") == "rerank"
            failure.message += SPLIT_OR_TRUNCATE if is_ranked else SPLIT_BY_SERVICE
    return failure


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a response asks to wait, None if it does not say.

    Retry-After is whole seconds or a date (RFC 9110, 10.2.3). Gateways also send decimals, and
    milliseconds as `retry-after-ms`.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if SECONDS.fullmatch(milliseconds):
        return min(float(milliseconds) / 1_000, MAX_SECONDS)
    value = headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(value):
        return min(float(value), MAX_SECONDS)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
