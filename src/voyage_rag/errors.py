"""All errors, in one hierarchy.

    VoyageError
    ├── ConfigurationError        settings that cannot work: no key, an unsafe address
    ├── APIConnectionError        no usable answer: refused, dropped, unreadable
    │   └── Timeout               nothing in time
    ├── APIError                  the service answered, and not with a result
    │   ├── InvalidRequestError   400, 404, 405, 410, 413, 422
    │   │   └── InvalidInputError    refused here, before anything was sent or billed
    │   ├── AuthenticationError   401
    │   ├── PermissionDeniedError 403
    │   ├── RateLimitError        429
    │   │   └── QuotaExhaustedError  429 that waiting will not mend
    │   └── ServerError           5xx, 408, 425, 499
    │       └── ServiceUnavailableError  502, 503, 504, 529
    ├── UnexpectedAnswerError     a 200 that does not hold one sound result per input
    └── CacheError                the cache file cannot be used

The two that are found before sending are `ValueError`s too. The names are those of Voyage's own
Python client where it has one; so `except InvalidRequestError` also catches what is found
here before the service could refuse it. The error raised is always the last real one; `attempts`
says how many requests led to it. All of them survive pickling, since ingestion runs in worker
processes.
"""

from __future__ import annotations

from typing import Any


class VoyageError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        message: What happened and what to do about it.
        attempts: How many requests were sent before giving up; 0 if none was.
        model: The model asked for, where one is concerned.
        http_status: The HTTP status of the answer, or None without one.
        request_id: The service's `x-request-id`, to quote to its support.
        indices: Positions, in the caller's list, of the inputs concerned.
        retry_after: Seconds the service asked to wait, None if it did not.
        partial: What had been paid for and finished when a larger piece of work failed
            (see `voyage_rag.PartialEmbeddings`), else None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        attempts: int = 0,
        model: str | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        indices: tuple[int, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.attempts = attempts
        self.model = model
        self.http_status = http_status
        self.request_id = request_id
        self.indices = indices
        self.retry_after = retry_after
        self.partial: Any = None

    @property
    def user_message(self) -> str:
        """The message alone, under the name Voyage's own client gives it."""
        return self.message

    def __str__(self) -> str:
        facts = [
            f"model {self.model!r}" if self.model else "",
            _named(self.indices),
            f"HTTP {self.http_status}" if self.http_status else "",
            f"request {self.request_id}" if self.request_id else "",
            f"{self.attempts} attempts" if self.attempts > 1 else "",
        ]
        details = ", ".join(fact for fact in facts if fact)
        return f"{self.message} [{details}]" if details else self.message


def _named(indices: tuple[int, ...]) -> str:
    if not indices:
        return ""
    if len(indices) == 1:
        return f"input {indices[0]}"
    return f"inputs {indices[0]} to {indices[-1]}"


class ConfigurationError(VoyageError, ValueError):
    """Settings that cannot work, found before anything was sent."""


class APIConnectionError(VoyageError):
    """No usable HTTP answer came back: the connection was refused, dropped or garbled.

    Attributes:
        never_sent: Whether the service cannot have seen the request, since there was no connection.
    """

    never_sent: bool = False


class Timeout(APIConnectionError, TimeoutError):  # noqa: N818 - the vendor's name
    """No answer in the time allowed."""


class APIError(VoyageError):
    """The service answered with an error status, or would have (`InvalidInputError`).

    Attributes:
        is_too_large: Whether fewer inputs in a request would be accepted.
        input_index: The position, within the request, of the one input it is about.
    """

    is_too_large: bool = False
    input_index: int | None = None


class InvalidRequestError(APIError):
    """The service refused the request itself; sending it again cannot help."""


class InvalidInputError(InvalidRequestError, ValueError):
    """An argument refused before anything was sent or billed; the message names the remedy."""


class AuthenticationError(APIError):
    """The service does not accept the key (401)."""


class PermissionDeniedError(APIError):
    """The key may not do this here: an IP rule, or a key of another host (403)."""


class RateLimitError(APIError):
    """Too many requests or tokens for now (429)."""


class QuotaExhaustedError(RateLimitError):
    """A 429 that waiting does not mend: the account's balance or quota is used up."""


class ServerError(APIError):
    """The service failed on its side (5xx, 408, 425, 499)."""


class ServiceUnavailableError(ServerError):
    """The service or a proxy before it is overloaded or away (502, 503, 504, 529)."""


class UnexpectedAnswerError(VoyageError):
    """A 200 whose body does not hold exactly one sound result per input."""


class CacheError(VoyageError):
    """The cache file cannot be used: damaged, locked for long, or something else."""
