"""A service that answers as fast as is asked of it, in a process and on a core of its own.

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

from benchmarks.allowance import Allowance, BucketAllowance, WindowAllowance
from benchmarks.answers import Answers, refusal
from benchmarks.texts import tokens_of

OK = b"200 OK"
TOO_MANY = b"429 Too Many Requests"
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = b"content-length:"
HEAD = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@dataclass(frozen=True)
class Manner:
    """How the service behaves.

    Attributes:
        base_latency: Seconds every request takes.
        token_latency: Seconds every token adds.
        requests_per_minute: Limit, None for none.
        tokens_per_minute: Limit, None for none.
        burst: Seconds of either limit that may be saved up; None counts the most recent minute.
        names_limit: Whether a 429 says what the limit is.
        dimension: Length of the vectors.
        core: The core it keeps to, None for any.
        certificate: A PEM file with key and certificate, for TLS.
        stray_share: Part of the requests that are answered 429 for no reason.
        slow_share: Part of the requests that take `slow_seconds`.
        slow_seconds: How long these take.
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
    """What has been asked of it; times are seconds since the epoch."""

    connections: int = 0
    requests: int = 0
    refused: int = 0
    texts: int = 0
    tokens: int = 0
    most_at_once: int = 0
    busy_seconds: float = 0.0
    first_asked_at: float | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    tokens_by_second: dict[int, int] = field(default_factory=dict)


class Service:
    """What all connections share."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.statistics = Statistics()
        self.at_once = 0
        self._answers = Answers(manner.dimension)
        self._chance = random.Random(0)  # noqa: S311 - the same ones every time
        self._allowance: Allowance
        if manner.burst is None:
            self._allowance = WindowAllowance(manner.requests_per_minute, manner.tokens_per_minute)
        else:
            self._allowance = BucketAllowance(
                manner.requests_per_minute, manner.tokens_per_minute, manner.burst, time.monotonic()
            )

    def answer(self, head: bytes, body: bytes) -> tuple[bytes, bytes, float]:
        """Status, body, and the seconds it takes."""
        if head.startswith(b"GET"):
            outcome = asdict(self.statistics) | {"busy_seconds": time.process_time()}
            return OK, json.dumps(outcome).encode(), 0.0
        asked = json.loads(body)
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        tokens = sum(map(tokens_of, texts))
        self.statistics.requests += 1
        self.statistics.first_asked_at = self.statistics.first_asked_at or time.time()
        is_stray = self._chance.random() < self.manner.stray_share
        if is_stray or not self._allowance.take(tokens, time.monotonic()):
            self.statistics.refused += 1
            manner = self.manner
            limits = (manner.requests_per_minute or 0, manner.tokens_per_minute or 0)
            named = limits if manner.names_limit else None
            return TOO_MANY, refusal(asked["model"], named), self.manner.base_latency
        self.statistics.texts += len(texts)
        self.statistics.tokens += tokens
        by_second, second = self.statistics.tokens_by_second, int(time.time())
        by_second[second] = by_second.get(second, 0) + tokens
        self.statistics.sizes[len(texts)] = self.statistics.sizes.get(len(texts), 0) + 1
        answer = self._answers.embedded(texts, asked.get("encoding_format"), asked["model"])
        seconds = self.manner.base_latency + self.manner.token_latency * tokens
        if self._chance.random() < self.manner.slow_share:
            seconds = self.manner.slow_seconds
        return OK, answer, seconds


class Connection(asyncio.Protocol):
    """One connection: requests in, answers out, one after another."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._held = bytearray()
        self._missing = 0
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        self._held += data
        if len(self._held) < self._missing:
            return
        end = self._held.find(END_OF_HEAD)
        if end < 0:
            return
        head = bytes(self._held[:end])
        start = end + len(END_OF_HEAD)
        self._missing = start + _length(head)
        if len(self._held) >= self._missing:
            body = bytes(self._held[start : self._missing])
            del self._held[: self._missing]
            self._missing = 0
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        loop, service = asyncio.get_running_loop(), self._service
        arrived = loop.time()
        status, answer, seconds = service.answer(head, body)
        if body and not self._counted:
            self._counted = True
            service.statistics.connections += 1
        message = HEAD % (status, len(answer)) + answer
        service.at_once += 1
        service.statistics.most_at_once = max(service.statistics.most_at_once, service.at_once)
        if seconds:
            loop.call_at(arrived + seconds, self._send, message)
        else:
            self._send(message)

    def _send(self, message: bytes) -> None:
        self._service.at_once -= 1
        self._transport.write(message)


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(CONTENT_LENGTH)
    if start < 0:
        return 0
    return int(lower[start + len(CONTENT_LENGTH) :].partition(b"\r\n")[0])


async def serve(manner: Manner) -> None:
    """Serve until standard input closes."""
    loop = asyncio.get_running_loop()
    service = Service(manner)
    context = None
    if manner.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(manner.certificate)
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", 0, ssl=context, backlog=1_024
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve in the manner that the first argument describes."""
    manner = Manner(**json.loads(sys.argv[1]))
    if manner.core is not None:
        os.sched_setaffinity(0, {manner.core})
    asyncio.run(serve(manner))


if __name__ == "__main__":
    main()
