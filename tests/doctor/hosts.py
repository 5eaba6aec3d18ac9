"""Hosts on loopback that are broken in one way each, and a proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate

OK_BODY = b'{"object":"list","data":[]}'


def answer(
    status: int = 200, body: bytes = OK_BODY, at: float | None = None, **headers: str
) -> bytes:
    """An HTTP answer, dated as asked; `retry_after` stands for `retry-after`."""
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    if at is not None:
        lines.append(f"date: {formatdate(at, usegmt=True)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are served one by one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopping = threading.Event()

        def accept() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError, ssl.SSLError):
                    connection.settimeout(5)
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stopping.set()
        with suppress(OSError):
            socket.create_connection(server.getsockname(), 1).close()
        thread.join(5)


@contextmanager
def host(
    answers: Callable[[bytes], bytes] | bytes, context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The base URL of a host that answers each request, over TLS with a context."""

    def serve(connection: socket.socket) -> None:
        stream = (
            connection if context is None else context.wrap_socket(connection, server_side=True)
        )
        with stream:
            request = _read(stream)
            if request:
                stream.sendall(answers(request) if callable(answers) else answers)

    with listening(serve) as port:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://localhost:{port}/v1"


def _read(stream: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(65_536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
    length = int(lines.get(b"content-length", 0))
    while len(body) < length:
        body += stream.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def proxy(*, refuses: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP proxy that tunnels, or does not; and the heads of what it was asked."""
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        head = _read(connection)
        if not head:
            return
        asked.append(head)
        if refuses:
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        name, _, port = head.split()[1].decode().partition(":")
        with socket.create_connection((name, int(port)), 5) as there:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(there, connection), daemon=True)
            back.start()
            _copy(connection, there)
            back.join(5)

    with listening(serve) as port:
        yield f"http://user:a-proxy-password@127.0.0.1:{port}", asked


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
