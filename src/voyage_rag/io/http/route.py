"""Where a request goes: the parts of its URL, and what lies in between."""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - else imported by the first name that is looked up
import string
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from voyage_rag.io.http.certificates import TrustedCertificates
from voyage_rag.io.http.proxies import Proxy, find_proxy

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in parts.

    Attributes:
        origin: What URLs have in common that the same connection can serve: `http` or `https`, name
            or IP address in ASCII and without brackets, and port.
        host_header: Host and port as HTTP names them.
        target: The path and query of a request to the host itself.
        absolute_target: The whole URL, for a request to a proxy that forwards it.
    """

    origin: tuple[str, str, int]
    host_header: bytes
    target: str
    absolute_target: str


@lru_cache(256)
def parse_address(url: str) -> Address:
    """The parts of a URL that a host has given."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    path_and_query = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    target = quote(path_and_query, safe=string.punctuation)  # what is not ASCII, and nothing else
    name = f"[{host}]" if ":" in host else host
    host_header = name if port == DEFAULT_PORTS[parts.scheme] else f"{name}:{port}"
    absolute_target = f"{parts.scheme}://{host_header}{target}"
    return Address((parts.scheme, host, port), host_header.encode(), target, absolute_target)


@dataclass(frozen=True, slots=True)
class Route:
    """How connections to a host are made.

    Attributes:
        scheme: `http` or `https`.
        host: Name or IP address, in ASCII.
        port: Its port.
        proxy: What connects us to it, None for nothing.
        certificates: Whom to trust.
        is_forwarded: Whether the proxy is sent the requests, and passes them on.
        proxy_headers: What it is sent with each of them, then.
    """

    scheme: str
    host: str
    port: int
    proxy: Proxy | None
    certificates: TrustedCertificates
    is_forwarded: bool = False
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of_environment(cls, address: Address, environ: Mapping[str, str]) -> Route:
        """What the environment says about proxies and certificates.

        Raises:
            ConfigurationError: It names a proxy or certificates that cannot be used.
        """
        certificates = TrustedCertificates.of_environment(environ)
        scheme, host, port = address.origin
        if scheme == "https" and not _in_event_loop():
            certificates.check()  # looks at the disk; in an event loop, the first call does
        proxy = find_proxy(scheme, host, port)
        is_forwarded = proxy is not None and scheme == "http" and not proxy.is_socks
        headers = proxy.headers if proxy is not None and is_forwarded else {}
        return cls(scheme, host, port, proxy, certificates, is_forwarded, headers)


def _in_event_loop() -> bool:
    """Asked without anyio, which would import its backend for it, and block the loop."""
    with suppress(RuntimeError):
        return bool(asyncio.get_running_loop())
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
