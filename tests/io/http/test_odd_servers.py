"""Unusual servers: valid HTTP is accepted, anything else is a clear error, in time."""
# ruff: noqa: E501 - tables of responses

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fakes import KEY, MODEL, FakeClock, embedded, vector_of
from voyage_rag import APIConnectionError, InvalidRequestError, Timeout, Voyage
from wire import WireRequest, WireServer

if TYPE_CHECKING:
    from conftest import Runner

BODY = json.dumps(embedded([vector_of("a")])).encode()
LENGTH = b"content-length: %d\r\n" % len(BODY)


def chunks(body: bytes, size: int) -> bytes:
    """A chunked body with extensions and trailers."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\nx: y\r\n\r\n"


LEGAL = {
    "HTTP/1.0, until it closes": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, True),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY, True),
    "HTTP/1.1, until it closes": (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, True),
    "connection: close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + LENGTH + b"\r\n" + BODY, True),
    "tiny chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks(BODY, 1), False),
    "large chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + chunks(BODY, 9_999), False),
    "100, 102 and 103 before it": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
        False,
    ),
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY, False),
    "line feeds alone": (b"HTTP/1.1 200 OK\n" + LENGTH.replace(b"\r", b"") + b"\n" + BODY, False),
    "its length twice": (b"HTTP/1.1 200 OK\r\n" + LENGTH * 2 + b"\r\n" + BODY, False),
    "headers in Latin-1": (b"HTTP/1.1 200 OK\r\nx-a: caf\xe9\r\n" + LENGTH + b"\r\n" + BODY, False),
    "headers of 60 KB": (b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 60_000 + b"\r\n" + LENGTH + b"\r\n" + BODY, False),
}  # fmt: skip

ILLEGAL = {
    "headers of 300 KB": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 300_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n" + LENGTH + b"\r\n" + BODY,
    "another protocol switched to": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "a chunk that is too short": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n",
    "a status of letters": b"HTTP/1.1 OK 200\r\n" + LENGTH + b"\r\n" + BODY,
    "nothing": b"",
}  # fmt: skip


def ask(
    runner: Runner, url: str, times: int = 2, text: str = "a", **options: Any
) -> list[list[float]]:
    """Return the vectors of a text, requested several times."""
    voyage = Voyage(KEY, base_url=url, max_retries=0, clock=FakeClock(), **options)

    async def program() -> list[list[float]]:
        return [
            (await runner.ask(voyage, "embed", [text], MODEL)).embeddings[0] for _ in range(times)
        ]

    try:
        return runner.run(program)
    finally:
        voyage.close()


def saying(what: bytes, *, close: bool) -> Callable[[WireRequest], None]:
    def act(request: WireRequest) -> None:
        request.send(what)
        if close:
            request.socket.close()

    return act


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_legal_is_read(runner: Runner, name: str) -> None:
    """The connection is reused if that is allowed."""
    said, closes = LEGAL[name]
    with WireServer(saying(said, close=closes)) as server:
        assert ask(runner, server.url) == [vector_of("a")] * 2
        assert server.connections == (2 if closes else 1)


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_is_not_legal_is_an_error(runner: Runner, name: str) -> None:
    """One of ours, which does not quote the server at length."""
    with (
        WireServer(saying(ILLEGAL[name], close=True)) as server,
        pytest.raises(APIConnectionError) as caught,
    ):
        ask(runner, server.url, timeout=5)
    assert len(str(caught.value)) < 1_000
    assert not caught.value.never_sent


@pytest.mark.parametrize("own_client", [False, True])
def test_a_key_that_a_broken_server_repeats_is_not_shown(runner: Runner, own_client: bool) -> None:
    """Neither in the error nor in any object that it refers to."""

    def act(request: WireRequest) -> None:
        [line] = [line for line in request.head.split(b"\r\n") if KEY.encode() in line]
        request.send(line + b"\r\n\r\n")

    with WireServer(act) as server:

        async def program() -> APIConnectionError:
            own: Any = (httpx.Client if runner.is_sync else httpx.AsyncClient)()
            name = "http_client" if runner.is_sync else "async_http_client"
            options = {name: own} if own_client else {}
            voyage = Voyage(KEY, base_url=server.url, max_retries=0, clock=FakeClock(), **options)
            with pytest.raises(APIConnectionError) as caught:
                await runner.ask(voyage, "embed", ["a"], MODEL)
            own.close() if runner.is_sync else await own.aclose()
            return caught.value

        error: BaseException | None = runner.run(program)
    while error is not None:
        assert KEY not in repr(error) + str(error) + repr(vars(error))
        assert vars(error).get("_request") is None  # of httpx, with its headers
        error = error.__cause__ or error.__context__


def test_a_refusal_that_comes_before_the_request_is_read(runner: Runner) -> None:
    """A proxy that limits bodies answers at once and closes: its answer is read all the same."""

    @contextmanager
    def refusing() -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        sock, _ = listener.accept()
                        with sock:
                            sock.recv(1_000)
                            sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
                            sock.shutdown(socket.SHUT_WR)
                            sock.settimeout(0.2)
                            with suppress(OSError):
                                while sock.recv(65_536):
                                    pass

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)

    with refusing() as url, pytest.raises(InvalidRequestError) as caught:
        ask(runner, url, times=1, text="x" * 2_000_000)
    assert caught.value.http_status == 413


def test_a_server_that_half_closes(runner: Runner) -> None:
    """It sends nothing more, so the next request uses another connection."""

    def act(request: WireRequest) -> None:
        request.send(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY)
        socket.socket.shutdown(request.socket, socket.SHUT_WR)

    with WireServer(act) as server:
        assert ask(runner, server.url, 3) == [vector_of("a")] * 3
        assert server.connections == 3


def test_a_reused_connection_that_ends_without_a_response(runner: Runner) -> None:
    """No byte of a response arrived, so the request is sent again on a new connection."""

    def act(request: WireRequest) -> None:
        if (request.connection, request.number) != (1, 2):
            request.send(request.response)
        else:
            socket.socket.shutdown(request.socket, socket.SHUT_WR)

    with WireServer(act) as server:
        assert ask(runner, server.url, 2) == [vector_of("a")] * 2
        assert server.connections == 2


def test_a_handshake_that_never_ends(runner: Runner) -> None:
    """A port that takes connections and says nothing: the timeout holds, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/v1"
        with pytest.raises(Timeout) as caught:
            ask(runner, url, times=1, timeout=0.3)
    assert caught.value.never_sent
    assert "no connection" in caught.value.message


def test_a_port_without_tls(runner: Runner) -> None:
    """OpenSSL's error is the cause."""
    with WireServer() as server, pytest.raises(APIConnectionError) as caught:
        ask(runner, server.url.replace("http://127.0.0.1", "https://localhost"), timeout=0.5)
    assert isinstance(caught.value.__cause__, (ssl.SSLError, OSError))
    assert caught.value.never_sent


def _has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_a_host_of_ipv6(runner: Runner) -> None:
    """By its address, and by a name that has addresses of both kinds."""

    def act(request: WireRequest) -> None:
        request.send(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY)

    with WireServer(act, host="::1") as server:
        assert ask(runner, f"http://[::1]:{server.port}/v1") == [vector_of("a")] * 2
        assert f"host: [::1]:{server.port}".encode() in server.requests[0].head


def test_addresses_are_tried_in_turn(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refuses, the second does not respond, and the third is connected within a moment."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        refusing = unused.getsockname()
    with WireServer() as server, socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        full = [socket.socket() for _ in range(4)]
        for sock in full:
            sock.setblocking(False)
            sock.connect_ex(deaf.getsockname())
        addresses = [refusing, deaf.getsockname(), ("127.0.0.1", server.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        url = server.url.replace("127.0.0.1", "several.example")
        assert ask(runner, url, allow_insecure_http=True) == [vector_of("a")] * 2
        for sock in full:
            sock.close()


def test_a_name_that_nobody_knows(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so only a few attempts are made."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(APIConnectionError, match="not known") as caught:
        ask(runner, "https://nobody.example/v1")
    assert caught.value.never_sent
