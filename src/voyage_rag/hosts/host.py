"""The interface of a host: where models run, and how that differs from the Voyage API.

A host does no I/O. The core asks it how a request is written and what a response means, the
transport asks it where a request goes and how it is authorised.
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
from voyage_rag.secret import APIKey

COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

HTTPS_PORT = 443
HTTP_PORT = 80

REDACTED = b"**********"
SHORT_KEY_CHARS = 12
"""A shorter key is hidden only where it stands alone, since words may contain it."""

DEFAULTS: Mapping[str, object] = {"truncation": True, "output_dtype": "float"}
"""Values that a host without the field has anyway, so that leaving it out changes nothing."""

CONTENT = frozenset({"model", "input", "inputs", "query", "documents"})
"""Fields that a host may carry otherwise, as a model in its address."""


class Host:
    """Where models run. A subclass overrides what differs from the Voyage API.

    Args:
        base_url: Address of the API, up to and including its version.
        api_key: The key; None for a host that needs none or signs by other means.
        allow_insecure_http: Let the key travel over plain http to a host that is not loopback.

    Attributes:
        name: What messages call the host.
        endpoints: Paths it serves, None for all.
        fields: Request fields it knows, None for all.
        ignored_fields: Fields it lacks that are left out without an error, whatever they hold.
        request_inputs: Inputs one request may hold.
        request_bytes: Bytes the body of one request may have, None for any number.
        list_text_chars: Characters of a text that may share a request with others, None for any
            number; a longer one is sent alone.
        text_chars: Characters of a text it accepts at all, None for any number.
        rewrites_responses: Whether `decode` must see every response.

    Raises:
        ConfigurationError: The address cannot work, or would expose the key.
    """

    name: str = "the Voyage API"
    endpoints: ClassVar[frozenset[str] | None] = None
    fields: ClassVar[frozenset[str] | None] = None
    ignored_fields: ClassVar[frozenset[str]] = frozenset({"encoding_format"})
    request_inputs: int = 1_000
    request_bytes: int | None = None
    list_text_chars: int | None = None
    text_chars: int | None = None
    rewrites_responses: ClassVar[bool] = False

    def __init__(
        self, base_url: str, api_key: APIKey | None = None, *, allow_insecure_http: bool = False
    ) -> None:
        self.base_url: str = check_address(
            base_url, allow_insecure_http=allow_insecure_http, sends_key=api_key is not None
        )
        self.api_key = api_key
        parts = urlsplit(self.base_url)
        self.hostname: str = parts.hostname or ""
        self.port: int = parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)

    # ── where a request goes, and how it is authorised ────────────────────────────────────────────

    def url(self, request: Request) -> str:
        """The address of a request."""
        return self.base_url + request.path

    def headers(self, method: str, url: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - to sign
        """Headers that authorise a request. Called for every attempt, so that it may sign."""
        if self.api_key is None:
            return {}
        return {"authorization": f"Bearer {self.api_key.get_secret_value()}"}

    @property
    def is_ready(self) -> bool:
        """Whether `headers` can be called without blocking. If not, `prepare` is called first."""
        return True

    def prepare(self) -> None:
        """Get what `headers` needs, which may block; called in a thread."""

    def redact(self, data: bytes) -> bytes:
        """Data without the key, of an error response."""
        return data if self.api_key is None else redacted(data, self.api_key.get_secret_value())

    @property
    def account(self) -> tuple[str, str]:
        """Whose rate limits requests draw on: the address, and the fingerprint of the key."""
        fingerprint = self.api_key.fingerprint if self.api_key else ""
        return f"{self.hostname}:{self.port}", fingerprint

    @property
    def cache_scope(self) -> str:
        """What keeps this host's vectors apart from those of others in a cache.

        Two servers of one machine, or two paths of one gateway, may mean different models by one
        name. For an address of the usual form it is the host name alone.
        """
        if self.base_url == f"https://{self.hostname}/v1":
            return self.hostname
        return self.base_url.partition("://")[2]

    # ── how a request is written ──────────────────────────────────────────────────────────────────

    def supports(self, field: str) -> bool:
        """Whether a request may hold this field."""
        return self.fields is None or field in self.fields

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Refuse an endpoint that the host lacks, or a field whose value it cannot honour.

        Raises:
            InvalidInputError: It lacks one of them.
        """
        if self.endpoints is not None and endpoint not in self.endpoints:
            raise InvalidInputError(
                f"{self.name} serves {', '.join(sorted(self.endpoints))} only, not {endpoint}: "
                "use a Voyage key and host for it"
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
                    f"{self.name} has no {field}, so {field}={value!r} cannot be honoured: leave "
                    "it out, or use another host"
                )

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - may differ
        """The request document, of fields as the Voyage API names them. None means absent."""
        return COMPACT.encode(
            {n: value for n, value in fields.items() if value is not None and self.supports(n)}
        ).encode()

    # ── what a response means ─────────────────────────────────────────────────────────────────────

    def decode(self, request: Request, document: Any) -> Any:  # noqa: ARG002 - may differ
        """The parsed response as the Voyage API would have sent it, if `rewrites_responses`."""
        return document

    def error(self, response: Response) -> ErrorDetail:
        """What a response says that is not a 200."""
        return error_detail(response)

    # ── for `voyage_rag.doctor` ───────────────────────────────────────────────────────────────────

    @property
    def credentials(self) -> str:
        """How requests are authorised, without any secret but a long key's last four characters."""
        if self.api_key is None:
            return "none needed"
        text = self.api_key.get_secret_value()
        return f"a key that ends in ...{text[-4:]}" if len(text) >= SHORT_KEY_CHARS else "a key"

    def probe(self) -> Request:
        """A request that costs nothing and shows whether the host responds."""
        return Request("/embeddings", b"{}", "", 0)

    def describe(self, response: Response) -> str:  # noqa: ARG002 - may say something
        """What a response to `probe` says of the models there, "" for nothing."""
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
    """Data with asterisks instead of a secret; nothing else if it is encoded in it."""
    key = secret.encode()
    pattern = re.escape(key)
    if len(secret) < SHORT_KEY_CHARS:
        pattern = rb"(?<![\w-])" + pattern + rb"(?![\w-])"
    data = re.sub(pattern, REDACTED, data)
    if len(secret) >= SHORT_KEY_CHARS and any(key in form for form in _decoded(data)):
        return REDACTED
    return data


def _decoded(data: bytes) -> Iterator[bytes]:
    """What data says in the encodings in which gateways repeat a header."""
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
    """A host that runs inside this process: no address, no key, no network.

    Attributes:
        model: The model it serves.
    """

    model: str

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Compute the response to a request.

        Called in the caller's thread or in a worker thread, never on an event loop, and by several
        threads at once.
        """
