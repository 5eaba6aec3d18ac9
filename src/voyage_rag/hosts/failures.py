"""Parse error responses: the message, and the corresponding exception class.

`error_detail` parses the formats of the Voyage API, its gateways and proxies. A host with other
errors creates its own `ErrorDetail` or replaces fields of this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
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
    424: ServerError,  # a server behind this one failed
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

RETRY_LATER = "the service has a problem: try again later"
ADD_CREDIT = "add credit or raise the account's limit: a retry cannot succeed"
REMEDIES: Mapping[int, str] = {
    400: "check the arguments",
    401: "check the key",
    **dict.fromkeys((404, 405), "check the address of the host"),
    407: "a proxy requires credentials: put them in the PROXY variable, http://user:password@proxy",
    408: RETRY_LATER,
    410: "this model is retired: choose another",
    TOO_LARGE: "shorten the inputs, or send fewer at once",
    TOO_MANY_REQUESTS: "set requests_per_minute and tokens_per_minute, or request a higher limit",
}

TOO_MANY_TOKENS = "lower the number of tokens in the batch"
"""The message of the Voyage API for a batch that is too large (docs: "Error Codes"; recorded)."""

EXAMPLE = re.compile(r"(?:example at index|(?:image|video) at input) (\d+)")
"""The formats in which the Voyage API names an input that is too long (recorded), or contains an
image of a resolution that it rejects (quoted).
"""

NAMED_DELAY = (
    r"\b(?:re)?try (?:again )?(?:in|after)"
    r"((?: ?\d{1,6}(?:\.\d{1,9})? ?(?:ms|h|m|s)[a-z]{0,6}(?![a-z]))+)"
)
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
LASTS_FOR_DAYS = r"\bmonth|\bweek|\bdaily\b|\bper day\b"
PASSES_IN_TIME = r"rate.?limit|too many requests|per (?:second|minute)|try again|\bresources?\b"
NEEDS_MONEY = (
    r"insufficient|exhausted|balance|budget|suspended|overdue|payment|billing|current quota"
    r"|upgrade your|out of (?:credit|quota)|(?:free|usage|credit|spending|plan) (?:limit|quota)"
)
"""Words in a 429 that show whether it is temporary. The first pattern that matches decides.

Gateways and other services send a 429 about an exhausted balance; Voyage has not been seen to. The
429 of its free tier mentions billing, but also "reduced rate limits", and is temporary.
"""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """The contents of an error response, in the same terms for all hosts.

    Attributes:
        status: The HTTP status, or the one that the host's own code corresponds to.
        message: The host's message, printable; empty if there is none.
        error_class: The exception class to raise.
        remedy: How to solve the problem; None if the message says so.
        is_too_large: Whether the service would accept a request with fewer inputs.
        input_index: Position of the affected input in the request.
    """

    status: int
    message: str
    error_class: type[APIError]
    remedy: str | None = None
    is_too_large: bool = False
    input_index: int | None = None


def error_detail(response: Response, remedies: Mapping[int, str] = {}) -> ErrorDetail:
    """Parse an error response. Remedies by status take precedence over those in `REMEDIES`."""
    status = response.status
    message = printable(message_of(response.body)[:MAX_DETAIL_CHARS])
    if status in SUCCESS:
        message = (
            f"the response has status {status} instead of 200, so it is not from the API: check "
            "base_url"
        )
    if status in REDIRECT:
        message = (
            f"the address redirects to {_redirect_target(response)}; redirects are "
            "not followed, so that the key is sent to its own host only: correct base_url"
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
    """Return the exception class of a status; a 429 about billing is not temporary."""
    if status == TOO_MANY_REQUESTS and _is_about_money(message):
        return QuotaExhaustedError
    if status in ERROR_CLASSES:
        return ERROR_CLASSES[status]
    if status in REFUSED:
        return InvalidRequestError
    return ServerError if status in FAILED else APIError


def message_of(body: bytes) -> str:
    """Return the message of an error response of any format. Never fails."""
    try:
        return _message_in(json.loads(body))
    except (ValueError, RecursionError):
        text = body[:MAX_PART_CHARS].decode("utf-8", "replace").strip()
        return _page_title(body) if text.startswith("<") else text


def error_in_success(body: bytes) -> str:
    """Return the message of a 200 that is an error or a web page, as gateways send; else ""."""
    start = body[:MAX_PAGE_BYTES].lstrip()
    if start.startswith(b"<"):
        return _page_title(start)
    return printable(_message_in(_error_document(body))[:MAX_PART_CHARS])


def status_in_success(body: bytes) -> int | None:
    """Return the status that an error with status 200 names as its code; None if there is none."""
    document = _error_document(body)
    for part in (document.get("error"), document):
        code = part.get("code") if isinstance(part, Mapping) else None
        if str(code).isdecimal() and (status := int(str(code)[:4])) in (*REFUSED, *FAILED):
            return status
    return None


def _error_document(body: bytes) -> Mapping[str, Any]:
    if len(body) <= MAX_PAGE_BYTES:
        with suppress(ValueError, RecursionError):
            document = json.loads(body)
            if isinstance(document, Mapping) and any(map(document.get, ERROR_FIELDS)):
                return document
    return {}


def _page_title(body: bytes) -> str:
    found = PAGE_TITLE.search(body[:MAX_PAGE_BYTES])
    title = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    return f"a web page: {printable(title[:MAX_PART_CHARS])}" if title else ""


def printable(text: str) -> str:
    """Replace characters of a text that are not printable, such as escapes and surrogates."""
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
    if status == BAD_REQUEST and message:  # the service names the error
        return None
    return remedies.get(status, RETRY_LATER if issubclass(error_class, ServerError) else None)


def delay_named(message: str) -> float | None:
    """Return the seconds after which a message says to try again; None if it does not."""
    found = re.search(NAMED_DELAY, message.lower())
    if found is None:
        return None
    parts = re.findall(r"([\d.]+) ?(ms|h|m|s)", found[1])
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)


def _is_about_money(message: str) -> bool:
    text = message.lower()
    if delay_named(text) is not None:
        return False
    if re.search(LASTS_FOR_DAYS, text):
        return True
    return not re.search(PASSES_IN_TIME, text) and re.search(NEEDS_MONEY, text) is not None


def _redirect_target(response: Response) -> str:
    """Return the origin of a redirect, without the path, which may be a secret."""
    location = response.headers.get("location", "")
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unnamed host"
    if parts.hostname:
        return repr(f"{parts.scheme or 'http'}://{parts.hostname}{port}")
    return "another path of the same host" if location else "an unnamed host"
