"""How to reach the service: explicit argument, then environment, then default.

The environment is read in `Settings.resolve`, at construction and nowhere else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from voyage_rag.errors import ConfigurationError
from voyage_rag.secret import APIKey, find_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

BASE_URL_VARIABLE = "VOYAGE_BASE_URL"

HOSTS_BY_KEY_PREFIX = (
    ("al-eu-", "https://eu.ai.mongodb.com/v1"),
    ("al-us-", "https://us.ai.mongodb.com/v1"),
    ("al-", "https://ai.mongodb.com/v1"),
    ("", "https://api.voyageai.com/v1"),
)
"""A key works on its own host only; MongoDB documents the prefixes ("Voyage AI: API keys")."""

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def as_path(value: object) -> object:
    """The path of a file as text; a `ValueError` for what is none."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    raise ValueError(f"must be the path of a file, not {type(value).__name__}")


PerMinute = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Everything a `Voyage` needs to know before its first call. Frozen; shows no key.

    Attributes:
        api_key: The key.
        base_url: Address of the API up to and including its version, without a trailing slash.
        timeout: Seconds one attempt may take, from connecting to the last byte of the answer.
        max_retries: Further attempts after a first one that failed. None means 6, and for a rate
            limit as many as `total_timeout` allows.
        total_timeout: Seconds one request may take with all its attempts and the waits between
            them; None for no limit. Waiting for a turn under a rate limit does not count.
        concurrency: Requests in flight at once for one call.
        requests_per_minute: The account's limit per model; discovered if it is not given.
        tokens_per_minute: The same, of tokens.
        cache: A SQLite file that keeps vectors, None for none.
        tokenizer: A `tokenizer.json` to count tokens with, None to estimate them.
        allow_insecure_http: Let the key travel over plain http to a host that is not loopback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: APIKey
    base_url: str
    timeout: Seconds = 60.0
    max_retries: Annotated[int, Field(ge=0)] | None = None
    total_timeout: Seconds | None = 300.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    cache: Annotated[str, BeforeValidator(as_path)] | None = None
    tokenizer: Annotated[str, BeforeValidator(as_path)] | None = None
    allow_insecure_http: bool = False

    @classmethod
    def resolve(
        cls,
        api_key: str | SecretStr | None = None,
        *,
        api_key_path: str | os.PathLike[str] | None = None,
        base_url: str | None = None,
        allow_insecure_http: bool = False,
        environ: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Self:
        """Find the key and the host, and check everything.

        Args:
            api_key: The key itself; else it is looked for (see `voyage_rag.secret.find_key`).
            api_key_path: A file that holds the key.
            base_url: Overrides `VOYAGE_BASE_URL` and the host that goes with the key's prefix.
            allow_insecure_http: See the attribute.
            environ: Read instead of the process environment.
            options: The other attributes; None means the default.

        Raises:
            ConfigurationError: A setting is missing or cannot work; the message names it.
        """
        environ = os.environ if environ is None else environ
        key = find_key(api_key, api_key_path, environ)
        address = base_url or environ.get(BASE_URL_VARIABLE) or host_of(key)
        given = {name: value for name, value in options.items() if value is not None}
        if "total_timeout" in options:
            given["total_timeout"] = options["total_timeout"]
        try:
            return cls(
                api_key=key,
                base_url=check_address(address, allow_insecure_http=allow_insecure_http),
                allow_insecure_http=allow_insecure_http,
                **given,
            )
        except ValidationError as error:
            raise ConfigurationError(_told(error)) from None

    @property
    def host(self) -> str:
        """Host name of the service."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.base_url)
        return parts.port or (443 if parts.scheme == "https" else 80)


def host_of(key: APIKey) -> str:
    """The address of the host that `key` belongs to, by its prefix."""
    text = key.get_secret_value()
    return next(url for prefix, url in HOSTS_BY_KEY_PREFIX if text.startswith(prefix))


def check_address(base_url: str, *, allow_insecure_http: bool) -> str:
    """Refuse an address that cannot work or would expose the key.

    Raises:
        ConfigurationError: No http(s) address, credentials inside it, or plain http to another
            machine.
    """
    try:
        parts = urlsplit(base_url.strip())
        hostname, _ = parts.hostname, parts.port
    except (ValueError, AttributeError):
        raise ConfigurationError(
            "base_url is not an address: expected e.g. 'https://api.voyageai.com/v1'"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "base_url holds a user name or password: remove it; the key goes into api_key"
        )
    if parts.scheme not in {"http", "https"} or not hostname:
        raise ConfigurationError(
            f"base_url {base_url!r} is not an http(s) address: expected e.g. "
            "'https://api.voyageai.com/v1'"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"base_url for {hostname!r} holds a query or fragment: remove it")
    if parts.scheme == "http" and hostname not in LOOPBACK and not allow_insecure_http:
        raise ConfigurationError(
            f"base_url {base_url!r} would send the key unencrypted to {hostname!r}: use https, or "
            "say allow_insecure_http=True if you trust the network between"
        )
    return base_url.strip().rstrip("/")


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}; the settings are {', '.join(Settings.model_fields)}"
    return f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}"
