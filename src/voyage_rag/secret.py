"""The API key, as an object that cannot be leaked by accident.

`APIKey` hides itself in repr, str and JSON. Copying shares it. Pickling seals it: the pickle holds
the key encrypted for this process and the worker processes it starts (they share
`multiprocessing`'s family secret), so ingestion with several workers works while a pickle on disk
is of no use to anyone else. Unpickled elsewhere, the key is looked for where Voyage documents it
and accepted only if its fingerprint is the same: another tenant's key is never taken instead.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr
from pydantic_core import core_schema

from voyage_rag.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_VARIABLE = "VOYAGE_API_KEY"
KEY_PATH_VARIABLE = "VOYAGE_API_KEY_PATH"


class APIKey(SecretStr):
    """A Voyage API key. `get_secret_value()` is the only way to its text."""

    def __init__(self, secret_value: str) -> None:
        super().__init__(secret_value)
        _IN_USE[self.fingerprint] = self

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that tell two keys apart and do not tell the key."""
        return fingerprint(self.get_secret_value())

    def __repr__(self) -> str:
        return "APIKey('**********')"

    def __hash__(self) -> int:
        return hash(self.get_secret_value())

    def __copy__(self) -> APIKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> APIKey:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        secret = self.get_secret_value()
        return unseal, (seal(secret), fingerprint(secret))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Take a string, any SecretStr or an APIKey where a field has this type."""
        return core_schema.no_info_plain_validator_function(
            as_key, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe a field of this type as pydantic describes its own secrets."""
        return {"type": "string", "format": "password", "writeOnly": True}


_IN_USE: WeakValueDictionary[str, APIKey] = WeakValueDictionary()
"""The keys that objects of this process hold now, by fingerprint, for `from_dict`."""


def as_key(value: object) -> APIKey:
    """Make a key of a string or of any framework's SecretStr.

    Raises:
        ConfigurationError: The value is no string, empty, or holds a character that cannot stand
            in an HTTP header.
    """
    if isinstance(value, APIKey):
        return value
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ConfigurationError(f"api_key must be a string, not {type(text).__name__}")
    text = text.strip()
    if not text:
        raise ConfigurationError("api_key is empty: pass your Voyage API key")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(
            "api_key holds characters that no Voyage key has (a space, a line break or a "
            "non-ASCII character): copy it again"
        )
    return APIKey(text)


def find_key(
    api_key: str | SecretStr | None,
    api_key_path: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
) -> APIKey:
    """Look for the key where Voyage documents it.

    The order is that of docs.voyageai.com, "API Key and Python Client": the argument; a key file,
    named by argument or by `VOYAGE_API_KEY_PATH`; `VOYAGE_API_KEY`.

    Raises:
        ConfigurationError: There is no key, or the file cannot be read.
    """
    if api_key is not None:
        return as_key(api_key)
    if path := api_key_path or environ.get(KEY_PATH_VARIABLE):
        return as_key(_read(Path(path)))
    if value := environ.get(KEY_VARIABLE):
        return as_key(value)
    raise ConfigurationError(
        "no Voyage API key: pass api_key=..., or name a file with api_key_path=... or "
        f"{KEY_PATH_VARIABLE}, or set {KEY_VARIABLE}"
    )


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the key file {str(path)!r} cannot be read ({type(error).__name__}): check the path "
            f"in api_key_path or {KEY_PATH_VARIABLE}"
        ) from None
    if not text:
        raise ConfigurationError(f"the key file {str(path)!r} is empty")
    return text


def fingerprint(secret: str) -> str:
    """Twelve hex digits of a salted hash."""
    return hashlib.sha256(b"voyage-rag key\0" + secret.encode()).hexdigest()[:12]


def seal(secret: str) -> bytes:
    """Encrypt for this process and its `multiprocessing` children.

    A fresh nonce per seal makes the key stream a one-time pad; the tag tells whether the reader
    belongs to the family.
    """
    nonce = os.urandom(16)
    text = secret.encode()
    hidden = bytes(a ^ b for a, b in zip(text, _stream(nonce, len(text)), strict=True))
    return nonce + _tag(nonce + hidden) + hidden


def unseal(sealed: bytes, expected: str) -> APIKey:
    """Open a sealed key, or find the same key in this process's environment.

    Raises:
        ConfigurationError: Neither gives the key with the `expected` fingerprint.
    """
    nonce, tag, hidden = sealed[:16], sealed[16:48], sealed[48:]
    if hmac.compare_digest(tag, _tag(nonce + hidden)):
        text = bytes(a ^ b for a, b in zip(hidden, _stream(nonce, len(hidden)), strict=True))
        return APIKey(text.decode())
    return find_same_key(None, expected)


def find_same_key(api_key: str | SecretStr | None, expected: str) -> APIKey:
    """Find the key whose fingerprint is `expected`, and no other.

    Raises:
        ConfigurationError: There is none, or it is another one.
    """
    if api_key is None and (in_use := _IN_USE.get(expected)):
        return in_use
    try:
        key = find_key(api_key, None, os.environ)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"this object was made with the Voyage API key of fingerprint {expected}, and keys are "
            f"not stored with it: {error.message}"
        ) from None
    if key.fingerprint != expected:
        raise ConfigurationError(
            f"this object was made with the Voyage API key of fingerprint {expected}, and the key "
            f"found here has {key.fingerprint}: set {KEY_VARIABLE} to the same key, or make the "
            "object anew with the key it should use"
        )
    return key


def _stream(nonce: bytes, length: int) -> bytes:
    return hashlib.shake_256(b"stream" + current_process().authkey + nonce).digest(length)


def _tag(data: bytes) -> bytes:
    return hmac.new(current_process().authkey, b"tag" + data, hashlib.sha256).digest()
