"""When a connection is used again, when a request is sent again, and never a wrong response."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import KEY, MODEL, FakeClock, vector_of
from voyage_rag import APIConnectionError, UnexpectedAnswerError, Voyage
from voyage_rag.hosts import VoyageAPI
from voyage_rag.io.http import exchange
from wire import WireRequest, WireServer, healthy, response

if TYPE_CHECKING:
    from conftest import Runner


@pytest.fixture
def server() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server


def voyage_to(server: WireServer, max_retries: int = 0, **options: Any) -> Voyage:
    return Voyage(KEY, base_url=server.url, max_retries=max_retries, clock=FakeClock(), **options)


def vectors_in_turn(
    runner: Runner, server: WireServer, voyage: Voyage, texts: list[str]
) -> list[list[float]]:
    """Return the vectors of queries, each sent when the server has finished the previous one."""

    async def program() -> list[list[float]]:
        vectors: list[list[float]] = []
        for text in texts:
            vectors += (await runner.ask(voyage, "embed", [text], MODEL)).embeddings
            server.wait_until_done()
        return vectors

    return runner.run(program)


TEXTS = [str(number) for number in range(6)]
VECTORS = [vector_of(text) for text in TEXTS]


# ── bytes that are left over ──────────────────────────────────────────────────────────────────────


def in_one_packet(request: WireRequest) -> None:
    request.send(request.response * 2)


def in_two_packets(request: WireRequest) -> None:
    request.send(request.response, request.response)


def one_byte(request: WireRequest) -> None:
    request.send(request.response + b"\n")


def chunked(request: WireRequest) -> None:
    body = request.response.partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    whole = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    request.send(whole + whole)


@pytest.mark.parametrize("act", [in_one_packet, in_two_packets, one_byte, chunked])
def test_a_connection_with_bytes_left_over_is_not_used_again(
    runner: Runner, server: WireServer, act: Callable[[WireRequest], None]
) -> None:
    """Each query has its own vector, though the server sends every response twice."""
    server.act = act
    assert vectors_in_turn(runner, server, voyage_to(server), TEXTS) == VECTORS
    assert len(server.requests) == len(TEXTS)


def test_one_repeated_response_among_many_has_no_effect(
    runner: Runner, server: WireServer, tmp_path: Path
) -> None:
    """Neither results nor the cache."""
    texts = [f"text {number}" for number in range(60)]

    def act(request: WireRequest) -> None:
        request.send(request.response * (2 if len(server.requests) == 20 else 1))

    server.act = act
    voyage = voyage_to(server, cache=tmp_path / "vectors.db")
    expected = [vector_of(text) for text in texts]
    assert vectors_in_turn(runner, server, voyage, texts) == expected
    assert vectors_in_turn(runner, server, voyage, texts) == expected
    assert server.connections == 2
    voyage.close()


def test_surplus_beside_the_response_on_a_reused_connection_discards_it(
    runner: Runner, server: WireServer
) -> None:
    """It may be the response to an earlier request, so the request is sent on a new connection."""
    stale = response(json.dumps({"data": []}).encode())

    def act(request: WireRequest) -> None:
        before = (request.number > 1 and [stale]) or []
        request.send(b"".join([*before, request.response]))

    server.act = act
    assert vectors_in_turn(runner, server, voyage_to(server), TEXTS) == VECTORS
    assert {request.number for request in server.requests} == {1, 2}


def test_a_response_that_is_repeated_late_is_known_by_its_request_id(
    runner: Runner, server: WireServer
) -> None:
    """Even where the repetition only comes when the next request is on its way."""
    last: dict[int, bytes] = {}

    def act(request: WireRequest) -> None:
        body = request.response.partition(b"\r\n\r\n")[2]
        own = response(body, b"x-request-id: %d" % len(server.requests))
        request.send(last.get(request.connection, b"") or own)
        last[request.connection] = own

    server.act = act
    assert vectors_in_turn(runner, server, voyage_to(server), TEXTS) == VECTORS


def test_a_constant_request_id_is_suspicious_once(runner: Runner, server: WireServer) -> None:
    """Some gateways send the same id over every connection."""

    def act(request: WireRequest) -> None:
        request.send(response(request.response.partition(b"\r\n\r\n")[2], b"x-request-id: same"))

    server.act = act
    assert vectors_in_turn(runner, server, voyage_to(server), TEXTS) == VECTORS
    assert len(server.requests) == len(TEXTS) + 1


def test_a_request_id_of_the_caller_may_repeat(runner: Runner, server: WireServer) -> None:
    """A trace has one id for several requests, and a gateway returns it."""
    ids = iter("112233")

    class Traced(VoyageAPI):
        def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
            return {**super().headers(method, url, body), "X-Request-ID": next(ids)}

    def act(request: WireRequest) -> None:
        sent = request.head.lower().partition(b"x-request-id:")[2].split()[0]
        request.send(response(request.response.partition(b"\r\n\r\n")[2], b"x-request-id: " + sent))

    server.act = act
    voyage = Voyage(host=Traced(KEY, server.url))
    assert vectors_in_turn(runner, server, voyage, TEXTS) == VECTORS
    assert len(server.requests) == len(TEXTS)


# ── responses that are unsound ────────────────────────────────────────────────────────────────────


def unsound(request: WireRequest) -> None:
    """Respond first with a complete response that does not belong to the request."""
    if request.connection == 1 and request.number == 2:
        request.send(response(b'{"data": [], "usage": {"total_tokens": 1}}'))
    else:
        request.send(request.response)


def test_a_connection_with_an_invalid_response_is_not_reused(
    runner: Runner, server: WireServer
) -> None:
    """Its next response could belong to another request."""
    server.act = unsound
    voyage = voyage_to(server)

    async def program() -> list[list[float]]:
        await runner.ask(voyage, "embed", ["a"], MODEL)
        with pytest.raises(UnexpectedAnswerError):
            await runner.ask(voyage, "embed", ["b"], MODEL)
        return (await runner.ask(voyage, "embed", ["c"], MODEL)).embeddings

    assert runner.run(program) == [vector_of("c")]
    assert [request.connection for request in server.requests] == [1, 1, 2]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n??",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["cut off", "packed otherwise", "two lengths", "no chunk", "another protocol"],
)
def test_a_response_that_cannot_be_read_ends_its_connection(
    runner: Runner, server: WireServer, said: bytes
) -> None:
    """The attempt fails, and the next one uses another connection."""

    def act(request: WireRequest) -> None:
        if request.connection == 1 and request.number == 2:
            request.send(said)
            request.socket.close()
        else:
            request.send(request.response)

    server.act = act
    voyage = voyage_to(server, max_retries=1)
    assert vectors_in_turn(runner, server, voyage, TEXTS[:3]) == VECTORS[:3]
    assert [request.connection for request in server.requests] == [1, 1, 2, 2]


# ── connections that have died meanwhile ──────────────────────────────────────────────────────────


def test_connections_that_a_load_balancer_forgot_cost_no_attempt(
    runner: Runner, server: WireServer
) -> None:
    """Sixteen of them: the query is answered over a new one, and none of the others is tried."""
    voyage = voyage_to(server, concurrency=16)
    gate = threading.Barrier(16)

    def meet(request: WireRequest) -> None:
        gate.wait(10)
        healthy(request)

    def forget(request: WireRequest) -> None:
        if request.connection <= 16:
            request.reset()
        else:
            healthy(request)

    async def program() -> list[list[float]]:
        server.act = meet
        await runner.ask(voyage, "embed", [f"x {n}" for n in range(16)], MODEL, batch_size=1)
        server.act = forget
        await runner.ask(voyage, "embed", ["y"], MODEL)
        return (await runner.ask(voyage, "embed", ["z"], MODEL)).embeddings

    assert runner.run(program) == [vector_of("z")]
    assert server.connections == 17
    assert len(server.requests) == 16 + 3


@pytest.mark.parametrize("how", ["reset", "close"])
def test_connections_that_were_closed_while_idle_cost_nothing(
    runner: Runner, server: WireServer, how: str
) -> None:
    """They are noticed before anything is sent."""
    voyage = voyage_to(server)

    async def program() -> list[list[float]]:
        await runner.ask(voyage, "embed", ["a"], MODEL)
        if how == "reset":
            server.reset_all()
        else:
            server.close_all()
        return (await runner.ask(voyage, "embed", ["b"], MODEL)).embeddings

    assert runner.run(program) == [vector_of("b")]
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_new_connection_that_fails_is_an_attempt(runner: Runner, server: WireServer) -> None:
    """The request is not sent over and over."""
    server.act = WireRequest.reset
    with pytest.raises(APIConnectionError) as caught:
        runner.call(voyage_to(server), "embed", ["a"], MODEL)
    assert caught.value.attempts == 1
    assert not caught.value.never_sent
    assert len(server.requests) == 1


def test_a_connection_that_dies_in_the_middle_of_a_response_is_an_attempt(
    runner: Runner, server: WireServer
) -> None:
    """The service has seen the request."""

    def act(request: WireRequest) -> None:
        if request.number == 2:
            request.send(request.response[:20])
            request.reset()
        healthy(request)

    server.act = act
    voyage = voyage_to(server)

    async def program() -> None:
        await runner.ask(voyage, "embed", ["a"], MODEL)
        with pytest.raises(APIConnectionError):
            await runner.ask(voyage, "embed", ["b"], MODEL)

    runner.run(program)
    assert len(server.requests) == 2


def test_a_silent_connection_does_not_use_up_the_time(
    runner: Runner, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reused one is given up early, for a new one; the request is small and may be repeated."""
    monkeypatch.setattr(exchange, "MIN_SILENCE_SECONDS", 0.1)

    def act(request: WireRequest) -> None:
        if request.number == 1:
            healthy(request)

    server.act = act
    voyage = voyage_to(server, timeout=15)
    assert vectors_in_turn(runner, server, voyage, TEXTS[:3]) == VECTORS[:3]
    assert [request.connection for request in server.requests] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("first", ["a", "a" * exchange.SMALL_REQUEST_BYTES])
def test_a_service_that_is_known_to_be_slow_is_waited_for(
    first: str, runner: Runner, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the longest recent wait, also for large requests: nothing is sent twice."""
    monkeypatch.setattr(exchange, "MIN_SILENCE_SECONDS", 0.01)

    def act(request: WireRequest) -> None:
        server.over.wait(0.3)
        healthy(request)

    server.act = act
    texts = [first, *TEXTS[1:4]]
    assert vectors_in_turn(runner, server, voyage_to(server), texts) == [*map(vector_of, texts)]
    assert server.connections == 1


@pytest.mark.parametrize("length", [1, exchange.SMALL_REQUEST_BYTES])
def test_a_silent_connection_is_given_up_although_responses_take_a_while(
    length: int, runner: Runner, server: WireServer
) -> None:
    """After half of the timeout. A query would otherwise wait longer because jobs are slow."""

    def act(request: WireRequest) -> None:
        if request.number != 2:
            server.over.wait(0.25)
            healthy(request)

    server.act = act
    texts = ["a" * length, "b" * length]
    found = vectors_in_turn(runner, server, voyage_to(server, timeout=1.6), texts)
    assert found == [*map(vector_of, texts)]
    assert [request.connection for request in server.requests] == [1, 1, 2]


@pytest.mark.parametrize("length", [1, exchange.SMALL_REQUEST_BYTES])
def test_a_service_that_needs_most_of_the_timeout_receives_no_second_request(
    length: int, runner: Runner, server: WireServer
) -> None:
    """A server that works on one request at a time would otherwise receive each one twice."""

    def act(request: WireRequest) -> None:
        server.over.wait(0.9)
        healthy(request)

    server.act = act
    texts = ["a" * length, "b" * length]
    found = vectors_in_turn(runner, server, voyage_to(server, timeout=1.6), texts)
    assert found == [*map(vector_of, texts)]
    assert len(server.requests) == 2


def test_what_must_not_be_repeated_never_uses_an_old_connection(
    runner: Runner, server: WireServer
) -> None:
    """A batch that is created, and a file that is uploaded."""
    batch = {
        "id": "b", "status": "validating", "endpoint": "/v1/embeddings",
        "input_file_id": "f", "created_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    server.act = lambda request: request.send(response(json.dumps(batch).encode()))
    voyage = voyage_to(server)

    async def program() -> None:
        for _ in range(2):
            await runner.ask(voyage.batches, "get", "b")
        await runner.ask(voyage.batches, "create", "/v1/embeddings", "f", {"model": MODEL})

    runner.run(program)
    created = [request for request in server.requests if request.head.startswith(b"POST")]
    assert [request.number for request in created] == [1]
    assert [request.connection for request in server.requests[:2]] == [1, 1]


# ── the response itself ───────────────────────────────────────────────────────────────────────────


def test_gzip_of_several_members_is_read(runner: Runner, server: WireServer) -> None:
    """Some gateways compress a response in several parts."""

    def act(request: WireRequest) -> None:
        body = request.response.partition(b"\r\n\r\n")[2]
        packed = b"".join(gzip.compress(body[at : at + 7]) for at in range(0, len(body), 7))
        request.send(response(packed, b"content-encoding: gzip"))

    server.act = act
    assert vectors_in_turn(runner, server, voyage_to(server), TEXTS) == VECTORS
    assert server.connections == 1


# ── what is written ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 100_000, 1_000_000])
def test_a_request_is_written_in_pieces_between_which_the_deadline_is_checked(
    runner: Runner, server: WireServer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A small one is sent in one packet: a second would wait until the first is acknowledged."""
    sizes: list[int] = []
    outgoing = exchange.Exchange.outgoing

    def recorded(self: exchange.Exchange) -> Iterator[bytes]:
        for piece in outgoing(self):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(exchange.Exchange, "outgoing", recorded)
    with voyage_to(server) as voyage:
        vectors_in_turn(runner, server, voyage, ["x" * size])
    assert sum(sizes) > size
    assert max(sizes) <= exchange.MAX_WRITE_BYTES
    assert len(sizes) == (1 if size < exchange.MAX_WRITE_BYTES else 5)  # a full piece goes alone


def test_a_large_request_is_not_copied_as_a_whole(
    runner: Runner, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen requests of images, of 32 MB each, would take half a gigabyte more."""
    allocated: list[int] = []
    outgoing = exchange.Exchange.outgoing

    def measured(self: exchange.Exchange) -> Iterator[bytes]:
        tracemalloc.start()
        try:
            pieces = outgoing(self)
            first = next(pieces)
            allocated.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        yield first
        yield from pieces

    monkeypatch.setattr(exchange.Exchange, "outgoing", measured)
    with voyage_to(server) as voyage:
        vectors_in_turn(runner, server, voyage, ["x" * 5_000_000])
    [size] = allocated
    assert size < 4 * exchange.MAX_WRITE_BYTES
