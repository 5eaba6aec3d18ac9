"""Ways through a proxy: HTTP's CONNECT, and SOCKS5 (RFC 1928, passwords by RFC 1929)."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import httpcore

from voyage_rag.io.http.proxies import Proxy
from voyage_rag.io.http.streams import SyncStream

SOCKS_VERSION = 5
NO_AUTHENTICATION = 0
PASSWORD_AUTHENTICATION = 2
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4

SOCKS_REFUSALS = {
    1: "general failure",
    2: "its rules forbid it",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "it does not connect for others",
    8: "it does not know this kind of address",
}


class ProxyRefusedError(OSError):
    """A proxy has not connected us to the host."""


def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int, deadline: float) -> None:
    """Have a proxy connect this socket to a host.

    Raises:
        ProxyRefusedError: It does not.
        OSError: It cannot be reached, or answers in another protocol.
    """
    stream = SyncStream(sock, deadline)
    if proxy.is_socks:
        _connect_by_socks(stream, proxy, host, port)
    else:
        _connect_by_http(stream, proxy, host, port)


def _connect_by_http(stream: SyncStream, proxy: Proxy, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    origin = httpcore.Origin(proxy.scheme.encode(), proxy.host.encode("idna"), proxy.port)
    request = httpcore.Request(
        "CONNECT",
        httpcore.URL(
            scheme=origin.scheme, host=origin.host, port=origin.port, target=target.encode()
        ),
        headers=list({"host": target, **proxy.headers}.items()),
    )
    try:
        response = httpcore.HTTP11Connection(origin, stream).handle_request(request)
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        raise ProxyRefusedError(f"the proxy of {proxy.source} does not answer: {error}") from error
    if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's range of success
        reason = "credentials are missing or wrong" if response.status == 407 else "it refuses"  # noqa: PLR2004
        raise ProxyRefusedError(
            f"the proxy of {proxy.source} answers HTTP {response.status} to CONNECT: {reason}"
        )


def _connect_by_socks(stream: SyncStream, proxy: Proxy, host: str, port: int) -> None:
    method = PASSWORD_AUTHENTICATION if proxy.username else NO_AUTHENTICATION
    stream.write(bytes([SOCKS_VERSION, 1, method]))
    version, chosen = _receive(stream, 2)
    if version != SOCKS_VERSION or chosen != method:
        wanted = "credentials" if method == NO_AUTHENTICATION else "other credentials"
        raise ProxyRefusedError(f"the proxy of {proxy.source} wants {wanted}, or is not SOCKS5")
    if method == PASSWORD_AUTHENTICATION:
        name, password = proxy.username.encode(), proxy.password.encode()
        stream.write(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if _receive(stream, 2)[1] != 0:
            raise ProxyRefusedError(f"the proxy of {proxy.source} does not accept the credentials")
    stream.write(bytes([SOCKS_VERSION, CONNECT, 0]) + _socks_address(host))
    stream.write(port.to_bytes(2, "big"))
    _, refusal, _, kind = _receive(stream, 4)
    if refusal:
        reason = SOCKS_REFUSALS.get(refusal, f"code {refusal}")
        raise ProxyRefusedError(f"the proxy of {proxy.source} does not connect: {reason}")
    length = {IPV4: 4, IPV6: 16}.get(kind) or _receive(stream, 1)[0]
    _receive(stream, length + 2)


def _socks_address(host: str) -> bytes:
    """A name is looked up by the proxy, which may know names that are not known here."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes([NAME, len(name)]) + name
    return bytes([IPV4 if address.version == 4 else IPV6]) + address.packed  # noqa: PLR2004


def _receive(stream: SyncStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = stream.read(count - len(data))
        if not piece:
            raise ProxyRefusedError("the SOCKS proxy has closed the connection")
        data += piece
    return data
