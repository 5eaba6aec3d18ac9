"""Find the proxy of a connection in the environment or the system's settings.

The standard library reads the settings. NO_PROXY has the syntax of curl and requests.
"""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from voyage_rag.errors import ConfigurationError

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the source of its address.

    Attributes:
        source: The environment variable, or "the system's settings".
        scheme: `http`, `https`, `socks5` or `socks5h`.
    """

    source: str
    scheme: str
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether the proxy uses SOCKS instead of HTTP."""
        return self.scheme.startswith("socks")

    @property
    def headers(self) -> dict[str, str]:
        """Headers for authentication with an HTTP proxy."""
        if not self.username:
            return {}
        credentials = b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"proxy-authorization": f"Basic {credentials}"}

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def find_proxy(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy for connections to a host, or None.

    Raises:
        ConfigurationError: The configured proxy cannot be used. The message names the variable.
    """
    proxies = getproxies()
    value = proxies.get(scheme, "").strip() or proxies.get("all", "").strip()
    if not value or _is_excepted(host, port, proxies.get("no", "")):
        return None
    if not os.environ.keys() & _variables(scheme) and proxy_bypass(f"{host}:{port}"):
        return None  # an exception in the settings of macOS or Windows
    return _parsed(_source(scheme, value), value)


def _source(scheme: str, value: str) -> str:
    found = (name for name in _variables(scheme) if os.environ.get(name, "").strip() == value)
    return next(found, "the system's settings")


def _variables(scheme: str) -> dict[str, None]:
    names = (f"{scheme}_proxy", "all_proxy")
    return dict.fromkeys(each for name in names for each in (name, name.upper()))


def _parsed(source: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
        is_cut = "@" in parts.path + parts.query + parts.fragment  # a password has a / ? or #
    except ValueError:  # its text may quote a part of the password
        is_cut = True
    if is_cut or not host or any(map(str.isspace, host)):
        raise ConfigurationError(
            f"{source} is not the address of a proxy: expected scheme://host:port, or "
            "scheme://user:password@host:port with characters such as # and / percent-encoded"
        )
    if parts.scheme not in DEFAULT_PORTS:
        raise ConfigurationError(
            f"{source} has the unsupported scheme {parts.scheme!r}: use one of "
            f"{', '.join(DEFAULT_PORTS)}, or unset it"
        )
    port = port or DEFAULT_PORTS[parts.scheme]
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(source, parts.scheme, host, port, username, password)


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Return whether NO_PROXY contains the host, its domain or network, with or without port."""
    entries = exceptions.replace(",", " ").lower().split()
    host = host.lower().rstrip(".")
    return any(entry == "*" or _covers(entry, host, port) for entry in entries)


def _covers(entry: str, host: str, port: int) -> bool:
    name, its_port = _split_port(entry.rpartition("://")[2])
    if its_port and its_port != str(port):
        return False
    if (network := _covers_address(name, host)) is not None:
        return network
    domain = name.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _covers_address(name: str, host: str) -> bool | None:
    """Return whether an address or network contains a host; None if `name` is neither."""
    try:
        network = ip_network(name, strict=False)
    except ValueError:
        return None
    try:
        return ip_address(host) in network
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, str]:
    """Split `host`, `host:port`, `[::1]`, `[::1]:port` or `::1`; a missing port is ""."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = entry.partition(":")
    return (entry, "") if ":" in port else (name, port)
