"""The API key, as an object that is not leaked by accident.

`APIKey` hides itself in repr, str and JSON. Copies share it. Objects that `multiprocessing`
serialises for its own workers (arguments and tasks of `Process`, `Pool` and `ProcessPoolExecutor`)
include the key. Any other pickle includes only its fingerprint. When such a pickle is loaded, the
key is looked up among the keys in use in this process, then in the documented places, and accepted
only if its fingerprint matches, so that the key of another tenant is never used.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr
from pydantic_core import core_schema

from voyage_rag.errors import ConfigurationError

KEY_VARIABLE = "VOYAGE_API_KEY"
KEY_PATH_VARIABLE = "VOYAGE_API_KEY_PATH"

PLACEHOLDER = (
    r"<.*>|\$?\{.*\}|\$\w+|%\w+%|(pa-|al-)?[.*\u2026]+"
    r"|(?i:none|null|undefined|changeme|\W*x{3,}\W*|.*\byour[-_ ].*key.*)"
)
IMPLAUSIBLE = (
    (r"", "is empty: pass your Voyage API key"),
    (r"[\"'`].*|.*[\"'`]", "is in quotes: remove them"),
    (r"(export\s+)?[A-Z][A-Z0-9_]*=.*", "begins with its variable's name: pass what follows '='"),
    (r"([\w-]+:\s*)?[A-Za-z]+\s+\S+", "begins with an authentication scheme: pass the key alone"),
    (PLACEHOLDER, "is a placeholder: put your Voyage API key in its place"),
    (
        r".*[^!-~].*",
        "contains a space, a line break or a non-ASCII character, which no key has: copy it again",
    ),
)
"""Common mistakes and their likely cause. The pattern must match the whole key."""


class APIKey(SecretStr):
    """A Voyage API key. Only `get_secret_value()` returns its text."""

    def __init__(self, secret_value: str) -> None:
        super().__init__(secret_value)
        _IN_USE[self.fingerprint] = self

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that distinguish keys and do not reveal them."""
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
        return find_same_key, (self.fingerprint,)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Accept a string, any SecretStr or an APIKey for a field of this type."""
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
"""The keys that objects of this process use, by fingerprint, for unpickling."""


def _reduce_for_worker(key: APIKey) -> tuple[Any, ...]:
    return APIKey, (key.get_secret_value(),)


ForkingPickler.register(APIKey, _reduce_for_worker)


def hidden(value: object) -> Any:
    """Return a string or a SecretStr of any framework as an `APIKey`, and other values unchanged.

    Never raises, so that a function can hide a key before anything else fails: tracebacks may show
    its local variables.
    """
    if isinstance(value, APIKey):
        return value
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return APIKey(value.strip()) if isinstance(value, str) else value


def as_key(value: object, source: str = "api_key") -> APIKey:
    """Convert a string or a SecretStr of any framework to a key.

    Args:
        value: The key.
        source: Where it comes from, for the error.

    Raises:
        ConfigurationError: The value is not a string, is empty, or cannot be a key: it is quoted, a
            placeholder, or contains a character that is invalid in an HTTP header.
    """
    value = hidden(value)
    if not isinstance(value, APIKey):
        value = type(value).__name__
        raise ConfigurationError(f"{source} must be a string, not {value}")
    if problem := _problem_with(value):
        raise ConfigurationError(f"{source} {problem}")
    return value


def _problem_with(key: APIKey) -> str | None:
    text = key.get_secret_value()
    return next(
        (what for pattern, what in IMPLAUSIBLE if re.fullmatch(pattern, text, re.DOTALL)), None
    )


def find_key(
    api_key: str | SecretStr | None,
    api_key_path: str | os.PathLike[str] | None,
    environ: Mapping[str, str] | None = None,
) -> APIKey:
    """Find the key in the documented places.

    The order is that of Voyage's documentation, "API Key and Python Client": the argument; a key
    file, named by argument or by `VOYAGE_API_KEY_PATH`; `VOYAGE_API_KEY`.

    Args:
        api_key: The key itself.
        api_key_path: Path of a file with the key.
        environ: Read instead of the process environment.

    Raises:
        ConfigurationError: There is no key, it is implausible, or the file cannot be read.
    """
    key, source = hidden(api_key), "api_key"
    del api_key
    path = variable(KEY_PATH_VARIABLE, environ) if api_key_path is None else api_key_path
    if key is None and path is not None:
        key = _read(Path(os.path.expanduser(path)))  # noqa: PTH111 - as in settings
        source = f"the key in the file {str(path)!r}"
    if key is None:
        key, source = hidden(variable(KEY_VARIABLE, environ)), KEY_VARIABLE
    if key is None:
        raise ConfigurationError(
            "no Voyage API key: pass api_key=..., or name a file with api_key_path=... or "
            f"{KEY_PATH_VARIABLE}, or set {KEY_VARIABLE}"
        )
    return as_key(key, source)


def variable(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return an environment variable; None if it is unset or empty."""
    return (os.environ if environ is None else environ).get(name) or None


def is_key_in_environment() -> bool:
    """Return whether the environment contains a key, or names its file."""
    return bool(variable(KEY_VARIABLE) or variable(KEY_PATH_VARIABLE))


def _read(path: Path) -> APIKey:
    try:
        key: APIKey = hidden(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"the key file {str(path)!r} is not UTF-8 (Windows PowerShell writes UTF-16): save it "
            "as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"the key file {str(path)!r} cannot be read ({type(error).__name__}): check the path "
            f"in api_key_path or {KEY_PATH_VARIABLE}"
        ) from None
    if not key:
        raise ConfigurationError(f"the key file {str(path)!r} is empty: put the key into it")
    return key


def fingerprint(secret: str) -> str:
    """Return twelve hex digits of a salted hash."""
    return hashlib.sha256(b"voyage-rag key\0" + secret.encode("utf-8", "replace")).hexdigest()[:12]


def find_same_key(expected: str) -> APIKey:
    """Find the key with the fingerprint `expected`.

    Raises:
        ConfigurationError: There is no key, or it has another fingerprint.
    """
    if in_use := _IN_USE.get(expected):
        return in_use
    try:
        key = find_key(None, None)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"this object was created with the Voyage API key of fingerprint {expected}. A key is "
            "serialised for multiprocessing's own workers only; elsewhere it is looked up: "
            f"{error.message}"
        ) from None
    if key.fingerprint != expected:
        raise ConfigurationError(
            f"this object was created with the Voyage API key of fingerprint {expected}, but the "
            f"key found here has {key.fingerprint}: set {KEY_VARIABLE} to the same key, or create "
            "the object again with the key it should use"
        )
    return key
