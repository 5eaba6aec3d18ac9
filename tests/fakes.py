"""Replacements of the clock and the service. They neither sleep nor use the network beyond
loopback.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

from voyage_rag import Voyage
from voyage_rag.core.flow import Attempt
from voyage_rag.core.options import EmbedOptions
from voyage_rag.hosts.messages import Response
from voyage_rag.io.clock import Clock

KEY = "pa-a-key-that-must-stay-secret"
MODEL = "voyage-of-tests"
"""An embedding model of unknown dimension: the tests' service returns two numbers per text."""
RERANKER = "rerank-of-tests"

EPOCH = 1_700_000_000.0

TOO_MANY_TOKENS = (
    "Request to model 'voyage-4' failed. The max allowed tokens per submitted batch is 320000. "
    "Your batch has 400000 tokens after truncation. Please lower the number of tokens in the batch."
)
FREE_TIER = (
    "You have not yet added your payment method in the billing page and will have reduced rate "
    "limits of 3 RPM and 10K TPM. To unlock our standard rate limits, please add a payment method "
    "in the billing page for the appropriate organization in the user dashboard."
)


class FakeClock:
    """A clock that sleeps by advancing, and records the delays."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return 1_000.0 + self._elapsed

    def wall(self) -> float:
        return EPOCH + self._elapsed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._elapsed += seconds

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        with self._lock:
            self.sleeps.append(seconds)
            self._elapsed += seconds

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        self.sleep(seconds, threading.Event())


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def vector_of(text: str) -> list[float]:
    """Two numbers that identify this text and survive float32."""
    return [float(zlib.crc32(text.encode()) % 65_536), float(len(text))]


def score_of(query: str, document: str) -> float:
    """The relevance that the tests' service assigns to a document."""
    return zlib.crc32(f"{query}\0{document}".encode()) % 1_000 / 1_000


def base64_of(numbers: Sequence[float], code: str = "f") -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}{code}", *numbers)).decode()


def embed_options(expected_dimension: int | None = 2, **given: Any) -> EmbedOptions:
    """Options of a call that asks for vectors of two numbers."""
    chosen: dict[str, Any] = {
        "model": "voyage-4",
        "input_type": None,
        "truncation": True,
        "output_dimension": None,
        "output_dtype": None,
        "expected_dimension": expected_dimension,
    }
    return EmbedOptions(**chosen | given)


def ok(body: object, **headers: str) -> Response:
    """A response with status 200."""
    return Response(200, headers, json.dumps(body).encode())


def failed(status: int, detail: object = "it went wrong", **headers: str) -> Response:
    """An error response in the service's wording; `retry_after` is the header `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps({"detail": detail}).encode())


def embedded(vectors: Sequence[Sequence[float]], tokens: int = 7) -> dict[str, Any]:
    """The body of a response with these float vectors."""
    data = [
        {"object": "embedding", "embedding": base64_of(vector), "index": index}
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": data, "model": MODEL, "usage": {"total_tokens": tokens}}


def served(body: bytes) -> Response:
    """The response of a healthy service."""
    asked = json.loads(body)
    if "input" in asked:
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        return ok(embedded([vector_of(text) for text in texts], sum(map(len, texts))))
    scores = [
        {"relevance_score": score_of(asked["query"], document), "index": index}
        for index, document in enumerate(asked["documents"])
    ]
    scores.sort(key=lambda item: -item["relevance_score"])
    tokens = sum(map(len, asked["documents"]))
    return ok({"data": scores[: asked.get("top_k")], "usage": {"total_tokens": tokens}})


Script: TypeAlias = Response | Exception | Callable[[bytes], Response]
"""What happens to one request."""


class FakeService:
    """A transport without a network: follows a script, then responds normally.

    Attributes:
        attempts: What was sent, in order.
        always: Answers every request after the script.
    """

    http_client = async_http_client = None

    def __init__(self, *script: Script, always: Callable[[bytes], Response] = served) -> None:
        self.attempts: list[Attempt] = []
        self.always = always
        self._script = list(script)
        self._lock = threading.Lock()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(attempt.request.body) for attempt in self.attempts]

    def send(self, attempt: Attempt, abort: object) -> Response:
        with self._lock:
            self.attempts.append(attempt)
            act = self._script.pop(0) if self._script else self.always
        if isinstance(act, Exception):
            raise act
        return act if isinstance(act, Response) else act(attempt.request.body)

    async def asend(self, attempt: Attempt) -> Response:
        await anyio.lowlevel.checkpoint()
        return self.send(attempt, None)

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def voyage_over(service: FakeService, clock: Clock | None = None, **options: Any) -> Voyage:
    """A client with a service in memory and a fake clock."""
    voyage = Voyage(KEY, clock=clock or FakeClock(), **options)
    voyage.driver.sender = service  # type: ignore[assignment]
    return voyage


# ── the service, over HTTP ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Received:
    """A request as received, with lower-case header names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


def drop(body: bytes) -> Response:
    """Close the connection instead of responding."""
    raise ConnectionAbortedError


class HTTPService(ThreadingHTTPServer):
    """A real HTTP/1.1 server on loopback: follows a script, then responds normally.

    Attributes:
        received: Every request, in order of arrival.
        connections: How many connections were opened so far.
        release: What `hang` waits for.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Response | Callable[[bytes], Response]] = []
        self.always: Callable[[bytes], Response] = served
        self.received: list[Received] = []
        self.connections = 0
        self.release = threading.Event()
        self.arrived = threading.Condition()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def hang(self, body: bytes) -> Response:
        """Respond when released."""
        assert self.release.wait(20)
        return served(body)

    def wait_for(self, requests: int) -> None:
        """Wait until so many requests have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= requests, 40)

    def wait_for_closed(self) -> None:
        """Wait until the client has closed every connection."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: not self._open, 5)

    def close_idle(self) -> None:
        """Close every connection, as servers do with idle ones, and wait until they are closed."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.wait_for_closed()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections += 1
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.arrived:
            self._open.discard(request)
            self.arrived.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        pass

    def end(self) -> None:
        """Stop, even if requests are waiting."""
        self.release.set()
        self.shutdown()
        self.close_idle()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: HTTPService

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Received(self.command, self.path, headers, body, self.connection.fileno())
        with self.server.arrived:
            self.server.received.append(request)
            act = self.server.script.pop(0) if self.server.script else self.server.always
            self.server.arrived.notify_all()
        try:
            answer = act if isinstance(act, Response) else act(body)
        except ConnectionAbortedError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST  # noqa: N815 - http.server's name

    def log_message(self, *args: object) -> None:
        pass
