"""Queries over connections that are killed, reset, silenced or put out of step all the time.

One query follows the other, so whatever a connection went through is met by the next one. The
server says in every response which request it answers, as the service does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from threading import Timer
from unittest.mock import patch

import anyio

from fakes import KEY, MODEL, FakeClock, vector_of
from voyage_rag import Voyage, VoyageError
from wire import WireRequest, WireServer, response

RATE = 0.5
"""Share of requests after which, or at which, something happens to the connection."""

BURST = 16
BURST_EVERY = 200
"""How often so many requests at once fill the pool with connections."""

SILENCE_SECONDS = 0.05
"""What the transport waits at least for a reused connection, here."""


@dataclass
class KeepAliveOutcome:
    """What became of the queries.

    Attributes:
        mode: Sync, asyncio or trio.
        queries: How many were made.
        events: What happened to connections, and how often.
        wrong: Queries that got a vector of another text.
        errors: What was raised.
        connects: The most connections that were opened for one query.
        slowest: Seconds of the slowest query that met no silence.
        slowest_silent: Seconds of the slowest one that did.
        seconds: It took.
    """

    mode: str
    queries: int
    events: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    connects: int = 0
    slowest: float = 0.0
    slowest_silent: float = 0.0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether there was no error, and no query needed more than one new connection."""
        return not self.wrong and not self.errors and self.connects <= 1 and bool(self.events)


def run(mode: str, queries: int, seed: int) -> KeepAliveOutcome:
    """Make this number of queries, one after the other."""
    outcome = KeepAliveOutcome(mode, queries)
    began = time.monotonic()
    with WireServer() as server, _impatient():
        world = Disturber(server, Random(seed), outcome)
        server.act = world.act
        voyage = Voyage(KEY, base_url=server.url, clock=FakeClock(), concurrency=BURST, timeout=20)
        if mode == "sync":
            for number in range(queries):
                with world.watched(texts := world.texts(number)) as take:
                    take(voyage.embed(texts, MODEL, batch_size=1).embeddings)
        else:
            anyio.run(partial(_in_a_loop, voyage, queries, world), backend=mode)
        voyage.close()
    outcome.seconds = time.monotonic() - began
    return outcome


async def _in_a_loop(voyage: Voyage, queries: int, world: Disturber) -> None:
    for number in range(queries):
        with world.watched(texts := world.texts(number)) as take:
            take((await voyage.aembed(texts, MODEL, batch_size=1)).embeddings)


@contextmanager
def _impatient() -> Iterator[None]:
    with patch("voyage_rag.io.http.exchange.MIN_SILENCE_SECONDS", SILENCE_SECONDS):
        yield


class Disturber:
    """Does things to connections, and keeps the account.

    Args:
        server: Whose connections they are.
        random: Chooses.
        outcome: The account.
    """

    def __init__(self, server: WireServer, random: Random, outcome: KeepAliveOutcome) -> None:
        self._server = server
        self._random = random
        self._outcome = outcome
        self._events = [
            self.close_after, self.reset_after, self.close_later, self.reset_later,
            self.close_instead, self.reset_instead, self.forget_all, self.silence,
            self.double, self.double_apart, self.double_late, self.garbage, self.line_feed,
            self.time_out_idle, self.time_out_late, self.stale_first, self.no_keep_alive,
        ]  # fmt: skip
        self._silent = False
        self._forgotten = 0
        self._numbers = 0

    def texts(self, number: int) -> list[str]:
        """Return one text, or sometimes as many as fill the pool."""
        count = BURST if number % BURST_EVERY == 0 else 1
        return [f"text {number}.{place}" for place in range(count)]

    @contextmanager
    def watched(self, texts: list[str]) -> Iterator[Callable[[list[list[float]]], None]]:
        """Watch a query; the yielded function receives its vectors."""
        outcome, before, self._silent = self._outcome, self._server.connections, False
        vectors: list[list[float]] = []
        began = time.perf_counter()
        try:
            yield vectors.extend
        except VoyageError as error:
            outcome.errors.append(f"{type(error).__name__}: {error}"[:200])
            return
        seconds = time.perf_counter() - began
        if self._silent:
            outcome.slowest_silent = max(outcome.slowest_silent, seconds)
        elif len(vectors) == 1:
            outcome.slowest = max(outcome.slowest, seconds)
        outcome.wrong += vectors != [vector_of(text) for text in texts]
        if len(vectors) == 1:
            outcome.connects = max(outcome.connects, self._server.connections - before)

    def act(self, request: WireRequest) -> None:
        """Respond, and sometimes disturb the connection."""
        if request.connection <= self._forgotten:
            request.reset()
            return
        event = self._random.choice(self._events)
        if self._random.random() > RATE or (request.number == 1 and event in self._of_reused):
            request.send(self.response(request))
            return
        self._outcome.events[event.__name__] += 1
        event(request)

    @property
    def _of_reused(self) -> tuple[Callable[[WireRequest], None], ...]:
        """Skip the first request of a connection, whose failure does not concern keep-alive."""
        return (
            self.close_instead,
            self.reset_instead,
            self.reset_after,  # a RST may overtake the client, which has not read its response yet
            self.reset_later,
            self.silence,
            self.stale_first,
            self.time_out_late,
        )

    def response(self, request: WireRequest) -> bytes:
        """Return a valid response that differs from all others."""
        self._numbers += 1
        body = request.response.partition(b"\r\n\r\n")[2]
        return response(body, b"x-request-id: %d" % self._numbers)

    # ── after a sound response ────────────────────────────────────────────────────────────────────

    def close_after(self, request: WireRequest) -> None:
        request.send(self.response(request))
        request.socket.close()

    def reset_after(self, request: WireRequest) -> None:
        request.send(self.response(request))
        self._later(0.001, request.reset)

    def close_later(self, request: WireRequest) -> None:
        request.send(self.response(request))
        self._later(self._random.random() * 0.004, request.shut)

    def reset_later(self, request: WireRequest) -> None:
        request.send(self.response(request))
        self._later(self._random.random() * 0.004, request.reset)

    def forget_all(self, request: WireRequest) -> None:
        """Forget all connections, as a load balancer does when it restarts."""
        self._forgotten = self._server.connections  # before the client opens another one
        request.send(self.response(request))

    def no_keep_alive(self, request: WireRequest) -> None:
        body = request.response.partition(b"\r\n\r\n")[2]
        request.send(response(body, b"connection: close"))
        request.socket.close()

    def double(self, request: WireRequest) -> None:
        request.send(self.response(request) * 2)

    def double_apart(self, request: WireRequest) -> None:
        whole = self.response(request)
        request.send(whole, whole)

    def double_late(self, request: WireRequest) -> None:
        """Repeat the response while the connection is idle, or after the next request was sent."""
        whole = self.response(request)
        request.send(whole)
        self._later(self._random.random() * 0.004, partial(request.send, whole))

    def garbage(self, request: WireRequest) -> None:
        request.send(self.response(request) + self._random.randbytes(self._random.randrange(1, 99)))

    def line_feed(self, request: WireRequest) -> None:
        request.send(self.response(request) + b"\r\n")

    def time_out_idle(self, request: WireRequest) -> None:
        """Send the 408 that some servers send on an idle connection before they close it."""
        request.send(self.response(request))
        late = response(b"", b"connection: close", status=b"408 Request Timeout")
        self._later(self._random.random() * 0.002, partial(request.send, late))

    # ── instead of a sound response ───────────────────────────────────────────────────────────────

    def close_instead(self, request: WireRequest) -> None:
        request.socket.close()

    def reset_instead(self, request: WireRequest) -> None:
        request.reset()

    def silence(self, request: WireRequest) -> None:
        self._silent = True

    def stale_first(self, request: WireRequest) -> None:
        request.send(response(b'{"data": []}') + self.response(request))

    def time_out_late(self, request: WireRequest) -> None:
        request.send(response(b"", b"connection: close", status=b"408 Request Timeout"))
        request.socket.close()

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        def unless_closed() -> None:
            try:
                do()
            except (OSError, ValueError):
                return

        timer = Timer(seconds, unless_closed)
        timer.daemon = True
        timer.start()
