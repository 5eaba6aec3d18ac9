"""The target of a request: the parts of its URL, and the proxy."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else imported by the first name that is looked up
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, urlsplit

from voyage_rag.io.http.certificates import TrustedCertificates
from voyage_rag.io.http.proxies import DEFAULT_PORTS, Proxy, find_proxy
from voyage_rag.locks import in_event_loop


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL.

    Attributes:
        origin: Scheme (`http` or `https`), host (ASCII, without brackets) and port. A connection
            serves all URLs with the same origin.
        host_header: Value of the `Host` header.
        target: The path and query of a request to the host itself.
        absolute_target: The whole URL, for a request to a proxy that forwards it.
    """

    origin: tuple[str, str, int]
    host_header: bytes
    target: str
    absolute_target: str


@lru_cache(256)
def parse_address(url: str) -> Address:
    """Return the parts of a URL that a host has returned."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    path_and_query = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    target = quote(path_and_query, safe=string.punctuation)  # encodes non-ASCII characters only
    name = f"[{host}]" if ":" in host else host
    host_header = name if port == DEFAULT_PORTS[parts.scheme] else f"{name}:{port}"
    absolute_target = f"{parts.scheme}://{host_header}{target}"
    return Address((parts.scheme, host, port), host_header.encode(), target, absolute_target)


@dataclass(frozen=True, slots=True)
class Route:
    """The route of connections to a host, whose name is in ASCII.

    Attributes:
        is_forwarded: Whether requests are sent to the proxy, which forwards them.
        proxy_headers: Additional headers of forwarded requests.
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
        """Return the route with the proxy and certificates of the environment.

        Raises:
            ConfigurationError: A proxy or certificates of the environment cannot be used.
        """
        certificates = TrustedCertificates.of_environment(environ)
        scheme, host, port = address.origin
        if scheme == "https" and not in_event_loop():
            certificates.check()  # reads the disk; in an event loop, the first call does this
        proxy = find_proxy(scheme, host, port)
        is_forwarded = proxy is not None and scheme == "http" and not proxy.is_socks
        headers = proxy.headers if proxy is not None and is_forwarded else {}
        return cls(scheme, host, port, proxy, certificates, is_forwarded, headers)
