"""A server with configurable latency and rate limits, in its own process and on its own core.

`python -m benchmarks.server '{"base_latency": 0.1}'` prints its port and serves until its standard
input closes. `GET /statistics` returns counts and the processor time they took.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field

from benchmarks.rate_limits import MinuteLimit, RateLimit, TokenBuckets
from benchmarks.responses import ResponseBodies, body_of_429
from benchmarks.texts import tokens_of

OK = b"200 OK"
TOO_MANY = b"429 Too Many Requests"
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = b"content-length:"
HEAD = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@dataclass(frozen=True)
class ServerBehavior:
    """Latency, rate limits and faults of the server.

    Attributes:
        base_latency: Seconds per request.
        token_latency: Additional seconds per token.
        requests_per_minute: Rate limit, or None.
        tokens_per_minute: Rate limit, or None.
        burst: Capacity of the token buckets in seconds; None counts the most recent minute.
        names_limit: Whether a 429 states the limit.
        dimension: Length of the vectors.
        core: The processor core it runs on, or None for any.
        certificate: PEM file with key and certificate, for TLS.
        stray_share: Part of the requests that receive a 429 without a reason.
        slow_share: Part of the requests that take `slow_seconds`.
        slow_seconds: Seconds that these take.
    """

    base_latency: float = 0.0
    token_latency: float = 0.0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst: float | None = 10.0
    names_limit: bool = False
    dimension: int = 1024
    core: int | None = None
    certificate: str | None = None
    stray_share: float = 0.0
    slow_share: float = 0.0
    slow_seconds: float = 1.5


@dataclass
class Statistics:
    """Counts of requests; times are seconds since the epoch."""

    connections: int = 0
    requests: int = 0
    refused: int = 0
    texts: int = 0
    tokens: int = 0
    most_at_once: int = 0
    busy_seconds: float = 0.0
    first_request_at: float | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    tokens_by_second: dict[int, int] = field(default_factory=dict)


class Service:
    """State shared by all connections."""

    def __init__(self, behavior: ServerBehavior) -> None:
        self.behavior = behavior
        self.statistics = Statistics()
        self.in_flight = 0
        self._bodies = ResponseBodies(behavior.dimension)
        self._chance = random.Random(0)  # noqa: S311 - a fixed seed
        self._limit: RateLimit
        if behavior.burst is None:
            self._limit = MinuteLimit(behavior.requests_per_minute, behavior.tokens_per_minute)
        else:
            self._limit = TokenBuckets(
                behavior.requests_per_minute,
                behavior.tokens_per_minute,
                behavior.burst,
                time.monotonic(),
            )

    def response(self, head: bytes, body: bytes) -> tuple[bytes, bytes, float]:
        """Return status, body, and the seconds until the response."""
        if head.startswith(b"GET"):
            outcome = asdict(self.statistics) | {"busy_seconds": time.process_time()}
            return OK, json.dumps(outcome).encode(), 0.0
        request = json.loads(body)
        texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
        tokens = sum(map(tokens_of, texts))
        self.statistics.requests += 1
        self.statistics.first_request_at = self.statistics.first_request_at or time.time()
        is_stray = self._chance.random() < self.behavior.stray_share
        if is_stray or not self._limit.take(tokens, time.monotonic()):
            self.statistics.refused += 1
            behavior = self.behavior
            limits = (behavior.requests_per_minute or 0, behavior.tokens_per_minute or 0)
            named = limits if behavior.names_limit else None
            return TOO_MANY, body_of_429(request["model"], named), self.behavior.base_latency
        self.statistics.texts += len(texts)
        self.statistics.tokens += tokens
        by_second, second = self.statistics.tokens_by_second, int(time.time())
        by_second[second] = by_second.get(second, 0) + tokens
        self.statistics.sizes[len(texts)] = self.statistics.sizes.get(len(texts), 0) + 1
        response = self._bodies.embedded(texts, request.get("encoding_format"), request["model"])
        seconds = self.behavior.base_latency + self.behavior.token_latency * tokens
        if self._chance.random() < self.behavior.slow_share:
            seconds = self.behavior.slow_seconds
        return OK, response, seconds


class Connection(asyncio.Protocol):
    """A connection that serves one request after another."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = bytearray()
        self._missing = 0
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a request and serve it when it is complete."""
        self._received += data
        if len(self._received) < self._missing:
            return
        end = self._received.find(END_OF_HEAD)
        if end < 0:
            return
        head = bytes(self._received[:end])
        start = end + len(END_OF_HEAD)
        self._missing = start + _length(head)
        if len(self._received) >= self._missing:
            body = bytes(self._received[start : self._missing])
            del self._received[: self._missing]
            self._missing = 0
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        loop, service = asyncio.get_running_loop(), self._service
        arrived = loop.time()
        status, response, seconds = service.response(head, body)
        if body and not self._counted:
            self._counted = True
            service.statistics.connections += 1
        message = HEAD % (status, len(response)) + response
        service.in_flight += 1
        service.statistics.most_at_once = max(service.statistics.most_at_once, service.in_flight)
        if seconds:
            loop.call_at(arrived + seconds, self._send, message)
        else:
            self._send(message)

    def _send(self, message: bytes) -> None:
        self._service.in_flight -= 1
        self._transport.write(message)


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(CONTENT_LENGTH)
    if start < 0:
        return 0
    return int(lower[start + len(CONTENT_LENGTH) :].partition(b"\r\n")[0])


async def serve(behavior: ServerBehavior) -> None:
    """Serve until standard input closes."""
    loop = asyncio.get_running_loop()
    service = Service(behavior)
    context = None
    if behavior.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(behavior.certificate)
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", 0, ssl=context, backlog=1_024
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()  # since Python 3.12, `async with` would wait until clients close connections


def main() -> None:
    """Serve with the behavior that the first argument describes."""
    behavior = ServerBehavior(**json.loads(sys.argv[1]))
    if behavior.core is not None:
        os.sched_setaffinity(0, {behavior.core})
    asyncio.run(serve(behavior))


if __name__ == "__main__":
    main()
