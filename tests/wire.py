"""A server that follows a script down to the bytes of its responses, over TCP or TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from fakes import served

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a RST."""


@dataclass(frozen=True)
class WireRequest:
    """One request, and the connection it came over.

    Attributes:
        socket: To respond on.
        head: Request line and headers.
        body: As `content-length` says.
        connection: Which connection it is, counted from 1.
        number: Which request on that connection it is, counted from 1.
    """

    socket: socket.socket
    head: bytes
    body: bytes
    connection: int
    number: int

    @property
    def response(self) -> bytes:
        """The response of a healthy service."""
        return response(served(self.body).body)

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a separate packet."""
        for piece in pieces:
            self.socket.sendall(piece)

    def shut(self) -> None:
        """End the connection from another thread."""
        socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole HTTP response."""
    head = b"".join(header + b"\r\n" for header in headers)
    length = b"content-length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\n" + length + head + b"\r\n" + body


Act: TypeAlias = Callable[[WireRequest], object]


def healthy(request: WireRequest) -> None:
    """Respond as a service should."""
    request.send(request.response)


class WireServer:
    """Serves each connection in a thread, until the block ends.

    Args:
        act: What to do with each request; may be replaced at any time.
        context: For TLS.
        host: Where to listen.

    Attributes:
        requests: All that have come in.
        connections: How many connections were accepted.
        done: How many requests have been dealt with.
        over: Set at the end.
    """

    def __init__(
        self, act: Act = healthy, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.act = act
        self.requests: list[WireRequest] = []
        self.connections = 0
        self.done = 0
        self.over = threading.Event()
        self._context = context
        self._open: dict[int, socket.socket] = {}
        self._changed = threading.Condition()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL of an API here."""
        if self._context is None:
            return f"http://127.0.0.1:{self.port}/v1"
        return f"https://localhost:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for sock in list(self._open.values()):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self.wait_until_open(0)

    def wait_until_done(self) -> None:
        """Wait until all requests that were received are handled."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.done == len(self.requests), 5)

    def wait_until_open(self, connections: int) -> None:
        """Wait until so many connections are open."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._open) == connections, 5)

    def reset_all(self) -> None:
        """End every open connection with a RST, and wait until that has happened."""
        for sock in list(self._open.values()):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_all()

    def close_all(self) -> None:
        """End every open connection, and wait until that has happened."""
        for sock in list(self._open.values()):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RD)  # wakes the thread, which closes it
        self.wait_until_open(0)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(
                target=self._serve, args=(sock, self.connections), daemon=True
            )
            with self._changed:
                self._open[self.connections] = sock
            thread.start()

    def _serve(self, sock: socket.socket, connection: int) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open[connection] = sock
            self._converse(sock, connection)
        except (OSError, ValueError):
            pass  # the client has gone
        finally:
            sock.close()
            with self._changed:
                del self._open[connection]
                self._changed.notify_all()

    def _converse(self, sock: socket.socket, connection: int) -> None:
        rest, number = b"", 0
        while True:
            while b"\r\n\r\n" not in rest:
                rest += (received := sock.recv(65_536))
                if not received:
                    return
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = _content_length(head)
            while len(rest) < length:
                rest += (received := sock.recv(65_536))
                if not received:
                    return
            number += 1
            request = WireRequest(sock, head, rest[:length], connection, number)
            rest = rest[length:]
            self.requests.append(request)
            try:
                self.act(request)
            finally:
                with self._changed:
                    self.done += 1
                    self._changed.notify_all()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
