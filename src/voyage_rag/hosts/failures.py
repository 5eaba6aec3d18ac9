"""What an error response says: its words, and which error of ours it is.

`error_detail` reads the shapes that the Voyage API, its gateways and proxies send; a host whose
errors differ builds an `ErrorDetail` itself or replaces fields of this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from voyage_rag.errors import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
)
from voyage_rag.hosts.messages import Response

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
REFUSED = range(400, 500)
FAILED = range(500, 600)
BAD_REQUEST = 400
TOO_LARGE = 413
TOO_MANY_REQUESTS = 429

ERROR_CLASSES: dict[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    408: ServerError,
    425: ServerError,
    499: ServerError,  # a proxy lost the connection to the service
    TOO_MANY_REQUESTS: RateLimitError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
    529: ServiceUnavailableError,
}

MAX_DETAIL_CHARS = 600
MAX_PART_CHARS = 300
MAX_PAGE_BYTES = 2**14

ERROR_FIELDS = ("detail", "message", "error")
PAGE_TITLE = re.compile(rb"<title[^>]*>([^<]*)", re.IGNORECASE)

RETRY_LATER = "a problem of the service: try again later"
ADD_CREDIT = "add credit or raise the account's limit: waiting does not help"
REMEDIES: Mapping[int, str] = {
    400: "check the arguments",
    401: "check the key",
    404: "check the address of the host",
    408: RETRY_LATER,
    410: "this model is retired: choose another",
    TOO_LARGE: "shorten the inputs, or send fewer at once",
    TOO_MANY_REQUESTS: "give requests_per_minute and tokens_per_minute, or ask for a higher limit",
}

TOO_MANY_TOKENS = "lower the number of tokens in the batch"
"""The Voyage API's words for a batch that is too large (docs: "Error Codes"; recorded)."""

EXAMPLE = re.compile(r"example at index (\d+)")
"""How the Voyage API names the input that does not fit (recorded)."""

PASSES_SOON = r"\b(?:re)?try (?:again )?(?:in|after) [\d.]+ ?(?:m?s\b|sec|min)"
LASTS_FOR_DAYS = r"\bmonth|\bweek|\bdaily\b|\bper day\b"
PASSES_IN_TIME = r"rate.?limit|too many requests|per (?:second|minute)|try again|\bresources?\b"
NEEDS_MONEY = (
    r"insufficient|exhausted|balance|suspended|overdue|payment|billing|current quota|upgrade your"
    r"|out of (?:credit|quota)|(?:free|usage|credit|spending|plan) (?:limit|quota)"
)
"""What the words of a 429 say of how long it lasts; the first that is found decides.

The service was never seen to send a 429 about money; gateways and other services do. That of its
free tier speaks of billing, too, but also of "reduced rate limits", and passes with time.
"""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What an error response says, in terms that are the same for every host.

    Attributes:
        status: The HTTP status, or the one that the host's own code corresponds to.
        message: The host's words, printable; empty if it gave none.
        error_class: The error to raise.
        remedy: What to do about it, None if the message says so itself.
        is_too_large: Whether fewer inputs in a request would be accepted.
        input_index: The position, within the request, of the one input it is about.
    """

    status: int
    message: str
    error_class: type[APIError]
    remedy: str | None = None
    is_too_large: bool = False
    input_index: int | None = None


def error_detail(response: Response, remedies: Mapping[int, str] = REMEDIES) -> ErrorDetail:
    """What a response says that is not a 200.

    Args:
        response: Any shape of body.
        remedies: What to do, by status; those of `REMEDIES` apply where there is none.
    """
    status = response.status
    message = printable(message_of(response.body)[:MAX_DETAIL_CHARS])
    if status in SUCCESS:
        message = "the response is not one of the API, whose results come with status 200"
    if status in REDIRECT:
        message = (
            f"the address answered with a redirect to {_redirect_host(response)}; redirects are "
            "not followed, so that the key stays with its host: set base_url to the right address"
        )
    error_class = error_class_of(status, message)
    named = EXAMPLE.search(message)
    return ErrorDetail(
        status,
        message,
        error_class,
        _remedy(error_class, status, message, {**REMEDIES, **remedies}),
        issubclass(error_class, InvalidRequestError)
        and (status == TOO_LARGE or TOO_MANY_TOKENS in message),
        int(named[1]) if named else None,
    )


def error_class_of(status: int, message: str) -> type[APIError]:
    """The error that a status stands for; a 429 about money does not pass with time."""
    if status == TOO_MANY_REQUESTS and _is_about_money(message):
        return QuotaExhaustedError
    if status in ERROR_CLASSES:
        return ERROR_CLASSES[status]
    if status in REFUSED:
        return InvalidRequestError
    return ServerError if status in FAILED else APIError


def message_of(body: bytes) -> str:
    """What an error response says of itself, whatever its shape; never fails."""
    try:
        return _message_in(json.loads(body))
    except (ValueError, RecursionError):
        text = body[:MAX_PART_CHARS].decode("utf-8", "replace").strip()
        return _page_title(body) if text.startswith("<") else text


def error_in_success(body: bytes) -> str:
    """What the body of a 200 says if it is an error or a web page, as gateways send; else ""."""
    start = body[:MAX_PAGE_BYTES].lstrip()
    if start.startswith(b"<"):
        return _page_title(start)
    if len(body) > MAX_PAGE_BYTES:
        return ""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    says_why = isinstance(document, Mapping) and any(map(document.get, ERROR_FIELDS))
    return printable(_message_in(document)[:MAX_PART_CHARS]) if says_why else ""


def _page_title(body: bytes) -> str:
    found = PAGE_TITLE.search(body[:MAX_PAGE_BYTES])
    title = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    return f"a web page: {printable(title[:MAX_PART_CHARS])}" if title else ""


def printable(text: str) -> str:
    """A text from elsewhere, for messages: no escape sequence, no half of a character."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _message_in(document: object) -> str:
    if isinstance(document, Mapping):
        for name in ERROR_FIELDS:
            if found := document.get(name):
                if isinstance(found, Mapping) and isinstance(found.get("message"), str):
                    found = found["message"]
                return found if isinstance(found, str) else json.dumps(found)[:MAX_PART_CHARS]
    return json.dumps(document)[:MAX_PART_CHARS] if document else ""


def _remedy(
    error_class: type[APIError], status: int, message: str, remedies: Mapping[int, str]
) -> str | None:
    if error_class is QuotaExhaustedError:
        return ADD_CREDIT
    if status == BAD_REQUEST and message:  # the service says what is wrong
        return None
    return remedies.get(status, RETRY_LATER if issubclass(error_class, ServerError) else None)


def _is_about_money(message: str) -> bool:
    text = message.lower()
    if re.search(PASSES_SOON, text):
        return False
    if re.search(LASTS_FOR_DAYS, text):
        return True
    return not re.search(PASSES_IN_TIME, text) and re.search(NEEDS_MONEY, text) is not None


def _redirect_host(response: Response) -> str:
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = None
    return repr(host or "an unnamed host")
