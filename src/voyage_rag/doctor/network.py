"""The network route to the host, step by step: proxy, name, connection, certificate.

Each step is checked separately, with the code that the client's own connections use.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

from voyage_rag.doctor.findings import Finding, broken, note, ok
from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.address import is_loopback
from voyage_rag.io.http.certificates import TrustedCertificates
from voyage_rag.io.http.failures import remedy_for
from voyage_rag.io.http.pool import PooledConnection
from voyage_rag.io.http.proxies import Proxy, find_proxy
from voyage_rag.io.http.route import Route, parse_address
from voyage_rag.settings import Settings

STEP_TIMEOUT_SECONDS = 5.0
EXPIRES_SOON_DAYS = 14
SECONDS_PER_DAY = 86_400


def network_findings(settings: Settings) -> Iterator[Finding]:
    """Yield a finding per step, up to the first that is broken."""
    origin = parse_address(settings.base_url).origin
    scheme, host, port = origin
    try:
        proxy = find_proxy(*origin)
    except ConfigurationError as error:
        yield broken("proxy", error.message, "correct it, or unset it")
        return
    said = "none" if proxy is None else f"{proxy}, of {proxy.source}"
    yield ok("proxy", said, proxy=None if proxy is None else str(proxy))
    if proxy is not None:
        host, port = proxy.host, proxy.port
    named = _resolve(host, port)
    yield named
    if named.state == "broken":
        return
    connected = _connect(host, port, proxy)
    yield connected
    if connected.state == "broken":
        return
    if scheme == "https":
        certificates = TrustedCertificates.of_environment(os.environ)
        yield _check_certificate(Route(*origin, proxy, certificates))
    else:
        yield note("tls", "none: plain http", None if is_loopback(host) else "use https")


def _resolve(host: str, port: int) -> Finding:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = "check the spelling of base_url, the network, and that a VPN is on if it needs one"
        return broken("dns", f"{host} cannot be resolved ({error})", remedy)
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    others = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return ok("dns", f"{host} is {addresses[0]}{others}", addresses=addresses)


def _connect(host: str, port: int, proxy: Proxy | None) -> Finding:
    began = time.perf_counter()
    try:
        socket.create_connection((host, port), STEP_TIMEOUT_SECONDS).close()
    except OSError as error:
        what = f"the proxy of {proxy.source}" if proxy else "base_url"
        remedy = f"check {what}, and that a firewall allows port {port}; behind a proxy set "
        remedy += "HTTPS_PROXY"
        return broken("connect", f"no connection to {host}:{port} ({_short(error)})", remedy)
    seconds = time.perf_counter() - began
    return ok("connect", f"to {host}:{port} in {seconds * 1_000:.0f} ms", seconds=seconds)


def _check_certificate(route: Route) -> Finding:
    connection = PooledConnection(route)
    try:
        sock: Any = connection.open(time.monotonic() + STEP_TIMEOUT_SECONDS)
        certificate: dict[str, Any] = sock.getpeercert() or {}
        version = sock.version()
    except ConfigurationError as error:
        return broken("tls", error.message, f"correct {route.certificates.variable}, or unset it")
    except ssl.SSLCertVerificationError as error:
        said = getattr(error, "verify_message", "") or str(error)
        return broken("tls", f"the certificate is rejected: {said}", _remedy(said))
    except OSError as error:
        remedy = "check that base_url has an https port"
        if route.proxy is not None:
            remedy = f"check that the proxy allows connections to {route.host}"
        return broken("tls", f"no handshake ({_short(error)})", remedy)
    finally:
        connection.close()
    if not certificate:  # truststore has verified it instead of OpenSSL
        return ok("tls", f"{version}, certificate accepted", version=version)
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // SECONDS_PER_DAY)
    facts = {"version": version, "issuer": _issuer(certificate), "days_left": days}
    said = f"{version}, certificate by {_issuer(certificate)}, valid for {days} days"
    if days < EXPIRES_SOON_DAYS:
        return note("tls", said, "the operator of the host must renew it", **facts)
    return ok("tls", said, **facts)


def _remedy(said: str) -> str:
    lower = said.lower()
    if "expired" in lower or "not yet valid" in lower:
        return (
            "check the clock of this machine; if it is correct, the host must renew the certificate"
        )
    if "mismatch" in lower or "not valid for" in lower:
        return "check the host name in base_url"
    return remedy_for(
        said,
        "if your proxy inspects TLS, or the host is your own, set SSL_CERT_FILE to its "
        "certificate authority",
    )


def _issuer(certificate: Mapping[str, Any]) -> str:
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed authority")


def _short(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
