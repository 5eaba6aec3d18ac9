"""The way to the host, step by step: proxy, name, connection, certificate.

Made with the standard library, since each step is to be seen by itself; certificates are judged by
what the client itself trusts.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

from voyage_rag.doctor.findings import Finding, broken, note, ok
from voyage_rag.io.transport import shared_ssl_context
from voyage_rag.settings import Settings

PATIENCE = 5.0
SOON = 14
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names for this host."""

    variable: str
    scheme: str
    host: str
    port: int
    authorization: str | None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def way_to(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Each step, up to the first that is broken."""
    try:
        proxy = _proxy_for(settings, environ)
    except ValueError as error:
        yield broken("proxy", str(error), "correct it, or unset it")
        return
    told = (proxy and _unusable(proxy)) or _told(proxy, environ)
    yield told
    if told.state == "broken":
        return
    host, port = (proxy.host, proxy.port) if proxy else (settings.host.hostname, settings.host.port)
    named = _look_up(host, port)
    yield named
    if named.state == "broken":
        return
    connected = _connect(host, port, proxy)
    yield connected
    if connected.state == "broken":
        return
    if settings.base_url.startswith("https:"):
        yield _trusts() or _look_at_certificate(settings, proxy)
    else:
        yield note("tls", "none: plain http", None if _is_loopback(host) else "use https")


# ── proxy ─────────────────────────────────────────────────────────────────────────────────────────


def _proxy_for(settings: Settings, environ: Mapping[str, str]) -> Proxy | None:
    scheme = urlsplit(settings.base_url).scheme
    lower = {name.lower(): value for name, value in environ.items() if value}
    proxies = {
        name.removesuffix("_proxy"): value
        for name, value in lower.items()
        if name.endswith("_proxy")
    }
    if _goes_around(settings.host.hostname, proxies.get("no", "")):
        return None
    for kind in (scheme, "all"):
        if address := proxies.get(kind):
            return _parsed(f"{kind.upper()}_PROXY", address)
    return None


def _goes_around(host: str, exceptions: str) -> bool:
    """Whether NO_PROXY names the host, or a domain it is in."""
    names = [name.strip().lstrip(".").lower() for name in exceptions.split(",")]
    return any(name and (name in {"*", host} or host.endswith(f".{name}")) for name in names)


def _parsed(variable: str, address: str) -> Proxy:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ValueError(f"{variable} is not the address of a proxy")
    authorization = None
    if parts.username is not None:
        given = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(given.encode()).decode()}"
    default = 443 if parts.scheme == "https" else 80
    return Proxy(variable, parts.scheme, host, port or default, authorization)


def _unusable(proxy: Proxy) -> Finding | None:
    """What is wrong with a proxy before it is asked."""
    if proxy.scheme in {"socks5", "socks5h"}:
        if find_spec("socksio") is None:
            said = f"{proxy}, of {proxy.variable}, which httpx cannot speak to as it is installed"
            return broken("proxy", said, "pip install 'httpx[socks]'")
    elif proxy.scheme not in {"http", "https"}:
        said = f"{proxy.variable} names a proxy of {proxy.scheme}, which httpx does not know"
        return broken("proxy", said, "use one of http, https, socks5 or socks5h, or unset it")
    return None


def _told(proxy: Proxy | None, environ: Mapping[str, str]) -> Finding:
    ignored = [name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if environ.get(name)]
    said = "none" if proxy is None else f"{proxy}, of {proxy.variable}"
    facts = {"proxy": None if proxy is None else str(proxy)}
    if ignored and not environ.get("SSL_CERT_FILE"):
        remedy = f"{ignored[0]} is not read by httpx: name your own certificates in SSL_CERT_FILE"
        return note("proxy", said, remedy, **facts)
    return ok("proxy", said, **facts)


# ── name and connection ───────────────────────────────────────────────────────────────────────────


def _look_up(host: str, port: int) -> Finding:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = "check the spelling of base_url, the network, and that a VPN is on if it needs one"
        return broken("dns", f"{host} is not known ({error})", remedy)
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    others = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return ok("dns", f"{host} is {addresses[0]}{others}", addresses=addresses)


def _connect(host: str, port: int, proxy: Proxy | None) -> Finding:
    began = time.perf_counter()
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError as error:
        what = f"the proxy of {proxy.variable}" if proxy else "base_url"
        remedy = f"check {what}, and that a firewall lets port {port} out; behind a proxy set "
        remedy += "HTTPS_PROXY"
        return broken("connect", f"no connection to {host}:{port} ({_short(error)})", remedy)
    seconds = time.perf_counter() - began
    return ok("connect", f"to {host}:{port} in {seconds * 1_000:.0f} ms", seconds=seconds)


# ── certificate ───────────────────────────────────────────────────────────────────────────────────


def _trusts() -> Finding | None:
    """What is wrong with the certificates that are trusted here."""
    try:
        shared_ssl_context()
    except (OSError, ssl.SSLError) as error:
        said = f"the certificates to trust cannot be read ({_short(error)})"
        return broken("tls", said, "correct SSL_CERT_FILE or SSL_CERT_DIR, or unset it")
    return None


def _look_at_certificate(settings: Settings, proxy: Proxy | None) -> Finding:
    if proxy is not None and proxy.scheme != "http":
        return note("tls", f"not looked at by itself through a proxy of {proxy.scheme}")
    try:
        with closing(_connection(settings, proxy)) as connection:
            connection.connect()
            assert isinstance(connection.sock, ssl.SSLSocket)  # noqa: S101 - of an HTTPSConnection
            certificate: dict[str, Any] = connection.sock.getpeercert() or {}
            version = connection.sock.version()
    except ssl.SSLCertVerificationError as error:
        return broken("tls", f"the certificate is refused: {error.verify_message}", _remedy(error))
    except (ssl.SSLError, OSError, http.client.HTTPException) as error:
        remedy = "check that base_url is that of an https port"
        if proxy is not None:
            remedy = f"check that the proxy lets connections to {settings.host.hostname} through"
        return broken("tls", f"no handshake ({_short(error)})", remedy)
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // DAY)
    facts = {"version": version, "issuer": _issuer(certificate), "days_left": days}
    said = f"{version}, certificate of {_issuer(certificate)}, good for {days} days"
    if days < SOON:
        return note("tls", said, "it has to be renewed by who runs the host", **facts)
    return ok("tls", said, **facts)


def _connection(settings: Settings, proxy: Proxy | None) -> http.client.HTTPSConnection:
    if proxy is None:
        return http.client.HTTPSConnection(
            settings.host.hostname,
            settings.host.port,
            timeout=PATIENCE,
            context=shared_ssl_context(),
        )
    connection = http.client.HTTPSConnection(
        proxy.host, proxy.port, timeout=PATIENCE, context=shared_ssl_context()
    )
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    connection.set_tunnel(settings.host.hostname, settings.host.port, headers)
    return connection


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message.lower()
    if "expired" in said or "not yet valid" in said:
        return "check the clock of this machine; if it is right, the host has to renew it"
    if "mismatch" in said or "not valid for" in said:
        return "check the host name in base_url"
    return (
        "if a proxy of yours looks into TLS, or the host is your own, name its certificate "
        "authority in SSL_CERT_FILE"
    )


def _issuer(certificate: Mapping[str, Any]) -> str:
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed authority")


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"}


def _short(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
