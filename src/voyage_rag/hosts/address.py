"""Validate addresses, and reject those that would expose the key."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from voyage_rag.errors import ConfigurationError

EXAMPLE_ADDRESS = "https://api.voyageai.com/v1"
UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
"""Characters that URL parsers interpret differently, so that they may find different hosts."""


def is_loopback(hostname: str | None) -> bool:
    """Whether a host name means this machine: `localhost`, 127.0.0.0/8, `::1`, `0.0.0.0`."""
    try:
        address = ip_address(hostname or "")
    except ValueError:
        return hostname == "localhost"
    return address.is_loopback or address.is_unspecified


def check_address(base_url: str, *, allow_insecure_http: bool, sends_key: bool = True) -> str:
    """Return an address without surrounding spaces and trailing slash.

    Raises:
        ConfigurationError: The address is not an http(s) URL, is ambiguous, contains credentials,
            or uses plain HTTP to another machine.
    """
    try:
        base_url = base_url.strip()
        parts = urlsplit(base_url)
        hostname, _ = parts.hostname, parts.port
        (hostname or "").encode("idna")
    except (ValueError, AttributeError):
        raise ConfigurationError(
            f"base_url is not an address: expected e.g. {EXAMPLE_ADDRESS!r}"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "base_url contains a user name or password: remove it, and pass the key as api_key"
        )
    if parts.scheme not in {"http", "https"} or not hostname:
        raise ConfigurationError(
            f"base_url {base_url!r} is not an http(s) address: expected e.g. {EXAMPLE_ADDRESS!r}"
        )
    if UNSAFE.search(base_url):
        raise ConfigurationError(
            f"base_url {base_url!r} contains a space, a backslash or a control character: copy it "
            "again"
        )
    if {".", ".."} & set(unquote(parts.path).split("/")):
        raise ConfigurationError(f"base_url {base_url!r} has '..' or '.' in its path: remove it")
    if not {"?", "#"}.isdisjoint(base_url):
        raise ConfigurationError(f"base_url for {hostname!r} has a query or fragment: remove it")
    if parts.scheme == "http" and not is_loopback(hostname) and not allow_insecure_http:
        what = "the key" if sends_key else "texts"
        raise ConfigurationError(
            f"base_url {base_url!r} would send {what} unencrypted to {hostname!r}: use https, or "
            "pass allow_insecure_http=True if you trust the network"
        )
    return base_url.rstrip("/")
