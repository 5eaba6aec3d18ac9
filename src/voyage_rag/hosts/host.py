"""The interface of a host: where models run, and how that differs from the Voyage API.

A host does no I/O. The core asks it how to encode a request and decode a response; the transport
asks it for the address and the authentication.
"""

from __future__ import annotations

import binascii
import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self
from urllib.parse import unquote_to_bytes, urlsplit

from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.address import check_address
from voyage_rag.hosts.failures import ErrorDetail, error_detail
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.secret import APIKey, as_key, hidden

COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

HTTPS_PORT = 443
HTTP_PORT = 80

REDACTED = b"**********"
SHORT_KEY_CHARS = 12
"""Shorter keys are redacted only as separate words, because other words may contain them."""

DEFAULTS: Mapping[str, object] = {"truncation": True, "output_dtype": "float"}
"""Values that a host without the field uses anyway, so that the field can be omitted."""

CONTENT = frozenset({"model", "input", "inputs", "query", "documents"})
"""Fields that a host may transmit differently, such as the model in the address."""


class Host:
    """Where models run. A subclass overrides what differs from the Voyage API.

    Args:
        base_url: Base URL of the API, including its version.
        api_key: The key; None for a host that needs none or signs requests by other means.
        allow_insecure_http: Allow sending the key over plain HTTP to a host that is not loopback.

    Attributes:
        name: Name of the host in messages.
        endpoints: Paths that it serves; None for all.
        fields: Request fields that it supports; None for all.
        ignored_fields: Unsupported fields that are omitted without an error, whatever their value.
        request_inputs: Maximum number of inputs per request.
        request_bytes: Maximum size of a request body in bytes; None for no limit.
        list_text_chars: Maximum characters of a text that shares a request with others; None for no
            limit. A longer text is sent alone.
        text_chars: Maximum characters of a text; None for no limit.
        remedies: How to solve an error, by its status. Other statuses have general remedies.

    Raises:
        ConfigurationError: The address is invalid, or would expose the key.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.hosts import Host
        >>> class Proxy(Host):
        ...     name = "our proxy"
        ...     def headers(self, method, url, body):
        ...         return {**super().headers(method, url, body), "x-team": "search"}
        >>> with Emulator() as url:
        ...     voyage = Voyage(host=Proxy(url, "proxy-key"))
        ...     voyage.embed(["Hello, world"], model="voyage-4").vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    name: str = "the Voyage API"
    endpoints: ClassVar[frozenset[str] | None] = None
    fields: ClassVar[frozenset[str] | None] = None
    ignored_fields: ClassVar[frozenset[str]] = frozenset({"encoding_format"})
    request_inputs: int = 1_000
    request_bytes: int | None = None
    list_text_chars: int | None = None
    text_chars: int | None = None
    remedies: ClassVar[Mapping[int, str]] = {}

    def __init__(
        self, base_url: str, api_key: object = None, *, allow_insecure_http: bool = False
    ) -> None:
        api_key = hidden(api_key)
        self.base_url: str = check_address(
            base_url, allow_insecure_http=allow_insecure_http, sends_key=api_key is not None
        )
        self.api_key: APIKey | None = None if api_key is None else as_key(api_key)
        parts = urlsplit(self.base_url)
        self.hostname: str = parts.hostname or ""
        self.port: int = parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)

    # ── addresses and authentication ────────────────────────────────────────────────────────────

    def url(self, request: Request) -> str:
        """Return the URL of a request."""
        return self.base_url + request.path

    def headers(self, method: str, url: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - to sign
        """Return the headers that authenticate a request.

        Called for every attempt, so it can sign requests.
        """
        if self.api_key is None:
            return {}
        return {"authorization": f"Bearer {self.api_key.get_secret_value()}"}

    @property
    def is_ready(self) -> bool:
        """Whether `headers` can be called without blocking; if not, `prepare` is called first."""
        return True

    def prepare(self) -> None:
        """Obtain what `headers` needs. May block; called in a worker thread."""

    def redact(self, data: bytes) -> bytes:
        """Return the data of an error response without the key."""
        return data if self.api_key is None else redacted(data, self.api_key.get_secret_value())

    @property
    def account(self) -> tuple[str, str]:
        """Identifies the rate limits that requests share, by address and key fingerprint."""
        fingerprint = self.api_key.fingerprint if self.api_key else ""
        return f"{self.hostname}:{self.port}", fingerprint

    @property
    def cache_scope(self) -> str:
        """Distinguishes the vectors of this host from those of others in a cache.

        Two servers on one machine, or two paths of one gateway, may use one name for different
        models. For an address of the usual form, this is the host name alone.
        """
        if self.base_url == f"https://{self.hostname}/v1":
            return self.hostname
        return self.base_url.partition("://")[2]

    # ── requests ──────────────────────────────────────────────────────────────────────────────────

    def supports(self, field: str) -> bool:
        """Whether a request may contain this field."""
        return self.fields is None or field in self.fields

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Raise an error for an endpoint or field value that the host does not support.

        Raises:
            InvalidInputError: The host does not support it.
        """
        if self.endpoints is not None and endpoint not in self.endpoints:
            raise InvalidInputError(
                f"{self.name} serves {', '.join(sorted(self.endpoints))} only: use the Voyage API "
                f"for {endpoint}"
            )
        for field, value in (fields or {}).items():
            if not (
                value is None
                or self.supports(field)
                or field in self.ignored_fields
                or field in CONTENT
                or DEFAULTS.get(field) == value
            ):
                raise InvalidInputError(
                    f"{self.name} does not support {field}={value!r}: omit it, or use another host"
                )

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - may differ
        """Return the request document for fields with the names of the Voyage API.

        A value of None omits the field.
        """
        return COMPACT.encode(
            {n: value for n, value in fields.items() if value is not None and self.supports(n)}
        ).encode()

    # ── responses ───────────────────────────────────────────────────────────────────────────────

    def decode(self, request: Request, document: Any) -> Any:  # noqa: ARG002 - may differ
        """Return the parsed response in the format of the Voyage API."""
        return document

    def error(self, response: Response) -> ErrorDetail:
        """Parse an error response."""
        return error_detail(response, self.remedies)

    # ── for `voyage_rag.doctor` ───────────────────────────────────────────────────────────────────

    @property
    def credentials(self) -> str:
        """Describe the authentication, with at most the last four characters of a key."""
        if self.api_key is None:
            return "none needed"
        text = self.api_key.get_secret_value()
        return f"a key that ends in ...{text[-4:]}" if len(text) >= SHORT_KEY_CHARS else "a key"

    def probe(self) -> Request:
        """Return a request that costs nothing and shows whether the host responds."""
        return Request("/embeddings", b"{}", "", 0)

    def describe(self, response: Response) -> str:  # noqa: ARG002 - may say something
        """Describe the models in a response to `probe`; return "" if it names none."""
        return ""

    # ── objects ───────────────────────────────────────────────────────────────────────────────────

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'base_url', '')!r})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.account))


def redacted(data: bytes, secret: str) -> bytes:
    """Replace a secret by asterisks, or all of the data if the secret is encoded in it."""
    key = secret.encode()
    pattern = re.escape(key)
    if len(secret) < SHORT_KEY_CHARS:
        pattern = rb"(?<![\w-])" + pattern + rb"(?![\w-])"
    data = re.sub(pattern, REDACTED, data)
    if len(secret) >= SHORT_KEY_CHARS and any(key in form for form in _decoded(data)):
        return REDACTED
    return data


def _decoded(data: bytes) -> Iterator[bytes]:
    """Decode data from the encodings in which gateways repeat a header."""
    yield unquote_to_bytes(data)
    for match in BASE64.finditer(data):
        encoded = match[0].translate(URL_SAFE)
        yield binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4))
    for match in HEX.finditer(data):
        yield binascii.a2b_hex(match[0])


BASE64 = re.compile(rb"(?:[\w+/-]{4}){4,}(?:[\w+/-]{2,3})?")
HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
URL_SAFE = bytes.maketrans(b"-_", b"+/")


class InProcessHost(Host):
    """A host inside this process, which needs no address, key or network.

    Attributes:
        model: The model that it serves.

    Examples:
        >>> from voyage_rag.hosts import InProcessHost, Local
        >>> issubclass(Local, InProcessHost)
        True
    """

    model: str

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Compute the response to a request.

        Called by several threads concurrently, in the caller's thread or in a worker thread, but
        never on an event loop.
        """
