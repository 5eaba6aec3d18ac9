"""How sockets are connected."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from voyage_rag.io.http.network import ConnectingEndedError, connect_tcp, start_tls
from wire import WireServer


def test_a_connection_notices_that_the_other_side_is_gone() -> None:
    """The kernel asks now and then, and does not wait for minutes until sent bytes arrive."""
    deadline = time.monotonic() + 5
    with (
        WireServer() as server,
        connect_tcp("127.0.0.1", server.port, deadline, lambda: False) as sock,
    ):
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


def test_connecting_stops_when_it_is_ended_or_late() -> None:
    """If nothing responds: within a quarter of a second, or at the deadline."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        full = [socket.socket() for _ in range(4)]
        for sock in full:
            sock.setblocking(False)
            sock.connect_ex(deaf.getsockname())
        port = deaf.getsockname()[1]
        with pytest.raises(ConnectingEndedError):
            connect_tcp("127.0.0.1", port, time.monotonic() + 60, lambda: True)
        with pytest.raises(TimeoutError):
            connect_tcp("127.0.0.1", port, time.monotonic() + 0.05, lambda: False)
        for sock in full:
            sock.close()


def test_a_lookup_stops_when_it_is_ended_or_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no name server responds; the system would wait for half a minute."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30))
    with pytest.raises(ConnectingEndedError):
        connect_tcp("a.host", 443, time.monotonic() + 60, lambda: True)
    with pytest.raises(TimeoutError):
        connect_tcp("a.host", 443, time.monotonic() + 0.05, lambda: False)
    release.set()


def test_an_unknown_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system's own error."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(socket.gaierror, match="not known"):
        connect_tcp("no.such.host", 443, time.monotonic() + 5, lambda: False)


def test_the_last_refusal_is_raised() -> None:
    """As the system's own error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect_tcp("127.0.0.1", port, time.monotonic() + 5, lambda: False)


def test_an_address_without_a_route_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket becomes writable and has no pending error, but is not connected."""
    deadline = time.monotonic() + 5
    with WireServer() as server:
        unroutable, other = (
            socket.getaddrinfo(host, server.port, type=socket.SOCK_STREAM)
            for host in ("127.255.255.255", "127.0.0.1")  # like IPv6 on a machine without it
        )
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: unroutable + other)
        with connect_tcp("two-addresses", server.port, deadline, lambda: False) as sock:
            assert sock.getpeername() == ("127.0.0.1", server.port)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: unroutable)
        with pytest.raises(OSError, match=r"unreachable|denied|assign"):
            connect_tcp("no-route", server.port, deadline, lambda: False)


def test_a_handshake_that_fails_closes_its_socket() -> None:
    """No other object refers to it."""
    wrapped: list[socket.socket] = []
    deadline = time.monotonic() + 0.5
    with WireServer() as server:  # which does not speak TLS
        sock = connect_tcp("127.0.0.1", server.port, deadline, lambda: False)
        with pytest.raises(OSError):  # noqa: PT011 - depends on the version of OpenSSL
            start_tls(sock, ssl.create_default_context(), "localhost", deadline, wrapped.append)
    assert [one.fileno() for one in wrapped] == [-1]
