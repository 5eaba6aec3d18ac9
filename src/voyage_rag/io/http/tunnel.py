"""Tunnels through a proxy: HTTP CONNECT, and SOCKS5 (RFC 1928, passwords by RFC 1929)."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import h11

from voyage_rag.hosts.failures import printable
from voyage_rag.io.http.network import seconds_until
from voyage_rag.io.http.proxies import Proxy

RECEIVED_BYTES = 2**12

SOCKS_VERSION = 5
NO_AUTHENTICATION = 0
PASSWORD_AUTHENTICATION = 2
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4

SOCKS_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


class ProxyRefusedError(OSError):
    """A proxy refused to connect to the host."""


def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int, deadline: float) -> None:
    """Make a proxy connect this socket to a host.

    Raises:
        ProxyRefusedError: The proxy refused.
        OSError: The proxy cannot be reached, or responds with another protocol.
    """
    sock.settimeout(seconds_until(deadline))
    if proxy.is_socks:
        _connect_by_socks(sock, proxy, host, port, deadline)
    else:
        _connect_by_http(sock, proxy, host, port, deadline)


def _connect_by_http(
    sock: socket.socket, proxy: Proxy, host: str, port: int, deadline: float
) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = list({"host": target, **proxy.headers}.items())
    http = h11.Connection(h11.CLIENT)
    sock.sendall(http.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"")
    http.send(h11.EndOfMessage())
    try:
        while not isinstance(response := http.next_event(), h11.Response):
            if response is h11.NEED_DATA:
                sock.settimeout(seconds_until(deadline))
                if not (data := sock.recv(RECEIVED_BYTES)):
                    raise ConnectionResetError("it closed the connection")
                http.receive_data(data)
    except (ConnectionError, h11.RemoteProtocolError) as error:
        raise ProxyRefusedError(f"no response from the proxy of {proxy.source}: {error}") from error
    status = response.status_code
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's range of success
        reason = _login_problem(response) if status == 407 else "it refuses"  # noqa: PLR2004
        raise ProxyRefusedError(
            f"the proxy of {proxy.source} responds with HTTP {status} to CONNECT: {reason}"
        )


def _login_problem(response: h11.Response) -> str:
    """Return the reason for a 407: the credentials, or an unsupported scheme such as NTLM."""
    offers = [v for name, v in response.headers if name == b"proxy-authenticate"]
    schemes = [value.decode("latin-1").partition(" ")[0].strip(",") for value in offers]
    if schemes and "basic" not in map(str.lower, schemes):
        return (
            f"it requires {printable(' or '.join(schemes))} authentication, but only Basic is "
            "supported: use a local proxy that authenticates, such as cntlm or px"
        )
    return "credentials are missing or wrong"


def _connect_by_socks(
    sock: socket.socket, proxy: Proxy, host: str, port: int, deadline: float
) -> None:
    method = PASSWORD_AUTHENTICATION if proxy.username else NO_AUTHENTICATION
    sock.sendall(bytes([SOCKS_VERSION, 1, method]))
    version, chosen = _receive(sock, 2, deadline)
    if version != SOCKS_VERSION or chosen != method:
        wanted = "credentials" if method == NO_AUTHENTICATION else "other credentials"
        raise ProxyRefusedError(f"the proxy of {proxy.source} requires {wanted}, or is not SOCKS5")
    if method == PASSWORD_AUTHENTICATION:
        name, password = proxy.username.encode(), proxy.password.encode()
        sock.sendall(bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if _receive(sock, 2, deadline)[1] != 0:
            raise ProxyRefusedError(f"the proxy of {proxy.source} does not accept the credentials")
    sock.sendall(bytes([SOCKS_VERSION, CONNECT, 0]) + _socks_address(host))
    sock.sendall(port.to_bytes(2, "big"))
    _, refusal, _, kind = _receive(sock, 4, deadline)
    if refusal:
        reason = SOCKS_REFUSALS.get(refusal, f"code {refusal}")
        raise ProxyRefusedError(f"the proxy of {proxy.source} does not connect: {reason}")
    length = {IPV4: 4, IPV6: 16}.get(kind) or _receive(sock, 1, deadline)[0]
    _receive(sock, length + 2, deadline)


def _socks_address(host: str) -> bytes:
    """Return the address of the host. The proxy resolves names, including internal ones."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes([NAME, len(name)]) + name
    return bytes([IPV4 if address.version == 4 else IPV6]) + address.packed  # noqa: PLR2004


def _receive(sock: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        sock.settimeout(seconds_until(deadline))
        piece = sock.recv(count - len(data))
        if not piece:
            raise ProxyRefusedError("the SOCKS proxy has closed the connection")
        data += piece
    return data
