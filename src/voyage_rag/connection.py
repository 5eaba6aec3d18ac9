"""How a framework's object reaches the service: the fields of every adapter, and their client.

A mixin for pydantic models, since LangChain's and LlamaIndex's classes are both. The client is made
of the fields as they are when it is needed, so a copy with another key or address uses these, and
nothing that is printed, dumped or serialised holds a key.

Objects that cannot be serialised (`host`, `client`, `http_client`, `http_async_client`) are shared
by copies and left out of dictionaries and JSON. A pickle holds the host, which is how it reaches
worker processes; an object with an HTTP client of your own cannot be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
)
from pydantic.json_schema import SkipJsonSchema

from voyage_rag.construction import KEY_NAMES
from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts import Host, VoyageAPI
from voyage_rag.observe.observers import NO_OBSERVERS, Observers, as_observers
from voyage_rag.secret import APIKey, as_key, find_key, find_same_key
from voyage_rag.settings import as_path

if TYPE_CHECKING:
    import httpx

    from voyage_rag.client import Voyage
    from voyage_rag.usage import Usage

SETTINGS = (
    "base_url",
    "timeout",
    "max_retries",
    "total_timeout",
    "query_max_retries",
    "query_total_timeout",
    "hedge_after",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "cache",
    "cache_max_bytes",
    "tokenizer",
    "allow_insecure_http",
)
"""Fields that are settings of the client, too."""
HTTP_CLIENTS = ("http_client", "http_async_client")


CONNECTION_FIELDS = frozenset(
    {*KEY_NAMES, *SETTINGS, *HTTP_CLIENTS, "api_key_path", "observers", "client", "host"}
)
"""Fields of which the client is made: it is made anew when one of them has changed."""


def _as_client(value: object) -> Voyage:
    from voyage_rag.client import Voyage  # noqa: PLC0415 - classes are made without it

    if not isinstance(value, Voyage):
        raise ValueError(f"Input should be a Voyage, not {type(value).__name__}")  # noqa: TRY004
    return value


def _as_host(value: object) -> Host:
    if not isinstance(value, Host):
        raise ValueError(  # noqa: TRY004 - pydantic's convention
            f"Input should be a host of voyage_rag.hosts, not {type(value).__name__}"
        )
    return value


if TYPE_CHECKING:
    Client: TypeAlias = Voyage
    HTTPClient: TypeAlias = httpx.Client
    AsyncHTTPClient: TypeAlias = httpx.AsyncClient
else:  # imported when an object is made, since httpx comes with it
    Client = Annotated[Any, PlainValidator(_as_client)]
    HTTPClient = AsyncHTTPClient = Any  # checked by `Voyage`


class Connection(BaseModel):
    """Fields with which an adapter connects. All are optional.

    Attributes:
        voyage_api_key: The key, also as `api_key`; else it is looked for (see
            `voyage_rag.secret.find_key`).
        api_key_path: A file that holds the key; else `VOYAGE_API_KEY_PATH`.
        base_url: Address of the API; else `VOYAGE_BASE_URL`, else the host the key belongs to.
        timeout: Seconds one attempt may take; 60 unless given.
        max_retries: Further attempts after one that failed; unless given, 6, and more for a 429.
        total_timeout: Seconds one request may take with all its attempts; None for no limit.
        query_max_retries: The same as `max_retries` for queries and reranking; 3 unless given.
        query_total_timeout: The same as `total_timeout` for these; 75 unless given.
        hedge_after: Seconds after which a query without a response is sent a second time.
        concurrency: Requests in flight at once for one call; 16 unless given.
        requests_per_minute: The account's limit per model; discovered if it is not given.
        tokens_per_minute: The same, of tokens.
        cache: A SQLite file; what it holds is not paid for again, in this run or the next.
            `:memory:` keeps vectors and scores as long as the client.
        cache_max_bytes: Bytes that the cache may have; a tenth is dropped when it is full.
        tokenizer: A model's `tokenizer.json`, to plan by exact counts.
        allow_insecure_http: Let the key travel over plain http to another machine.
        observers: Functions that are notified of what its calls do (see `voyage_rag.events`).
        host: Where the models run, of `voyage_rag.hosts`, instead of a key and an address.
        http_client: Your own `httpx.Client` for sync calls, with its own proxies, certificates,
            headers and auth. You close it.
        http_async_client: The same for async calls, which all have to be in one event loop.
        client: A `Voyage` to share with other objects; it brings the fields above.
        api_key_fingerprint: Which key a serialised object had, if it was given as an argument.
        host_name: Which host a serialised object had, if it was given as an argument.
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

    _voyage: Voyage | None = PrivateAttr(default=None)  # None after a field has changed

    @property
    def voyage(self) -> Voyage:
        """The client: the one given, or one made of the fields as they are.

        Raises:
            ConfigurationError: There is no key, or a setting cannot work, or was changed although
                the client was given.
        """
        if self._voyage is None:
            if self.client is not None:
                self._check_agreement(self.client)
            self._voyage = self.client or self._make()
        return self._voyage

    @property
    def usage(self) -> Usage:
        """Usage of the client so far."""
        return self.voyage.usage

    def connect(self) -> None:
        """Settle which key this object has, and check that it can connect.

        Raises:
            ConfigurationError: There is no key, or a setting cannot work.
            InvalidInputError: The model is known to be of another kind, or to lack an option.
        """
        self.check_options()
        if self.client is not None:
            self._adopt(self.client, self.model_fields_set)
        if self.host is None and self.host_name is not None:
            raise ConfigurationError(
                f"this object was made with host={self.host_name}, and hosts are not serialised: "
                "pass the same host=..., or make the object anew"
            )
        if self.host is None:
            self._settle_key()
        else:
            self.host_name = repr(self.host)
        _ = self.voyage

    def _settle_key(self) -> None:
        pinned, is_given = self.api_key_fingerprint, "api_key_fingerprint" in self.model_fields_set
        if self.voyage_api_key:
            key = self.voyage_api_key
            if pinned or not is_given:
                pinned = key.fingerprint
        elif pinned:
            key = find_same_key(None, pinned)
        else:
            key = find_key(None, self.api_key_path)
        self.voyage_api_key = key
        self.api_key_fingerprint = pinned

    def check_options(self) -> None:
        """Check the model and its options, as far as the catalogue knows the model.

        Raises:
            InvalidInputError: One cannot work.
        """

    def __setattr__(self, name: str, value: Any) -> None:
        """Hide a key that is set later, and take note which one it is."""
        if name in KEY_NAMES:
            name, value = KEY_NAMES[0], None if value is None else as_key(value)
            super().__setattr__("api_key_fingerprint", value and value.fingerprint)
        if name == "host" and value is not None:  # which brings its own key and address
            for replaced in ("voyage_api_key", "api_key_fingerprint", "api_key_path", "base_url"):
                super().__setattr__(replaced, None)
            super().__setattr__("host_name", repr(value))
        if name in CONNECTION_FIELDS and getattr(self, name, None) != value:
            self._voyage = None
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, which uses the key, address or client in `update` and not those of the original.

        Args:
            update: Fields that differ; not validated.
            deep: Copy what the fields hold, too.
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
        """A copy with other options, which shares connections, cache and rate limits.

        As in `embeddings.with_options(timeout=5, query_max_retries=0).embed_query("...")`.

        Args:
            options: Fields of the class, such as `truncation`, and settings of the client that a
                copy may have of its own (see `voyage_rag.Voyage.with_options`).

        Raises:
            ConfigurationError: An option is not known, or is one that copies share.
            InvalidInputError: The model is known to lack an option.
        """
        changeable = type(self).model_fields.keys() - (CONNECTION_FIELDS - {*SETTINGS})
        if refused := sorted(options.keys() - changeable):
            raise ConfigurationError(
                f"with_options does not know {', '.join(refused)}, or copies share it: make "
                "another object"
            )
        settings = {name: value for name, value in options.items() if name in SETTINGS}
        client = self.voyage.with_options(**settings) if settings else self.voyage
        others = (
            options
            if self.client is None
            else {
                **{name: value for name, value in options.items() if name not in SETTINGS},
                "client": client,
            }
        )
        copied = self.model_copy(update=others)
        copied._voyage = client  # noqa: SLF001 - its own
        copied.check_options()
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy that shares the HTTP clients, which cannot be copied."""
        memo = {} if memo is None else memo
        if shared := [http for http in (self.http_client, self.http_async_client) if http]:
            memo |= {id(one): one for one in (*shared, self._voyage)}
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: refused if a client cannot be, instead of left out of it."""
        if self.client is not None:
            self.client.__reduce__()
        for name in HTTP_CLIENTS:
            if getattr(self, name) is not None:
                raise TypeError(f"an object with its own {name} cannot be pickled")
        return super().__getstate__()

    def _adopt(self, client: Voyage, given: AbstractSet[str]) -> None:
        """Have the client's settings where none are given, for copies and serialised forms."""
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
                f"{', '.join(others)} cannot differ from what the given client has: pass a client "
                "that has them, or no client"
            )

    def _make(self) -> Voyage:
        from voyage_rag.client import Voyage  # noqa: PLC0415 - classes are made without it

        settings = {name: getattr(self, name) for name in SETTINGS}
        return Voyage(
            api_key=self.voyage_api_key,
            host=self.host,
            http_client=self.http_client,
            async_http_client=self.http_async_client,
            observers=self.observers,
            **settings,
        )
