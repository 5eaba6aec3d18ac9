"""The connection fields that all adapters share, and the client that they configure.

This is a mixin for pydantic models, because the classes of LangChain and LlamaIndex are both
pydantic models. The client is created from the current fields when it is needed, so a copy with
another key or address uses these. Nothing that is printed, dumped or serialised contains a key.

Objects that cannot be serialised (`host`, `client`, `http_client`, `http_async_client`) are shared
by copies and omitted from dictionaries and JSON, from which an object is created again only with
the same host or HTTP client. A pickle contains the host, because worker processes need it; an
object with your own HTTP client cannot be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    field_serializer,
)
from pydantic.json_schema import SkipJsonSchema

from voyage_rag.client import Voyage
from voyage_rag.client.session import AsyncHTTPClient, HTTPClient
from voyage_rag.construction import KEY_NAMES, without_validators
from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts import Host, VoyageAPI
from voyage_rag.observe.observers import NO_OBSERVERS, Observers, as_observers
from voyage_rag.secret import APIKey, as_key, find_key, find_same_key
from voyage_rag.settings import Settings, as_path
from voyage_rag.usage import Usage

SETTINGS = ("base_url", *(name for name in Settings.model_fields if name != "host"))
"""Fields that are also settings of the client."""

HTTP_CLIENTS = ("http_client", "http_async_client")

CONNECTION_FIELDS = frozenset(
    {*KEY_NAMES, *SETTINGS, *HTTP_CLIENTS, "api_key_path", "observers", "client", "host"}
)
"""Fields that the client is created from. A change of one of them creates a new client."""


def _as_client(value: object) -> Voyage:
    if not isinstance(value, Voyage):
        raise ValueError(f"Input should be a Voyage, not {type(value).__name__}")  # noqa: TRY004
    return value


def _as_host(value: object) -> Host:
    if not isinstance(value, Host):
        raise ValueError(  # noqa: TRY004 - pydantic's convention
            f"Input should be a host of voyage_rag.hosts, not {type(value).__name__}"
        )
    return value


Client: TypeAlias = Annotated[Voyage, PlainValidator(_as_client)]


class Connection(BaseModel):
    """Fields that configure how an adapter connects. All are optional.

    Attributes:
        voyage_api_key: The API key, also accepted as `api_key`. Default: the key file, then
            `VOYAGE_API_KEY`.
        api_key_path: Path of a file with the key. Default: `VOYAGE_API_KEY_PATH`.
        base_url: Base URL of the API. Default: `VOYAGE_BASE_URL`, then the host that the key
            belongs to.
        timeout: Seconds per attempt. Default: 60.
        max_retries: Number of retries. Default: 6, and more for a 429.
        total_timeout: Seconds per request including all attempts. None disables the limit.
        query_max_retries: `max_retries` for queries and reranking. Default: 3.
        query_total_timeout: `total_timeout` for queries and reranking. Default: 75.
        hedge_after: Seconds without a response after which a query is sent a second time.
        concurrency: Number of concurrent requests per call. Default: 16.
        requests_per_minute: The account's limit per model. By default, the client discovers it.
        tokens_per_minute: The account's limit of tokens per minute and model.
        cache: Path of a SQLite file that caches vectors and scores between runs, or `:memory:` to
            cache them in the client.
        cache_max_bytes: Maximum size of the cache. When it is full, a tenth is evicted.
        tokenizer: Path of the model's `tokenizer.json` for exact token counts.
        allow_insecure_http: Allow sending the key over plain HTTP to another machine.
        observers: Functions that are called with each event (see `voyage_rag.events`).
        host: An object from `voyage_rag.hosts` that describes where the models run. Replaces the
            key and `base_url`.
        http_client: An `httpx.Client` for sync calls, with your proxies, certificates, headers and
            authentication. You close it.
        http_async_client: An `httpx.AsyncClient` for async calls in one event loop.
        client: A `Voyage` that several objects share. It replaces the fields above.
        api_key_fingerprint: Fingerprint of the key, if it was an argument of a serialised object.
        host_name: Name of the host, if it was an argument of a serialised object.
        own_http_client: Whether a serialised object had its own HTTP client.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    voyage_api_key: APIKey | None = Field(
        default=None, validation_alias=AliasChoices(*KEY_NAMES), exclude=True, repr=False
    )
    api_key_path: Annotated[str, BeforeValidator(as_path)] | None = None
    base_url: str | None = None
    timeout: float | None = None
    max_retries: int | None = None
    total_timeout: float | None = 300.0
    query_max_retries: int | None = None
    query_total_timeout: float | None = 75.0
    hedge_after: float | None = None
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    cache: Annotated[str, BeforeValidator(as_path)] | None = None
    cache_max_bytes: int | None = None
    tokenizer: Annotated[str, BeforeValidator(as_path)] | None = None
    allow_insecure_http: bool = False
    observers: SkipJsonSchema[Annotated[Observers, PlainValidator(as_observers)]] = Field(
        default=NO_OBSERVERS, exclude=True, repr=False
    )
    host: SkipJsonSchema[Annotated[Host, PlainValidator(_as_host)] | None] = Field(
        default=None, exclude=True
    )
    http_client: SkipJsonSchema[HTTPClient | None] = Field(default=None, exclude=True, repr=False)
    http_async_client: SkipJsonSchema[AsyncHTTPClient | None] = Field(
        default=None, exclude=True, repr=False
    )
    client: SkipJsonSchema[Client | None] = Field(default=None, exclude=True, repr=False)
    api_key_fingerprint: str | None = Field(default=None, repr=False)
    host_name: str | None = Field(default=None, repr=False)
    own_http_client: bool = Field(default=False, repr=False)

    _voyage: Voyage | None = PrivateAttr(default=None)  # None after a field has changed

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Simplify the signature of a class."""
        super().__pydantic_init_subclass__(**options)
        cls.__signature__ = without_validators(cls.__signature__)

    @property
    def voyage(self) -> Voyage:
        """The client: the one that was passed, or one created from the current fields.

        Raises:
            ConfigurationError: There is no key, a setting is invalid, or a setting was changed
                although a client was passed.
        """
        if self._voyage is None:
            if self.client is not None:
                self._check_agreement(self.client)
            self._voyage = self.client or self._make()
        return self._voyage

    @property
    def usage(self) -> Usage:
        """The usage of the client so far."""
        return self.voyage.usage

    def connect(self) -> None:
        """Determine the key of this object, and check that it can connect.

        Raises:
            ConfigurationError: There is no key, or a setting is invalid.
            InvalidInputError: The model is of another kind, or does not support an option.
        """
        self.check_options()
        if self.client is not None:
            self._adopt(self.client, self.model_fields_set)
        if self.host is None and self.host_name is not None:
            raise ConfigurationError(
                f"this object was made with host={self.host_name}, and hosts are not serialised: "
                "pass the same host=..., or create a new object"
            )
        if self.own_http_client and not (self.client or self.http_client or self.http_async_client):
            raise ConfigurationError(
                "this object was made with its own HTTP client, and HTTP clients are not "
                "serialised: pass the same http_client=... or client=..., or create a new object"
            )
        if self.host is None:
            self._resolve_key()
        else:
            self.host_name = repr(self.host)
        _ = self.voyage

    def _resolve_key(self) -> None:
        pinned, is_given = self.api_key_fingerprint, "api_key_fingerprint" in self.model_fields_set
        if self.voyage_api_key:
            key = as_key(self.voyage_api_key)
            if pinned or not is_given:
                pinned = key.fingerprint
        elif pinned:
            key = find_same_key(pinned)
        else:
            key = find_key(None, self.api_key_path)
        self.voyage_api_key = key
        self.api_key_fingerprint = pinned

    @field_serializer("own_http_client")
    def _has_own_http_client(self, _: bool) -> bool:
        if self.client is not None:
            return self.client.has_own_http_client
        return any(getattr(self, name) is not None for name in HTTP_CLIENTS)

    def check_options(self) -> None:
        """Check the model and its options against the catalogue.

        Raises:
            InvalidInputError: The model does not support an option.
        """

    def __setattr__(self, name: str, value: Any) -> None:
        """Hide a key that is assigned later, and record its fingerprint."""
        if name in KEY_NAMES:
            name, value = KEY_NAMES[0], None if value is None else as_key(value)
            super().__setattr__("api_key_fingerprint", value and value.fingerprint)
        if name == "host" and value is not None:  # a host has its own key and address
            for replaced in ("voyage_api_key", "api_key_fingerprint", "api_key_path", "base_url"):
                super().__setattr__(replaced, None)
            super().__setattr__("host_name", repr(value))
        if name in CONNECTION_FIELDS and getattr(self, name, None) != value:
            self._voyage = None
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, which uses the key, address or client in `update` instead of its own.

        Args:
            update: Fields that differ; they are not validated.
            deep: Copy the values of the fields, too.
        """
        given = dict(update or {})
        keys = {name: given.pop(name) for name in (*KEY_NAMES, "host") if name in given}
        copied = super().model_copy(update=given, deep=deep)
        for name, key in keys.items():
            setattr(copied, name, key)
        if not CONNECTION_FIELDS.isdisjoint(given):
            copied._voyage = None  # noqa: SLF001 - its own
        if given.get("client") is not None:
            copied._adopt(given["client"], given.keys() | keys.keys())  # noqa: SLF001 - its own
        return copied

    def with_options(self, **options: Any) -> Self:
        """Return a copy with other options, which shares connections, cache and rate limits.

        Example: `embeddings.with_options(timeout=5, query_max_retries=0).embed_query("...")`.

        Args:
            options: Fields of the class, such as `truncation`, and settings of the client (see
                `voyage_rag.Voyage.with_options`).

        Raises:
            ConfigurationError: An option is unknown, or shared by all copies.
            InvalidInputError: The model does not support an option.
        """
        changeable = type(self).model_fields.keys() - (CONNECTION_FIELDS - {*SETTINGS})
        if refused := sorted(options.keys() - changeable):
            raise ConfigurationError(
                f"with_options cannot change {', '.join(refused)}, which is unknown or shared by "
                "all copies: create another object"
            )
        settings = {name: value for name, value in options.items() if name in SETTINGS}
        client = self.voyage.with_options(**settings) if settings else self.voyage
        update = options if self.client is None else {**options, "client": client}
        copied = self.model_copy(update=update)
        copied._voyage = client  # noqa: SLF001 - its own
        copied.check_options()
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy that shares the HTTP clients, which cannot be copied."""
        memo = {} if memo is None else memo
        if shared := [http for http in (self.http_client, self.http_async_client) if http]:
            memo |= {id(one): one for one in (*shared, self._voyage)}
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        """Return the state to pickle. Raise an error if a client cannot be pickled."""
        if self.client is not None:
            self.client.__reduce__()
        for name in HTTP_CLIENTS:
            if getattr(self, name) is not None:
                raise TypeError(
                    f"an object with its own {name} cannot be pickled: create one in each process"
                )
        return super().__getstate__()

    def _adopt(self, client: Voyage, given: AbstractSet[str]) -> None:
        """Fill in the settings of the given client, for copies and serialised forms."""
        for name in SETTINGS:
            if name not in given:
                setattr(self, name, getattr(client.settings, name))
        if not isinstance(client.settings.host, VoyageAPI):
            self.host, self.base_url = client.settings.host, None
        elif not given & {*KEY_NAMES}:
            self.voyage_api_key = client.settings.api_key

    def _check_agreement(self, client: Voyage) -> None:
        own, its = self.voyage_api_key, client.settings.api_key
        others = [] if own is None or own == its else ["api_key"]
        others += ["observers"] if self.observers not in (NO_OBSERVERS, client.observers) else []
        others += ["host"] if self.host not in (None, client.settings.host) else []
        others += [n for n in HTTP_CLIENTS if getattr(self, n) is not None]
        others += [
            name
            for name in SETTINGS
            if getattr(self, name) != getattr(client.settings, name)
            and not (name == "base_url" and self.host)
        ]
        if others:
            raise ConfigurationError(
                f"{', '.join(others)} cannot differ from the settings of the given client: "
                "pass a client with the same settings, or no client"
            )

    def _make(self) -> Voyage:
        settings = {name: getattr(self, name) for name in SETTINGS}
        return Voyage(
            api_key=self.voyage_api_key,
            host=self.host,
            http_client=self.http_client,
            async_http_client=self.http_async_client,
            observers=self.observers,
            **settings,
        )
