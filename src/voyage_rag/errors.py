"""All exceptions that this package raises on purpose.

    VoyageError
    ├── ConfigurationError        invalid settings: no key, an insecure address
    ├── APIConnectionError        no usable response: refused, dropped or unreadable
    │   └── Timeout               no response in time
    ├── APIError                  the service responded with an error
    │   ├── InvalidRequestError   400, 404, 405, 410, 413, 422
    │   │   └── InvalidInputError    raised before anything was sent or billed
    │   ├── AuthenticationError   401
    │   ├── PermissionDeniedError 403
    │   ├── RateLimitError        429
    │   │   └── QuotaExhaustedError  429 that a retry cannot fix
    │   └── ServerError           5xx, 408, 424, 425, 499
    │       └── ServiceUnavailableError  502, 503, 504, 529
    ├── UnexpectedAnswerError     a 200 response without exactly one valid result per input
    └── CacheError                the cache file cannot be used

`ConfigurationError` and `InvalidInputError`, which are raised before anything is sent, are also
`ValueError`s. The names are those of the `voyageai` package where it has one, so `except
InvalidRequestError` also catches inputs that this package rejects before the service could. After
retries, the error of the last attempt is raised; `attempts` gives the number of requests. All
errors can be pickled, because worker processes pass them on.
"""

from __future__ import annotations

from typing import Any


class VoyageError(Exception):
    """Base class of all errors that this package raises on purpose.

    Attributes:
        message: The problem, and how to solve it.
        attempts: Number of requests that were sent; 0 if none was.
        model: The model of the request, if any.
        http_status: HTTP status of the response, or None without a response.
        request_id: The service's `x-request-id`, for support requests.
        indices: Positions of the affected inputs in the caller's list.
        retry_after: Seconds that the service asked to wait, or None.
        partial: Results that were finished and paid for before the failure (see
            `voyage_rag.PartialEmbeddings`), or None.

    Examples:
        >>> from voyage_rag import Voyage, VoyageError
        >>> try:
        ...     Voyage().embed(["A text", ""], model="voyage-4")
        ... except VoyageError as error:
        ...     print(error.indices, error.attempts)
        (1,) 0
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
        """The message alone; the name of this attribute in the `voyageai` package."""
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
    """A setting is invalid. Raised before anything is sent.

    Examples:
        >>> from voyage_rag import Voyage
        >>> Voyage(base_url="http://api.example.com/v1")
        Traceback (most recent call last):
        ...
        voyage_rag.errors.ConfigurationError: ...
    """


class APIConnectionError(VoyageError):
    """There was no usable HTTP response: the connection was refused, lost or corrupted.

    Attributes:
        never_sent: Whether the service cannot have received the request, because no connection was
            established.

    Examples:
        >>> from voyage_rag import APIConnectionError, Voyage
        >>> voyage = Voyage(base_url="http://127.0.0.1:9/v1", max_retries=0)
        >>> try:
        ...     voyage.embed(["A text"], model="voyage-4")
        ... except APIConnectionError as error:
        ...     print(error.never_sent)
        True
    """

    never_sent: bool = False


class Timeout(APIConnectionError, TimeoutError):  # noqa: N818 - the vendor's name
    """There was no response within the time limit.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> with Emulator(latency=1) as url:
        ...     voyage = Voyage(base_url=url, timeout=0.05, max_retries=0)
        ...     voyage.embed(["A text"], model="voyage-4")
        Traceback (most recent call last):
        ...
        voyage_rag.errors.Timeout: ...
    """


class APIError(VoyageError):
    """The service responded with an error status.

    `InvalidInputError` is a subclass, because it is raised for inputs that the service would
    reject.

    Attributes:
        is_too_large: Whether the service would accept a request with fewer inputs.
        input_index: Position of the affected input in the request.

    Examples:
        >>> from voyage_rag import APIError, Voyage
        >>> try:
        ...     Voyage().files.get("no-such-file")
        ... except APIError as error:
        ...     print(error.http_status)
        404
    """

    is_too_large: bool = False
    input_index: int | None = None


class InvalidRequestError(APIError):
    """The service rejected the request (4xx). Sending it again cannot succeed.

    Examples:
        >>> from voyage_rag import InvalidRequestError, Voyage
        >>> text = "word " * 40_000
        >>> try:
        ...     Voyage().embed([text], model="voyage-4", truncation=False)
        ... except InvalidRequestError as error:
        ...     print(error.http_status)
        400
    """


class InvalidInputError(InvalidRequestError, ValueError):
    """An argument is invalid. Raised before anything is sent or billed, with the remedy.

    Examples:
        >>> from voyage_rag import InvalidInputError, Voyage
        >>> try:
        ...     Voyage().embed(["A text", ""], model="voyage-4")
        ... except InvalidInputError as error:
        ...     print(error.indices)
        (1,)
    """


class AuthenticationError(APIError):
    """The service does not accept the key (401).

    Examples:
        >>> from voyage_rag import AuthenticationError, Voyage
        >>> try:
        ...     Voyage("pa-invalid").embed(["A text"], model="voyage-4")
        ... except AuthenticationError as error:
        ...     print(error.http_status)
        401
    """


class PermissionDeniedError(APIError):
    """The key has no permission (403): an IP rule applies, or the key belongs to another host.

    Examples:
        >>> from voyage_rag import PermissionDeniedError, Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> with Emulator(faults=[status(403)]) as url:
        ...     Voyage(base_url=url).embed(["A text"], model="voyage-4")
        Traceback (most recent call last):
        ...
        voyage_rag.errors.PermissionDeniedError: ...
    """


class RateLimitError(APIError):
    """The account's limit of requests or tokens per minute is exceeded (429).

    The client waits and retries before it raises this error.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> with Emulator(requests_per_minute=1) as url:
        ...     voyage = Voyage(base_url=url, max_retries=0)
        ...     for text in ["first", "second"]:
        ...         result = voyage.embed([text], model="voyage-4", input_type="query")
        Traceback (most recent call last):
        ...
        voyage_rag.errors.RateLimitError: ...
    """


class QuotaExhaustedError(RateLimitError):
    """The account's balance or quota is exhausted (429). A retry cannot succeed.

    Examples:
        >>> from voyage_rag import QuotaExhaustedError, Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import ResponseFault
        >>> fault = ResponseFault(429, b'{"detail": "Your balance is insufficient."}')
        >>> with Emulator(faults=[fault]) as url:
        ...     try:
        ...         Voyage(base_url=url).embed(["A text"], model="voyage-4")
        ...     except QuotaExhaustedError as error:
        ...         print(error.http_status)
        429
    """


class ServerError(APIError):
    """The service failed (5xx, 408, 424, 425, 499). The client retries before it raises this error.

    Examples:
        >>> from voyage_rag import ServerError, Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> with Emulator(faults=[status(500)]) as url:
        ...     try:
        ...         Voyage(base_url=url, max_retries=0).embed(["A text"], model="voyage-4")
        ...     except ServerError as error:
        ...         print(error.http_status)
        500
    """


class ServiceUnavailableError(ServerError):
    """The service or a proxy is overloaded or unavailable (502, 503, 504, 529).

    Examples:
        >>> from voyage_rag import ServiceUnavailableError, Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> with Emulator(faults=[status(503)]) as url:
        ...     try:
        ...         Voyage(base_url=url, max_retries=0).embed(["A text"], model="voyage-4")
        ...     except ServiceUnavailableError as error:
        ...         print(error.http_status)
        503
    """


class UnexpectedAnswerError(VoyageError):
    """A 200 response does not contain exactly one valid result per input.

    Examples:
        >>> from voyage_rag import UnexpectedAnswerError, Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import MISSING
        >>> with Emulator(faults=[MISSING]) as url:
        ...     try:
        ...         Voyage(base_url=url, max_retries=0).embed(["one", "two"], model="voyage-4")
        ...     except UnexpectedAnswerError as error:
        ...         print(error.http_status)
        200

    Attributes:
        is_systematic: Whether later responses will probably be invalid, too, because the server has
            another model than the one requested.
        is_from_elsewhere: Whether the response is probably not from the API, but, for example, a
            web page of a gateway.
    """

    is_systematic: bool = False
    is_from_elsewhere: bool = False


class CacheError(VoyageError):
    """The cache file cannot be used, for example because it is damaged or locked for too long.

    Examples:
        >>> from pathlib import Path
        >>> from voyage_rag import CacheError, Voyage
        >>> path = Path("vectors.db")
        >>> path.write_text("This is not a SQLite file.")
        26
        >>> try:
        ...     Voyage(cache=path).embed(["A text"], model="voyage-4")
        ... except CacheError as error:
        ...     print("no cache")
        no cache
    """
