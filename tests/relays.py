"""Proxies on loopback: HTTP's CONNECT, plain forwarding, and SOCKS5, each with or without TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

USER, PASSWORD = "a-user", "a-proxy-password"
BASIC = b"Basic " + b64encode(f"{USER}:{PASSWORD}".encode())


@dataclass
class Relay:
    """A running proxy.

    Attributes:
        port: Where it listens.
        targets: Where clients wanted to be connected to, as they said it.
        heads: What they said first.
    """

    port: int
    targets: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    def url(self, scheme: str, credentials: str = "") -> str:
        """Its address, for an environment variable."""
        name = "localhost" if scheme == "https" else "127.0.0.1"
        return f"{scheme}://{credentials}{name}:{self.port}"


Handshake = Callable[[Relay, socket.socket], tuple[str, int] | None]
"""Handles a client's request and returns its target; None if there is none."""


@contextmanager
def relaying(handshake: Handshake, context: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """A proxy, each of whose connections is served in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(listener.getsockname()[1])

    def serve(client: socket.socket) -> None:
        with suppress(OSError, ValueError, IndexError), client:  # the client has gone
            stream = client if context is None else context.wrap_socket(client, server_side=True)
            with stream:
                if (target := handshake(relay, stream)) is not None:
                    with socket.create_connection(target, 5) as there:
                        back = threading.Thread(target=_copy, args=(there, stream), daemon=True)
                        back.start()
                        _copy(stream, there)
                        back.join(5)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with suppress(OSError):
        socket.socket.shutdown(target, socket.SHUT_RDWR)


def read_until(stream: socket.socket, end: bytes) -> bytes:
    """Read byte by byte, so that nothing beyond the head is consumed."""
    data = b""
    while not data.endswith(end):
        data += (piece := stream.recv(1))
        if not piece:
            raise ConnectionError
    return data


def connecting(
    status: bytes = b"200 Connection established",
    headers: bytes = b"",
    *,
    authorized: bool = False,
) -> Handshake:
    """HTTP's CONNECT."""

    def handshake(relay: Relay, stream: socket.socket) -> tuple[str, int] | None:
        head = read_until(stream, b"\r\n\r\n")
        relay.heads.append(head)
        target = head.split()[1].decode()
        relay.targets.append(target)
        if authorized and b"proxy-authorization: " + BASIC not in head:
            stream.sendall(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n")
            return None
        stream.sendall(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n")
        if not status.startswith(b"2"):
            return None
        name, _, port = target.rpartition(":")
        return name.strip("[]"), int(port)

    return handshake


def forwarding(relay: Relay, stream: socket.socket) -> None:
    """Plain HTTP requests, whose targets are whole URLs, each passed on over a connection."""
    while True:
        head = read_until(stream, b"\r\n\r\n")
        relay.heads.append(head)
        url = head.split()[1].decode()
        relay.targets.append(url)
        host, _, path = url.removeprefix("http://").partition("/")
        name, _, port = host.partition(":")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = b""
        while len(body) < length:
            body += stream.recv(length - len(body))
        with socket.create_connection((name, int(port)), 5) as there:
            there.sendall(head.replace(url.encode(), b"/" + path.encode(), 1) + body)
            answer = read_until(there, b"\r\n\r\n")
            size = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while size:
                piece = there.recv(size)
                answer, size = answer + piece, size - len(piece)
        stream.sendall(answer)


def socks(
    *,
    refusal: int = 0,
    authorized: bool = False,
    version: int = 5,
    bound: bytes = bytes([1, 0, 0, 0, 0]),
) -> Handshake:
    """SOCKS5; `bound` is the address, with its type, from which the proxy connects."""

    def handshake(relay: Relay, stream: socket.socket) -> tuple[str, int] | None:
        _, count = stream.recv(2)
        methods = stream.recv(count)
        method = 2 if authorized else 0
        stream.sendall(bytes([version, method if method in methods else 255]))
        if method not in methods:
            return None
        if authorized:
            name = stream.recv(stream.recv(2)[1])
            password = stream.recv(stream.recv(1)[0])
            accepted = (name, password) == (USER.encode(), PASSWORD.encode())
            stream.sendall(bytes([1, not accepted]))
            if not accepted:
                return None
        kind = stream.recv(4)[3]
        if kind == 3:
            host = stream.recv(stream.recv(1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, stream.recv(size))
        port = int.from_bytes(stream.recv(2), "big")
        relay.targets.append(f"{host}:{port}")
        stream.sendall(bytes([5, refusal, 0]) + bound + bytes(2))
        return None if refusal else (host, port)

    return handshake
