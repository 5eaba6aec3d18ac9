"""The minimum of work in Python for the same result.

One thread, sixteen raw sockets, minimal HTTP, and for every response what any client must do: JSON,
base64, a list of floats per text. Nothing is planned, checked, retried or paced.
"""

from __future__ import annotations

import binascii
import json
import selectors
import socket
from array import array
from collections.abc import Sequence
from itertools import islice
from urllib.parse import urlsplit

IN_FLIGHT = 16
RECEIVED_AT_ONCE = 1 << 20
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = b"content-length: "
HEAD = (
    b"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)


def embed(url: str, texts: Sequence[str], size: int, model: str) -> list[list[float]]:
    """Return the vectors of texts as lists, with `size` texts per request."""
    address = urlsplit(url)
    rows: list[list[float]] = [[]] * len(texts)
    starts = iter(range(0, len(texts), size))
    with selectors.DefaultSelector() as selector:
        for start in islice(starts, IN_FLIGHT):
            socket_ = socket.create_connection((address.hostname, address.port))
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(socket_, selectors.EVENT_READ, Exchange(socket_))
            selector.get_key(socket_).data.send(texts, start, size, model)
        while selector.get_map():
            for key, _ in selector.select():
                exchange: Exchange = key.data
                body = exchange.receive()
                if body is None:
                    continue
                rows[exchange.start : exchange.start + size] = decoded(body)
                for start in islice(starts, 1):
                    exchange.send(texts, start, size, model)
                    break
                else:
                    selector.unregister(exchange.socket)
                    exchange.socket.close()
    return rows


def request_body(texts: Sequence[str], model: str, input_type: str) -> bytes:
    """Return the body of a request as our client writes it."""
    fields = {
        "input": list(texts),
        "model": model,
        "input_type": input_type,
        "truncation": True,
        "encoding_format": "base64",
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def decoded(body: bytes) -> list[list[float]]:
    """Return the vectors of a response."""
    rows = []
    for item in json.loads(body)["data"]:
        numbers = array("f")
        numbers.frombytes(binascii.a2b_base64(item["embedding"]))
        rows.append(numbers.tolist())
    return rows


class Exchange:
    """A connection with one request in flight."""

    def __init__(self, socket_: socket.socket) -> None:
        self.socket = socket_
        self.start = 0
        self._received = bytearray()
        self._missing = 0

    def send(self, texts: Sequence[str], start: int, size: int, model: str) -> None:
        """Send the next request."""
        self.start = start
        body = request_body(texts[start : start + size], model, "document")
        self.socket.sendall(HEAD % len(body) + body)

    def receive(self) -> bytes | None:
        """Receive bytes; return the body if it is complete."""
        self._received += self.socket.recv(RECEIVED_AT_ONCE)
        if not self._missing:
            end = self._received.index(END_OF_HEAD)
            start = self._received.index(CONTENT_LENGTH) + len(CONTENT_LENGTH)
            self._missing = int(self._received[start:end].split(b"\r\n")[0])
            del self._received[: end + len(END_OF_HEAD)]
        if len(self._received) < self._missing:
            return None
        body, self._received, self._missing = bytes(self._received), bytearray(), 0
        return body
