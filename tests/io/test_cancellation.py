"""A call that is cancelled at any moment closes what it opened, at once."""

from __future__ import annotations

import gc
import socket
import time

import anyio
import pytest

from chaos import cancelling
from chaos.process import held, settled
from fakes import KEY, MODEL, HTTPService
from voyage_rag import Voyage

BACKENDS = ["asyncio", "trio"]
CALLS = {"sync": 40, "asyncio": 200, "trio": 200}


@pytest.mark.parametrize("name", ["sync", "asyncio", "trio"])
def test_cancelled_calls_leave_no_socket_thread_or_task(
    name: str, http_service: HTTPService
) -> None:
    """All kinds of calls at random moments; `make chaos` cancels thousands."""
    leaks = cancelling.run(name, CALLS[name], seed=1, service=http_service)

    assert leaks.none, leaks
    assert leaks.cancelled > CALLS[name] / 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_connection_made_too_late_is_closed_without_the_garbage_collector(
    backend: str, http_service: HTTPService
) -> None:
    """Cancelled while it connects, again and again, with connections made meanwhile."""

    async def program() -> None:
        voyage = Voyage(KEY, base_url=http_service.url)
        for number in range(150):
            with anyio.move_on_after(number * 2e-5):
                await voyage.aembed(["a"], MODEL)
        await voyage.aclose()

    before = held()
    gc.disable()
    try:
        anyio.run(program, backend=backend)
        http_service.close_idle()
        assert settled(before, collecting=False).sockets <= before.sockets
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_waiting_to_connect_is_cancelled_at_once(backend: str) -> None:
    """Connecting to a host that says nothing holds up a cancellation for a moment only."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, socket.socket() as first:
        first.setblocking(False)
        others = [socket.socket() for _ in range(4)]
        for other in (first, *others):
            other.setblocking(False)
            other.connect_ex(deaf.getsockname())  # the queue is full: who comes now waits
        voyage = Voyage(KEY, base_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")

        async def program() -> float:
            began = time.monotonic()
            with anyio.move_on_after(0.1):
                await voyage.aembed(["a"], MODEL)
            return time.monotonic() - began

        assert anyio.run(program, backend=backend) < 1
        for other in others:
            other.close()


def test_a_sync_call_can_be_left_in_any_state(http_service: HTTPService) -> None:
    """Leaving a stream while requests hang ends them: threads and sockets are gone in a second."""
    voyage = Voyage(KEY, base_url=http_service.url, concurrency=4)
    before = held()
    healthy = http_service.always

    def first_only(body: bytes) -> object:
        return healthy(body) if b"text 0" in body else http_service.hang(body)

    http_service.always = first_only  # type: ignore[assignment]
    vectors = voyage.embed_iter((f"text {n}" for n in range(10**6)), MODEL, batch_size=1)
    next(vectors)
    http_service.wait_for(4)
    began = time.monotonic()
    vectors.close()
    assert time.monotonic() - began < 1
    voyage.close()
    http_service.release.set()
    http_service.close_idle()

    left = settled(before)
    assert (left.sockets, left.threads) <= (before.sockets, before.threads)
