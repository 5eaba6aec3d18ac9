"""How a framework's object reaches the service: the fields of every adapter, and their client.

A mixin for pydantic models, since LangChain's and LlamaIndex's classes are both. The client is made
of the fields as they are when it is needed, so a copy with another key or address uses these, and
nothing that is printed, dumped or serialised holds a key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

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

from voyage_rag.errors import ConfigurationError
from voyage_rag.observe.observers import NO_OBSERVERS, Observers, as_observers
from voyage_rag.secret import APIKey, as_key, find_key, find_same_key
from voyage_rag.settings import as_path

if TYPE_CHECKING:
    from voyage_rag.client import Voyage
    from voyage_rag.types import Usage

KEY_NAMES = ("voyage_api_key", "api_key")
SETTINGS = (
    "base_url",
    "timeout",
    "max_retries",
    "total_timeout",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "cache",
    "tokenizer",
    "allow_insecure_http",
)
"""Fields that are settings of the client, too."""

CONNECTION_FIELDS = frozenset({"voyage_api_key", "api_key_path", "observers", "client", *SETTINGS})
"""Fields of which the client is made: it is made anew when one of them has changed."""


def _as_client(value: object) -> Voyage:
    from voyage_rag.client import Voyage  # noqa: PLC0415 - classes are made without it

    if not isinstance(value, Voyage):
        raise ValueError(f"Input should be a Voyage, not {type(value).__name__}")  # noqa: TRY004
    return value


if TYPE_CHECKING:
    Client: TypeAlias = Voyage
else:  # imported when an object is made, since httpx comes with it
    Client = Annotated[Any, PlainValidator(_as_client)]


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
        concurrency: Requests in flight at once for one call; 16 unless given.
        requests_per_minute: The account's limit per model; discovered if it is not given.
        tokens_per_minute: The same, of tokens.
        cache: A SQLite file; what it holds is not paid for again, in this run or the next.
        tokenizer: A model's `tokenizer.json`, to plan by exact counts.
        allow_insecure_http: Let the key travel over plain http to another machine.
        observers: Functions that are told what its calls do (see `voyage_rag.events`).
        client: A `Voyage` to share with other objects; it brings the fields above.
        api_key_fingerprint: Which key a serialised object had, if it was given as an argument.
    """

    model_config = ConfigDict(
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
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    cache: Annotated[str, BeforeValidator(as_path)] | None = None
    tokenizer: Annotated[str, BeforeValidator(as_path)] | None = None
    allow_insecure_http: bool = False
    observers: SkipJsonSchema[Annotated[Observers, PlainValidator(as_observers)]] = Field(
        default=NO_OBSERVERS, exclude=True, repr=False
    )
    client: SkipJsonSchema[Client | None] = Field(default=None, exclude=True, repr=False)
    api_key_fingerprint: str | None = Field(default=None, repr=False)

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
        """What the client has spent so far."""
        return self.voyage.usage

    def connect(self) -> None:
        """Settle which key this object has, and check that it can connect.

        Raises:
            ConfigurationError: There is no key, or a setting cannot work.
        """
        pinned, told = self.api_key_fingerprint, "api_key_fingerprint" in self.model_fields_set
        if self.client is not None:
            self._adopt(self.client, self.model_fields_set)
        if self.voyage_api_key:
            key = self.voyage_api_key
            if pinned or not told:
                pinned = key.fingerprint
        elif pinned:
            key = find_same_key(None, pinned)
        else:
            key = find_key(None, self.api_key_path, os.environ)
        self.voyage_api_key = key
        self.api_key_fingerprint = pinned
        _ = self.voyage

    def __setattr__(self, name: str, value: Any) -> None:
        """Hide a key that is set later, and take note which one it is."""
        if name in KEY_NAMES:
            name, value = KEY_NAMES[0], None if value is None else as_key(value)
            super().__setattr__("api_key_fingerprint", value and value.fingerprint)
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
        keys = {name: given.pop(name) for name in KEY_NAMES if name in given}
        copied = super().model_copy(update=given, deep=deep)
        for name, key in keys.items():
            setattr(copied, name, key)
        if not CONNECTION_FIELDS.isdisjoint(given):
            copied._voyage = None  # noqa: SLF001 - its own
        if given.get("client") is not None:
            copied._adopt(given["client"], given.keys() | keys.keys())  # noqa: SLF001 - its own
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: refused if the client cannot be, instead of left out of it."""
        if self.client is not None:
            self.client.__reduce__()
        return super().__getstate__()

    def _adopt(self, client: Voyage, given: AbstractSet[str]) -> None:
        """Have the client's settings where none are given, for copies and serialised forms."""
        for name in SETTINGS:
            if name not in given:
                setattr(self, name, getattr(client.settings, name))
        if not given & {*KEY_NAMES}:
            self.voyage_api_key = client.settings.api_key

    def _check_agreement(self, client: Voyage) -> None:
        own, its = self.voyage_api_key, client.settings.api_key
        others = [] if own is None or own == its else ["api_key"]
        others += ["observers"] if self.observers not in (NO_OBSERVERS, client.observers) else []
        others += [n for n in SETTINGS if getattr(self, n) != getattr(client.settings, n)]
        if others:
            raise ConfigurationError(
                f"{', '.join(others)} cannot differ from what the given client has: pass a client "
                "that has them, or no client"
            )

    def _make(self) -> Voyage:
        from voyage_rag.client import Voyage  # noqa: PLC0415 - classes are made without it

        settings = {name: getattr(self, name) for name in SETTINGS}
        return Voyage(api_key=self.voyage_api_key, observers=self.observers, **settings)


def hide_key(fields: dict[str, Any]) -> dict[str, Any]:
    """Wrap a key among constructor arguments, so that no message about them can show it."""
    return {
        name: as_key(value) if name in KEY_NAMES and value is not None else value
        for name, value in fields.items()
    }
