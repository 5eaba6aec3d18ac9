"""Connections are reused, used by one thread or task at a time, and closed in the end."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from fakes import KEY, MODEL, HTTPService, served, vector_of
from voyage_rag import APIConnectionError, Voyage, __version__
from voyage_rag.hosts.messages import Response
from voyage_rag.io.http import pool

BACKENDS = ["asyncio", "trio"]


def voyage_to(service: HTTPService, **options: Any) -> Voyage:
    """Return a client of a service on a real socket."""
    return Voyage(KEY, base_url=service.url, max_retries=0, **options)


def test_calls_share_a_connection(runner, http_service: HTTPService) -> None:
    """Twenty calls, one connection."""
    voyage = voyage_to(http_service)

    async def program() -> list[list[float]]:
        return [
            (await runner.ask(voyage, "embed", [f"text {n}"], MODEL)).embeddings[0]
            for n in range(20)
        ]

    assert [vector_of(f"text {number}") for number in range(20)] == runner.run(program)
    assert http_service.connections == 1


def test_requests_of_one_call_share_connections_with_the_next(
    runner, http_service: HTTPService
) -> None:
    """Four concurrent requests use four connections; forty more requests use the same ones."""
    voyage = voyage_to(http_service, concurrency=4)

    async def program() -> None:
        for _ in range(2):
            await runner.ask(voyage, "embed", [f"text {n}" for n in range(20)], MODEL, batch_size=1)

    runner.run(program)
    assert http_service.connections <= 4


def test_connections_that_nobody_wants_for_long_are_closed(
    runner, http_service: HTTPService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst, one goes with each later call, and those in use stay."""
    voyage = voyage_to(http_service, concurrency=4)
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 61, time=time.time)

    async def program() -> None:
        http_service.script = [meet] * 4
        await runner.ask(voyage, "embed", [f"text {n}" for n in range(4)], MODEL, batch_size=1)
        assert http_service.connections == 4
        monkeypatch.setattr(pool, "time", later)
        for _ in range(10):
            await runner.ask(voyage, "embed", ["text"], MODEL)
        with http_service.arrived:
            assert http_service.arrived.wait_for(lambda: len(http_service._open) == 1, 5)

    meeting = threading.Barrier(4)

    def meet(body: bytes) -> Response:
        meeting.wait(10)
        return served(body)

    runner.run(program)


def test_a_connection_from_before_a_sleep_is_not_used(
    runner, http_service: HTTPService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock stops while a laptop sleeps, but firewalls drop idle connections."""
    voyage = voyage_to(http_service)
    awake = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + 61)

    async def program() -> None:
        await runner.ask(voyage, "embed", ["text"], MODEL)
        monkeypatch.setattr(pool, "time", awake)
        for _ in range(3):
            await runner.ask(voyage, "embed", ["text"], MODEL)

    runner.run(program)
    assert http_service.connections == 2


def test_threads_and_event_loops_share_connections(http_service: HTTPService) -> None:
    """One object, in successive loops and without one, keeps its connection."""
    voyage = voyage_to(http_service)

    async def program(voyage: Voyage) -> Any:
        return (await voyage.aembed(["a"], MODEL)).embeddings

    for backend in ("asyncio", "trio", "asyncio", "trio"):
        assert [vector_of("a")] == anyio.run(program, voyage, backend=backend)
        assert [vector_of("a")] == voyage.embed(["a"], MODEL).embeddings
    assert http_service.connections == 1
    del voyage
    gc.collect()  # an unclosed socket would raise here
    http_service.wait_for_closed()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_loops_at_once_do_not_mix(backend: str, http_service: HTTPService) -> None:
    """Two threads, each with a loop, one object: every call has its own answers."""
    voyage = voyage_to(http_service, concurrency=3)

    def in_a_loop(name: str) -> bool:
        texts = [f"{name} {number}" for number in range(30)]

        async def program() -> Any:
            return (await voyage.aembed(texts, MODEL, batch_size=1)).embeddings

        return [vector_of(text) for text in texts] == anyio.run(program, backend=backend)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(in_a_loop, ["one", "other"])) == [True, True]


def test_threads_share_one_object(http_service: HTTPService) -> None:
    """Eight threads have their own answers, over eight connections at most."""

    def in_a_thread(number: int) -> bool:
        texts = [f"text {number} {round_}" for round_ in range(5)]
        vectors = [voyage.embed([text], MODEL).embeddings[0] for text in texts]
        return [vector_of(text) for text in texts] == vectors

    with voyage_to(http_service) as voyage, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(in_a_thread, range(8))) == [True] * 8

    assert http_service.connections <= 8


def test_a_closed_object_connects_anew(runner, http_service: HTTPService) -> None:
    """`close` closes idle connections; the object remains usable."""
    voyage = voyage_to(http_service)

    async def program() -> None:
        for _ in range(3):
            await runner.ask(voyage, "embed", ["a"], MODEL)
            await runner.ask(voyage, "close")
            http_service.wait_for_closed()

    runner.run(program)
    assert http_service.connections == 3


def test_a_context_closes_the_connections(http_service: HTTPService) -> None:
    """`with` and `async with`."""

    async def program() -> None:
        async with voyage_to(http_service) as voyage:
            voyage.embed(["a"], MODEL)
            await voyage.aembed(["a"], MODEL)
        http_service.wait_for_closed()

    with voyage_to(http_service) as voyage:
        voyage.embed(["a"], MODEL)
    http_service.wait_for_closed()
    for backend in BACKENDS:
        anyio.run(program, backend=backend)


def test_an_object_that_is_dropped_closes_its_connections(http_service: HTTPService) -> None:
    """`close` is not required, and there is no warning."""
    voyage_to(http_service).embed(["a"], MODEL)
    gc.collect()

    http_service.wait_for_closed()


def test_a_daemon_that_closed_all_descriptors_connects_anew(http_service: HTTPService) -> None:
    """Sockets that were closed by number are dropped without an error."""
    voyage = voyage_to(http_service)
    voyage.embed(["one"], MODEL)
    for at in gc.get_objects():
        if isinstance(at, pool.PooledConnection) and at.socket is not None:
            os.close(at.socket.fileno())
    voyage.close()

    assert voyage.embed(["two"], MODEL).embeddings == [vector_of("two")]


def test_the_key_is_sent_only_in_the_authorization_header(
    runner, http_service: HTTPService
) -> None:
    """Not in the address, the body or another header; the headers say who calls."""
    voyage = voyage_to(http_service)
    runner.call(voyage, "embed", ["a"], MODEL)

    [received] = http_service.received
    headers = dict(received.headers)
    assert f"Bearer {KEY}" == headers.pop("authorization")
    assert (received.method, received.path) == ("POST", "/v1/embeddings")
    assert not [value for value in headers.values() if KEY in value]
    assert KEY.encode() not in received.body
    assert "application/json" == headers["content-type"] == headers["accept"]
    assert headers["user-agent"].startswith(f"voyage-rag/{__version__}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_thread_can_be_started(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit of processes: one of our errors, and nothing was sent."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    async def program() -> None:
        voyage = Voyage(KEY, base_url="http://127.0.0.1:9/v1", max_retries=0)
        monkeypatch.setattr("anyio.to_thread.run_sync", refuse)
        await voyage.aembed(["a"], MODEL)

    with pytest.raises(APIConnectionError, match="can't start new thread") as caught:
        anyio.run(program, backend=backend)
    assert caught.value.never_sent
