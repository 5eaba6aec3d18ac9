"""Responses above the limit are rejected while they arrive, compressed or not."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import KEY, MODEL, FakeClock, HTTPService, served, vector_of
from voyage_rag import APIConnectionError, AuthenticationError, Voyage, VoyageError
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.wire.responses import embed_answer
from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.io.http.response import (
    GZIP_WINDOW_BITS,
    MAX_RESPONSE_BYTES,
    ResponseBody,
    UnreadableBodyError,
    max_response_bytes,
)

MIB = 2**20
ALLOWED = max_response_bytes(Request("/embeddings", b"", MODEL, 1, 1))
MEMORY = 3 * ALLOWED
"""What reading an answer may take besides the answer: its pieces, and the one that was too much."""


@contextmanager
def flooding(head: bytes, piece: bytes, times: int) -> Iterator[tuple[str, list[int]]]:
    """Run a server that repeats one piece without end, and yield how much it has sent."""
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    sent.append(0)
                    try:
                        connection.recv(65_536)
                        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
                        for _ in range(times):
                            connection.sendall(piece)
                            sent[-1] += len(piece)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", sent
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def refused(runner: Any, url: str, max_retries: int = 0) -> tuple[VoyageError, int]:
    """Return the error of a call and its peak memory."""
    voyage = Voyage(KEY, base_url=url, max_retries=max_retries, clock=FakeClock(), timeout=30)
    tracemalloc.start()
    try:
        with pytest.raises(VoyageError) as caught:
            runner.call(voyage, "embed", ["a"], MODEL)
        return caught.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CHUNK = b"10000\r\n" + b" " * 65_536 + b"\r\n"


def _bomb(mebibytes: int) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, GZIP_WINDOW_BITS)
    return b"".join(packing.compress(b" " * MIB) for _ in range(mebibytes)) + packing.flush()


BOMB = _bomb(32)


@pytest.mark.parametrize(
    ("head", "piece", "times"),
    [
        (b"transfer-encoding: chunked\r\n", CHUNK, 10_000),
        (b"content-length: 655360000\r\n", b" " * 65_536, 10_000),
        (b"", b" " * 65_536, 10_000),
        (b"content-encoding: gzip\r\ncontent-length: %d\r\n" % len(BOMB), BOMB, 1),
    ],
    ids=["chunked", "announced", "until it closes", "gzip bomb"],
)
def test_an_oversized_response_is_refused_while_it_arrives(
    runner, head: bytes, piece: bytes, times: int
) -> None:
    """One of our errors says so, in little memory, long before the end."""
    with flooding(head, piece, times) as (url, sent):
        error, memory = refused(runner, url)

    assert APIConnectionError is type(error)
    assert f"more than {ALLOWED // MIB} MiB" in error.message
    assert memory < MEMORY
    assert sum(sent) < 64 * MIB


def test_an_oversized_response_is_requested_again(runner, http_service: HTTPService) -> None:
    """The request is retried, as after any unusable response."""
    http_service.script = [Response(200, {}, b" " * (ALLOWED + 1))]
    voyage = Voyage(KEY, base_url=http_service.url, clock=FakeClock())

    assert [vector_of("a")] == runner.call(voyage, "embed", ["a"], MODEL).embeddings
    assert len(http_service.received) == 2


def test_compressed_responses_are_decompressed(runner, http_service: HTTPService) -> None:
    """gzip is requested and decompressed."""
    http_service.always = lambda body: Response(
        200, {"content-encoding": "gzip"}, gzip.compress(served(body).body)
    )
    voyage = Voyage(KEY, base_url=http_service.url)

    assert [vector_of("a")] == runner.call(voyage, "embed", ["a"], MODEL).embeddings
    assert http_service.received[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("br", b"anything"),
        ("deflate", zlib.compress(b"{}")),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
        ("gzip", gzip.compress(b"{}" * 500, mtime=0)[:-9]),
        ("gzip", b"nothing of the kind"),
    ],
)
def test_a_body_that_cannot_be_decompressed_is_refused(
    runner, http_service: HTTPService, encoding: str, packed: bytes
) -> None:
    """Unknown, nested, truncated or damaged compression."""
    http_service.always = lambda body: Response(200, {"content-encoding": encoding}, packed)
    voyage = Voyage(KEY, base_url=http_service.url, max_retries=0)

    with pytest.raises(APIConnectionError, match=r"compressed with|gzip"):
        runner.call(voyage, "embed", ["a"], MODEL)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_header_that_a_proxy_has_kept_does_not_matter(
    runner, http_service: HTTPService, encoding: str
) -> None:
    """The proxy has decompressed the body, or sends its own."""
    bodies = iter([b'{"detail": "Provided API key is invalid."}', b""])
    headers = {"content-encoding": encoding}
    http_service.always = lambda _: Response(401, headers, next(bodies))
    voyage = Voyage(KEY, base_url=http_service.url)
    for message in ("key is invalid", "no message"):
        with pytest.raises(AuthenticationError, match=message):
            runner.call(voyage, "embed", ["a"], MODEL)

    http_service.always = lambda body: Response(200, headers, served(body).body)
    assert [vector_of("a")] == runner.call(voyage, "embed", ["a"], MODEL).embeddings


@pytest.mark.parametrize("too_large", [False, True])
def test_a_hook_of_your_client_may_read_the_answer(
    runner, http_service: HTTPService, too_large: bool
) -> None:
    """As logging hooks do; the limit holds then, too."""
    if too_large:
        http_service.always = lambda body: Response(200, {}, b" " * (ALLOWED + 1))
    read: list[int] = []

    def hook(response: httpx.Response) -> None:
        read.append(len(response.read()))

    async def ahook(response: httpx.Response) -> None:
        read.append(len(await response.aread()))

    async def program() -> Any:
        own: Any = (
            httpx.Client(event_hooks={"response": [hook]})
            if runner.is_sync
            else httpx.AsyncClient(event_hooks={"response": [ahook]})
        )
        name = "http_client" if runner.is_sync else "async_http_client"
        voyage = Voyage(KEY, base_url=http_service.url, max_retries=0, **{name: own})
        try:
            return (await runner.ask(voyage, "embed", ["a"], MODEL)).embeddings
        except APIConnectionError as error:
            return error
        finally:
            own.close() if runner.is_sync else await own.aclose()

    outcome = runner.run(program)

    assert len(read) == 1
    if too_large:
        assert "MiB" in outcome.message
    else:
        assert [vector_of("a")] == outcome


@given(
    text=st.binary(max_size=5_000) | st.builds(bytes, st.integers(0, 50_000)),
    cuts=st.lists(st.integers(1, 400), max_size=20),
    packed=st.booleans(),
    most=st.integers(0, 60_000),
)
def test_a_body_is_whole_or_too_large(
    text: bytes, cuts: list[int], packed: bool, most: int
) -> None:
    """In any pieces, compressed or not: it is complete, or refused above the limit."""
    sent = gzip.compress(text) if packed else text
    headers = {"content-encoding": "gzip"} if packed else {}
    body = ResponseBody(headers, most)
    try:
        for cut in cuts:
            body.add(sent[:cut])
            sent = sent[cut:]
        body.add(sent)
        assert body.finish() == text
        assert len(text) <= most
    except UnreadableBodyError:
        assert len(text) > most


@pytest.mark.parametrize("vectors", [None, 0, 1, 1_000, 16_000])
def test_every_answer_to_a_request_fits(vectors: int | None) -> None:
    """The longest vectors, in base64, and up to a thousand of them as numbers."""
    request = Request("/embeddings", b"", MODEL, 1, vectors)
    count = 16_000 if vectors is None else vectors
    in_base64 = count * (2_048 * 4 * 4 // 3 + 100)
    written_out = min(count, 1_000) * len(json.dumps([-0.123456789012345678] * 2_048))

    allowed = max_response_bytes(request)
    assert max(in_base64, written_out) + 1_000 <= allowed <= MAX_RESPONSE_BYTES


@pytest.mark.parametrize(
    "piece", [b"[],", b'{"":{}},', b"[" * 900 + b"]" * 900 + b",", b"1e9,", b'"\xc3\xa9",']
)
def test_the_worst_answer_that_fits_takes_so_much_memory(piece: bytes) -> None:
    """The JSON that takes the most memory in Python: fifty times its size, as documented."""
    body = b"[" + piece * (MIB // len(piece)) + b"1]"
    options = EmbedOptions(MODEL, None, True, None, None, None)
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedAnswerError):
            embed_answer(body, 1, options)
        assert tracemalloc.get_traced_memory()[1] < 50 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"abc", b"def"]])
def test_a_body_that_goes_to_a_file_is_all_there_when_it_is_finished(
    tmp_path: Path, pieces: list[bytes]
) -> None:
    """Even if there is nothing; and the file is closed, which deletes and renames need."""
    body = ResponseBody({}, path=str(tmp_path / "body"))
    for piece in pieces:
        body.add(piece)
    assert body.finish() == b""
    assert (tmp_path / "body").read_bytes() == b"".join(pieces)
    body.close()
    body.close()
