"""Which error an answer is, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voyage_rag.core.wire import detail_of, printable
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

if TYPE_CHECKING:
    from voyage_rag.core.flow import Request, Response
    from voyage_rag.core.rate_limiter import RateLimiter

OK = 200
REDIRECT = range(300, 400)
REFUSED = range(400, 500)
FAILED = range(500, 600)
TOO_LARGE = 413
TOO_MANY = 429

CLASSES: dict[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    408: ServerError,
    TOO_MANY: RateLimitError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
    529: ServiceUnavailableError,
}

LONGEST_DETAIL = 600
LONGEST_ID = 128

AGAIN = "the service's own trouble: try again later"

REMEDIES = {
    400: "check the arguments",
    401: "check VOYAGE_API_KEY or api_key",
    403: "a key works on its own host only (see base_url), and from the addresses it allows",
    404: "check base_url: it should end in /v1",
    408: AGAIN,
    410: "this model is retired: choose another",
    TOO_LARGE: "shorten the inputs, or send fewer at once",
    TOO_MANY: "give requests_per_minute and tokens_per_minute, or ask for a higher limit",
}

NAMED_EXAMPLE = re.compile(r"example at index (\d+)")
"""How the service names the input that does not fit (recorded)."""

MONEY_WORDS = ("insufficient", "exhausted", "balance", "out of credit", "suspended", "overdue")
"""Words of a 429 that is about money and not about time. No such answer was ever recorded; the free
tier's own 429 speaks of billing too, but says "reduced rate limits", and passes with time."""


def failure_of(
    request: Request, response: Response, wall_clock: Callable[[], float]
) -> APIError | None:
    """The error that an answer stands for, None for a 200.

    Args:
        request: What was asked.
        response: What came back.
        wall_clock: Seconds since the epoch, to read a Retry-After that is a date.
    """
    status = response.status
    if status == OK:
        return None
    detail = printable(detail_of(response.body)[:LONGEST_DETAIL])
    if status in REDIRECT:
        detail = (
            f"the address answered with a redirect to {_host_named(response)}; redirects are not "
            "followed, so that the key stays with its host: set base_url to the right address"
        )
    kind = _class_of(status, detail)
    said = detail or f"the service answered {status} without saying why"
    remedy = _remedy(kind, status, detail)
    return kind(
        f"{said} ({remedy})" if remedy else said,
        model=request.model,
        http_status=status,
        request_id=request_id_of(response),
        retry_after=retry_after(response.headers.get("retry-after"), wall_clock()),
    )


def request_id_of(response: Response) -> str | None:
    """The service's name of a request, as it can be printed: headers are somebody else's."""
    given = response.headers.get("x-request-id")
    return printable(given)[:LONGEST_ID] if given else None


def is_too_many_tokens(failure: Exception) -> bool:
    """Whether a smaller batch would be accepted (docs: "Error Codes"; recorded wording)."""
    return isinstance(failure, InvalidRequestError) and (
        "lower the number of tokens in the batch" in failure.message
    )


def is_too_large(failure: Exception) -> bool:
    """Whether a smaller request would be accepted: fewer tokens, or fewer bytes (413)."""
    return is_too_many_tokens(failure) or (
        isinstance(failure, InvalidRequestError) and failure.http_status == TOO_LARGE
    )


def is_too_much(failure: Exception, pace: RateLimiter, tokens: float) -> bool:
    """Whether a smaller request would be accepted, be it for its size or for the rate limit."""
    return is_too_large(failure) or (
        isinstance(failure, RateLimitError) and pace.exceeds_minute_limit(tokens)
    )


def example_named(failure: VoyageError) -> int | None:
    """The position, within its request, of the one input that a failure is about."""
    named = NAMED_EXAMPLE.search(failure.message)
    return int(named[1]) if named else None


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
    return failure


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3), None if it is of no use."""
    if not value:
        return None
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _class_of(status: int, detail: str) -> type[APIError]:
    if status == TOO_MANY and _is_about_money(detail):
        return QuotaExhaustedError
    if status in CLASSES:
        return CLASSES[status]
    if status in REFUSED:
        return InvalidRequestError
    return ServerError if status in FAILED else APIError


def _remedy(kind: type[APIError], status: int, detail: str) -> str | None:
    if kind is QuotaExhaustedError:
        return "add credit or raise the account's limit: waiting does not help"
    if status == 400 and detail:  # noqa: PLR2004 - the service says what is wrong
        return None
    return REMEDIES.get(status, AGAIN if issubclass(kind, ServerError) else None)


def _is_about_money(detail: str) -> bool:
    text = detail.lower()
    return "rate limit" not in text and any(word in text for word in MONEY_WORDS)


def _host_named(response: Response) -> str:
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = None
    return repr(host or "an unnamed place")
