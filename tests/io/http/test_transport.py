"""Failures of the network on a real socket: silence, refused connections, garbage, redirects."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from fakes import KEY, MODEL, FakeClock, HTTPService, drop, served, vector_of
from voyage_rag import APIConnectionError, APIError, Timeout, Voyage, VoyageError
from voyage_rag.core.flow import Attempt
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.call_state import Stopped, ThreadCallState
from voyage_rag.io.http.transport import Transport
from voyage_rag.settings import Settings


def voyage_to(url: str, max_retries: int = 0, **options: Any) -> Voyage:
    """Return a client that does not wait between attempts."""
    return Voyage(KEY, base_url=url, max_retries=max_retries, clock=FakeClock(), **options)


def failure_of(runner: Any, voyage: Voyage) -> VoyageError:
    """Return the error of a call."""
    with pytest.raises(VoyageError) as caught:
        runner.call(voyage, "embed", ["a"], MODEL)
    return caught.value


@contextmanager
def speaking(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that does not speak HTTP and handles every connection alike."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    say(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_silence_is_a_timeout(runner, http_service: HTTPService) -> None:
    """Nothing within `timeout`: the error says so, is a TimeoutError, and names the remedy."""
    http_service.always = http_service.hang
    began = time.monotonic()

    error = failure_of(runner, voyage_to(http_service.url, timeout=0.2))

    assert Timeout is type(error)
    assert 0.2 <= time.monotonic() - began < 2
    assert isinstance(error, TimeoutError)
    assert isinstance(error.__cause__, Exception)
    assert "0.2 s" in error.message
    assert (error.model, error.attempts) == (MODEL, 1)


def test_a_response_that_arrives_byte_by_byte_times_out_too(runner) -> None:
    """`timeout` applies until the last byte: bytes that arrive one by one do not prolong it."""

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(40):
            try:
                connection.sendall(b" ")
            except OSError:
                return
            time.sleep(0.05)

    began = time.monotonic()
    with speaking(trickle) as url:
        error = failure_of(runner, voyage_to(url, timeout=0.3))
        assert time.monotonic() - began < 1.2
    assert Timeout is type(error)


def test_a_refused_connection_says_where(runner) -> None:
    """An APIConnectionError with the address and the underlying reason."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"

    error = failure_of(runner, voyage_to(url, max_retries=2))

    assert (APIConnectionError, 3) == (type(error), error.attempts)
    assert url in error.message
    assert isinstance(error.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "half an answer", "not valid gzip", "broken header"],
)
def test_what_is_no_answer_is_a_lost_connection(runner, said: bytes) -> None:
    """Garbage and half answers are APIConnectionErrors, and may be tried again."""
    with speaking(lambda connection: connection.sendall(said)) as url:
        error = failure_of(runner, voyage_to(url, max_retries=1))

    assert (APIConnectionError, 2) == (type(error), error.attempts)


def test_a_dropped_connection_is_made_anew(runner, http_service: HTTPService) -> None:
    """The request is sent again on another one."""
    http_service.script = [drop, drop]

    result = runner.call(voyage_to(http_service.url, max_retries=2), "embed", ["a"], MODEL)

    assert [vector_of("a")] == result.embeddings
    assert 3 == http_service.connections == len(http_service.received)


def test_a_connection_closed_while_idle_costs_no_attempt(runner, http_service: HTTPService) -> None:
    """A server ends keep-alive when it likes: the next call opens another connection."""
    voyage = voyage_to(http_service.url)

    async def program() -> list[list[float]]:
        await runner.ask(voyage, "embed", ["a"], MODEL)
        http_service.close_idle()
        return (await runner.ask(voyage, "embed", ["b"], MODEL)).embeddings

    assert [vector_of("b")] == runner.run(program)
    assert (http_service.connections, len(http_service.received)) == (2, 2)


@pytest.mark.parametrize("own_client", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    runner, http_service: HTTPService, status: int, own_client: bool
) -> None:
    """The key is not carried to another host, even by a client that follows redirects."""
    elsewhere = HTTPService()
    location = f"{elsewhere.url}/embeddings"
    http_service.always = lambda body: Response(status, {"location": location}, b"")

    async def program() -> APIError:
        own: Any = (httpx.Client if runner.is_sync else httpx.AsyncClient)(follow_redirects=True)
        name = "http_client" if runner.is_sync else "async_http_client"
        voyage = voyage_to(http_service.url, **({name: own} if own_client else {}))
        with pytest.raises(APIError) as caught:
            await runner.ask(voyage, "embed", ["a"], MODEL)
        own.close() if runner.is_sync else await own.aclose()
        return caught.value

    try:
        error = runner.run(program)
        assert (elsewhere.received, len(http_service.received)) == ([], 1)
    finally:
        elsewhere.end()
    assert status == error.http_status
    assert "redirect" in error.message


# ── ending a sync request from another thread ─────────────────────────────────────────────────────


def transport_to(service: HTTPService) -> Transport:
    """Return a transport without a client."""
    return Transport(Settings.resolve(KEY, base_url=service.url).host)


def attempt(text: str = "a", timeout: float = 20.0) -> Attempt:
    """An attempt to embed a text."""
    body = json.dumps({"input": [text], "model": MODEL}).encode()
    return Attempt(Request("/embeddings", body, MODEL, 1), timeout)


def test_abort_ends_a_request_that_another_thread_waits_for(http_service: HTTPService) -> None:
    """The waiting thread returns within a moment; the transport still works."""
    http_service.script = [http_service.hang]
    transport, abort = transport_to(http_service), ThreadCallState()
    outcome: list[Any] = []

    def wait() -> None:
        try:
            outcome.append(transport.send(attempt(), abort))
        except APIConnectionError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    http_service.wait_for(1)
    abort.end_all()
    thread.join(1)

    assert not thread.is_alive()
    assert isinstance(outcome[0], APIConnectionError)
    assert served(attempt().request.body).body == transport.send(attempt(), ThreadCallState()).body
    transport.close()


def test_nothing_begins_after_an_abort(http_service: HTTPService) -> None:
    """A request that comes too late is not sent."""
    transport, abort = transport_to(http_service), ThreadCallState()
    abort.end_all()

    with pytest.raises(Stopped):
        transport.send(attempt(), abort)
    assert http_service.received == []


def test_a_connection_that_was_ended_too_late_is_not_used_again(
    http_service: HTTPService,
) -> None:
    """The response arrived before the end; the next request is not affected."""

    class Late(ThreadCallState):
        @contextmanager
        def in_flight(self, end: Callable[[], None]) -> Iterator[None]:
            with super().in_flight(end):
                yield
                end()

    transport = transport_to(http_service)
    for text in ("a", "b", "c"):
        answer = transport.send(attempt(text), Late() if text == "a" else ThreadCallState())
        assert served(attempt(text).request.body).body == answer.body
    assert http_service.connections == 2
    transport.close()
