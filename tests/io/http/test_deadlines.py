"""No call exceeds its time, whatever the server does, at any stage."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from fakes import KEY, MODEL, HTTPService
from voyage_rag import Timeout, Voyage, VoyageError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import RandomFaults, status
from voyage_rag.hosts.messages import Response

PATIENCE = 2.0
SOON = 0.95 * PATIENCE
BUSY = 1.5
"""Seconds that a busy machine may take to begin, and to wake who waits."""
LATE = 1.1 * PATIENCE + BUSY
"""A tenth more than allowed; less than twice, which httpx alone would take."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n"


@contextmanager
def speaking(say: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a server that handles every connection with a function, until it is closed."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def converse(connection: socket.socket) -> None:
            with connection:
                try:
                    say(connection, over)
                except OSError:
                    return  # the client has had enough

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        over.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def drip(connection: socket.socket, over: threading.Event, text: bytes) -> None:
    """Send byte by byte, for longer than any client waits."""
    for byte in text * 1_000:
        connection.sendall(bytes([byte]))
        if over.wait(0.05):
            return


def dripping_status(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65_536)
    drip(connection, over, b"HTTP/1.1 200 OK ")


def dripping_headers(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65_536)
    connection.sendall(HEAD)
    drip(connection, over, b"x-a: b\r\n")


def dripping_body(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65_536)
    connection.sendall(HEAD + b"\r\n")
    drip(connection, over, b" ")


def flooding(connection: socket.socket, over: threading.Event) -> None:
    """Send without end, and never a response, so that there is always something to read."""
    connection.recv(65_536)
    while not over.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)


def stalling_late(connection: socket.socket, over: threading.Event) -> None:
    """Send all but the end, just before the deadline."""
    connection.recv(65_536)
    connection.sendall(HEAD)
    over.wait(PATIENCE * 0.5)
    connection.sendall(b"\r\n" + b" " * 500)
    over.wait(PATIENCE * 0.4)
    connection.sendall(b" " * 400)
    over.wait(20)


def not_reading(connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def reading_slowly(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.05):
        connection.recv(20_000)


SHAPES = (
    dripping_status,
    dripping_headers,
    dripping_body,
    stalling_late,
    not_reading,
    reading_slowly,
)


def timed(runner: Any, url: str, text: str = "a", **options: Any) -> float:
    """Return the seconds until a call fails."""
    voyage = Voyage(**{"api_key": KEY, "base_url": url} | options)
    began = time.monotonic()
    with pytest.raises(VoyageError):
        runner.call(voyage, "embed", [text], MODEL)
    return time.monotonic() - began


def at_once(calls: Collection[Callable[[], float]]) -> list[float]:
    """Return the results of calls that run at the same time."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [each.result() for each in [threads.submit(call) for call in calls]]


def test_an_attempt_ends_in_its_time(runners) -> None:
    """`timeout` holds from the first byte sent to the last one read."""
    with ExitStack() as servers:
        calls = {
            (runner.name, say.__name__): partial(
                timed,
                runner,
                servers.enter_context(speaking(say)),
                "x" * 12_000_000 if say in (not_reading, reading_slowly) else "a",
                max_retries=0,
                timeout=PATIENCE,
            )
            for runner in runners
            for say in SHAPES
        }
        took = dict(zip(calls, at_once(calls.values()), strict=True))

    assert {call: took for call, took in took.items() if not SOON <= took < LATE} == {}


def test_an_endless_response_ends_at_the_deadline(runner) -> None:
    """The deadline is checked although there is always something to read."""
    with speaking(flooding) as url:
        assert timed(runner, url, max_retries=0, timeout=0.3) >= 0.3


def timed_after(answers: int, headers: dict[str, str], runner: Any, service: HTTPService) -> float:
    """Return the seconds until a call fails once the service has stopped responding."""
    healthy = service.always

    def answer(body: bytes) -> Response:
        answer = healthy(body)
        return Response(answer.status, headers, answer.body)

    service.script = [answer] * answers
    service.always = service.hang
    voyage = Voyage(KEY, base_url=service.url, max_retries=0, timeout=PATIENCE)

    async def program() -> float:
        for _ in range(answers):
            await runner.ask(voyage, "embed", ["a"], MODEL)
        began = time.monotonic()
        with pytest.raises(Timeout):
            await runner.ask(voyage, "embed", ["a"], MODEL)
        return time.monotonic() - began

    return runner.run(program)


@pytest.mark.parametrize(
    ("headers", "connections"),
    [({}, {1, 2}), ({"connection": "close"}, {3})],
    ids=["in use", "closed after each answer"],
)
def test_later_calls_keep_deadlines_too(
    runners, headers: dict[str, str], connections: set[int]
) -> None:
    """Not only the first request on a connection, nor the first connection.

    A request that gets no response on a connection in use is sent again on a second one.
    """
    with ExitStack() as stack:
        services = [HTTPService() for _ in runners]
        for service in services:
            stack.callback(service.end)
        took = at_once(
            [
                partial(timed_after, 2, headers, runner, service)
                for runner, service in zip(runners, services, strict=True)
            ]
        )

    assert [seconds for seconds in took if not SOON <= seconds < LATE] == []
    assert {service.connections for service in services} <= connections


def test_all_attempts_end_in_the_total_time(runner) -> None:
    """`total_timeout` covers all attempts and the waits between them."""
    total = 1.0
    options = {"max_retries": 50, "timeout": 0.4, "total_timeout": total}
    with ExitStack() as servers:
        urls = [servers.enter_context(speaking(dripping_headers))]
        urls += [
            servers.enter_context(Emulator(faults=RandomFaults(1.0, among=[wrong])))
            for wrong in (status(503), status(429), status(429, retry_after=60))
        ]
        calls = [
            partial(timed, runner, url, api_key=f"pa-{number}", **options)
            for number, url in enumerate(urls)
        ]
        took = at_once(calls)

    assert [seconds for seconds in took if seconds >= 1.1 * total + BUSY] == []
    assert took[-1] < BUSY


def test_a_slow_answer_that_comes_in_time_is_taken(runner) -> None:
    """A deadline does not limit the number of pieces."""
    body = b'{"data":[{"index":0,"embedding":[1,2]}],"usage":{"total_tokens":1}}'

    def slowly(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65_536)
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        for start in range(0, len(answer), 10):
            connection.sendall(answer[start : start + 10])
            over.wait(0.01)

    with speaking(slowly) as url:
        voyage = Voyage(KEY, base_url=url, max_retries=0, timeout=10)
        assert runner.call(voyage, "embed", ["a"], MODEL).embeddings == [[1.0, 2.0]]
        runner.close()
