"""The key and its source, and the host and the reason for it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from voyage_rag.doctor.findings import Finding, broken, note, ok
from voyage_rag.errors import ConfigurationError, VoyageError
from voyage_rag.hosts import Host
from voyage_rag.hosts.voyage import other_host_of
from voyage_rag.secret import KEY_PATH_VARIABLE, KEY_VARIABLE, APIKey, find_key, hidden, variable
from voyage_rag.settings import BASE_URL_VARIABLE, Settings

LONG_ENOUGH = 12
"""Length from which the last four characters reveal little of a key."""


def key_of(
    api_key: str | None,
    api_key_path: str | os.PathLike[str] | None,
    environ: Mapping[str, str] | None,
) -> tuple[APIKey | None, Finding]:
    """Return the key that would be used, and its source."""
    api_key = hidden(api_key)
    source = _source(api_key, api_key_path, environ)
    try:
        key = find_key(api_key, api_key_path, environ)
    except ConfigurationError as error:
        return None, broken("key", f"no usable key ({source})", error.message)
    text = key.get_secret_value()
    last_four = text[-4:] if len(text) >= LONG_ENOUGH else None
    shown = f"ends in ...{last_four}" if last_four else "too short to show any of it"
    facts = {"source": source, "last_four": last_four}
    said = f"{shown}, from {source}"
    if source != KEY_VARIABLE and (variable(KEY_VARIABLE, environ) or text).strip() != text:
        ignored = (
            f"{KEY_VARIABLE} contains another key, which is not used: {source} takes precedence"
        )
        return key, note("key", said, ignored, **facts)
    return key, ok("key", said, **facts)


def _source(
    api_key: str | None,
    api_key_path: str | os.PathLike[str] | None,
    environ: Mapping[str, str] | None,
) -> str:
    if api_key is not None:
        return "the argument api_key"
    if api_key_path:
        return f"the file {os.fspath(api_key_path)}"
    if path := variable(KEY_PATH_VARIABLE, environ):
        return f"the file {path} ({KEY_PATH_VARIABLE})"
    return KEY_VARIABLE


def host_for(
    key: APIKey | None, base_url: str | None, environ: Mapping[str, str] | None, *, insecure: bool
) -> tuple[Settings | None, Finding]:
    """Return the host of requests; without a key, Voyage's own."""
    assumed = key or APIKey("pa-no-key")
    try:
        settings = Settings.resolve(
            assumed, base_url=base_url, environ=environ, allow_insecure_http=insecure
        )
    except ConfigurationError as error:
        return None, broken("host", "no usable host", error.message)
    why, facts = _why(key, base_url, environ), {"base_url": settings.base_url}
    said = f"{settings.base_url}, {why}"
    if key is not None and (other := other_host_of(key, settings.host.hostname)):
        remedy = (
            f"a key with this prefix belongs to {other}: leave base_url and "
            f"{BASE_URL_VARIABLE} unset, or use a key of this host"
        )
        return settings, broken("host", said, remedy, **facts)
    return settings, ok("host", said, **facts)


def _why(key: APIKey | None, base_url: str | None, environ: Mapping[str, str] | None) -> str:
    if base_url:
        return "the argument base_url"
    if variable(BASE_URL_VARIABLE, environ):
        return f"of {BASE_URL_VARIABLE}"
    return "Voyage's own, because there is no key" if key is None else "by the prefix of the key"


def credentials_of(host: Host) -> Finding:
    """Describe how a given host authenticates requests."""
    try:
        host.prepare()
    except VoyageError as error:
        return broken("key", f"no credentials that {host.name} can use", error.message)
    return ok("key", host.credentials)
