"""Resolve settings: explicit argument, then environment variable, then default.

The environment is read in `Settings.resolve`, at construction only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
)
from pydantic.json_schema import SkipJsonSchema

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts import Host, VoyageAPI, select_host
from voyage_rag.secret import APIKey, find_key, hidden, variable
from voyage_rag.suggestions import unknown_parameter

BASE_URL_VARIABLE = "VOYAGE_BASE_URL"


def as_path(value: object) -> object:
    """Return the path of a file as text, with `~` expanded; raise a `ValueError` otherwise."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"must be the path of a file, not {type(value).__name__}")  # noqa: TRY004 - for pydantic
    if not os.fspath(value):
        raise ValueError("must be the path of a file, not ''")
    return os.path.expanduser(value)  # noqa: PTH111 - pathlib's raises without a home directory


PerMinute = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


MIN_CACHE_BYTES = 2**16
"""The minimum size of a cache. A smaller one would contain a handful of vectors and cost more than
it saves.
"""


class Settings(BaseModel):
    """The settings of a `Voyage`. Immutable; its repr shows no key.

    Attributes:
        host: Describes where the models run, with the address and the key.
        timeout: Seconds per attempt, from connecting to the last byte of the response.
        max_retries: Number of retries. None means 6, and as many as `total_timeout` allows for a
            429.
        total_timeout: Seconds per request including all attempts, the delays between them, and the
            wait for a rate limit. None disables the limit. In a job with many requests, the time of
            a request starts when it is the next one to send.
        query_max_retries: `max_retries` for queries and reranking, for which a user waits; at most
            `max_retries`.
        query_total_timeout: `total_timeout` for queries and reranking; at most `total_timeout`. The
            default of 75 seconds is just over the minute in which the free tier counts requests.
        hedge_after: Seconds without a response after which a query is sent a second time. The first
            response is used; both are counted in `usage`. None disables this.
        concurrency: Number of concurrent requests per call.
        requests_per_minute: The account's limit per model. By default, the client discovers it.
        tokens_per_minute: The account's limit of tokens per minute and model.
        cache: Path of a SQLite file that caches vectors and scores, `:memory:` to cache them in the
            client, or None.
        cache_max_bytes: Maximum size of the cache; None disables the limit.
        tokenizer: Path of a `tokenizer.json` for exact token counts; None estimates them.
        allow_insecure_http: Allow sending the key over plain HTTP to a host that is not loopback.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    host: SkipJsonSchema[Annotated[Host, PlainSerializer(repr, when_used="json")]]
    timeout: Seconds = 60.0
    max_retries: Annotated[int, Field(ge=0)] | None = None
    total_timeout: Seconds | None = 300.0
    query_max_retries: Annotated[int, Field(ge=0)] = 3
    query_total_timeout: Seconds | None = 75.0
    hedge_after: Seconds | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    cache: Annotated[str, BeforeValidator(as_path)] | None = None
    cache_max_bytes: Annotated[int, Field(ge=MIN_CACHE_BYTES)] | None = None
    tokenizer: Annotated[str, BeforeValidator(as_path)] | None = None
    allow_insecure_http: bool = False

    @classmethod
    def resolve(
        cls,
        api_key: str | SecretStr | None = None,
        *,
        api_key_path: str | os.PathLike[str] | None = None,
        base_url: str | None = None,
        host: Host | None = None,
        allow_insecure_http: bool = False,
        environ: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Self:
        """Find the key and the host, and check all settings.

        Args:
            api_key: The key itself. By default, it is looked up (see `voyage_rag.secret.find_key`).
            api_key_path: Path of a file with the key.
            base_url: Overrides `VOYAGE_BASE_URL` and the host that belongs to the key's prefix.
            host: Describes where the models run. Replaces the key and the address.
            allow_insecure_http: See the attribute.
            environ: Read instead of the process environment.
            options: The other attributes; None means the default.

        Raises:
            ConfigurationError: A setting is missing or invalid. The message names it.
        """
        api_key = hidden(api_key)
        _check_types(base_url, api_key_path, allow_insecure_http)
        unlimited = {"total_timeout", "query_total_timeout"}  # None means no limit
        given = {n: value for n, value in options.items() if value is not None or n in unlimited}
        if host is None:
            key = find_key(api_key, api_key_path, environ)
            address = variable(BASE_URL_VARIABLE, environ) if base_url is None else base_url
            try:
                host = select_host(key, address, allow_insecure_http=allow_insecure_http)
            except ConfigurationError as error:
                if base_url is not None or address is None:
                    raise
                message = error.message.replace("base_url", BASE_URL_VARIABLE, 1)
                raise ConfigurationError(message) from None
        else:
            _check_alone(
                api_key=api_key,
                api_key_path=api_key_path,
                base_url=base_url,
                allow_insecure_http=allow_insecure_http,
            )
        return cls.checked(host=host, allow_insecure_http=allow_insecure_http, **given)

    def changed(self, **changes: object) -> Self:
        """Return a copy with other values.

        Raises:
            ConfigurationError: A value is invalid, or belongs to the connections and the cache that
                copies share.
        """
        if shared := [name for name in changes if name in SHARED_SETTINGS]:
            raise ConfigurationError(
                f"{', '.join(shared)} cannot be changed in a copy, which shares connections and "
                "cache: create another Voyage"
            )
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return self.checked(**{**values, **changes})

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Return settings with these values, or raise a `ConfigurationError`."""
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise ConfigurationError(_describe(error)) from None
        if settings.cache_max_bytes is not None and settings.cache is None:
            raise ConfigurationError("cache_max_bytes requires cache")
        if settings.hedge_after is not None and settings.hedge_after >= settings.timeout:
            raise ConfigurationError(
                f"hedge_after={settings.hedge_after:g} is not less than timeout="
                f"{settings.timeout:g}: a query would never be sent a second time"
            )
        return settings

    @property
    def base_url(self) -> str:
        """Base URL of the API including its version, without a trailing slash."""
        return self.host.base_url

    @property
    def api_key(self) -> APIKey | None:
        """The key; None for a host without one."""
        return self.host.api_key

    @property
    def selection(self) -> str:
        """The arguments that select this host, without the key: its address, or the object."""
        selected = isinstance(self.host, VoyageAPI)
        return f"base_url={self.base_url!r}" if selected else f"host={self.host!r}"


class ChangedSettings(TypedDict, total=False):
    """The settings that a copy may have of its own, for editors and type checkers."""

    timeout: float
    max_retries: int | None
    total_timeout: float | None
    query_max_retries: int
    query_total_timeout: float | None
    hedge_after: float | None
    concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None


SHARED_SETTINGS = frozenset(
    {
        "allow_insecure_http",
        "api_key",
        "api_key_path",
        "async_http_client",
        "base_url",
        "cache",
        "cache_max_bytes",
        "host",
        "http_client",
        "tokenizer",
    }
)


def _check_types(base_url: object, api_key_path: object, allow_insecure_http: object) -> None:
    """Raise an error for values that cannot be compared or joined, such as arrays."""
    if base_url is not None and not isinstance(base_url, str):
        raise ConfigurationError(f"base_url must be a string, not {type(base_url).__name__}")
    if api_key_path is not None and not isinstance(api_key_path, (str, os.PathLike)):
        raise ConfigurationError(f"api_key_path must be a path, not {type(api_key_path).__name__}")
    if api_key_path == "":
        raise ConfigurationError("api_key_path is empty: pass the path of a file, or leave it out")
    if not isinstance(allow_insecure_http, bool):
        raise ConfigurationError(
            f"allow_insecure_http must be True or False, not {type(allow_insecure_http).__name__}"
        )


def _check_alone(**others: object) -> None:
    """Raise an error for settings that the host defines itself."""
    if given := [name for name, value in others.items() if value]:
        raise ConfigurationError(
            f"{', '.join(given)} cannot be combined with host, which has its own address and key: "
            "pass them to the host"
        )


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown_parameter(
            name, [n for n in Settings.model_fields if n not in SHARED_SETTINGS]
        )
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}"
