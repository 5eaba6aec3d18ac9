"""Uploads from disk and downloads to disk, in constant memory."""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import KEY, HTTPService, drop, failed
from voyage_rag import APIConnectionError, Timeout
from voyage_rag.core.flow import Attempt
from voyage_rag.hosts.messages import Request, Response, Upload
from voyage_rag.io.call_state import ThreadCallState
from voyage_rag.io.http.transport import Transport
from voyage_rag.settings import Settings

if TYPE_CHECKING:
    from conftest import Runner

MIB = 2**20
SIZE = 40 * MIB


def exchange(runner: Runner, url: str, request: Request, timeout: float = 10.0) -> Response:
    """Return the response of a separate transport."""
    transport = Transport(Settings.resolve(KEY, base_url=url).host)
    attempt = Attempt(request, timeout, limits_silence=request.is_transfer)

    async def program() -> Response:
        if runner.is_sync:
            try:
                return transport.send(attempt, ThreadCallState())
            finally:
                transport.close()
        return await transport.asend(attempt)

    return runner.run(program)


def uploading(path: Path) -> Request:
    upload = Upload(str(path), "mine.jsonl", {"purpose": "batch"})
    return Request("/files", b"", "", 0, upload=upload)


def saving(path: Path) -> Request:
    return Request("/files/f/content", b"", "", 0, method="GET", save_to=str(path))


def test_a_file_is_sent_as_a_form(runner, http_service: HTTPService, tmp_path: Path) -> None:
    """With its name, its other fields, its length, and the key."""
    (tmp_path / "input").write_bytes(b'{"a": 1}\n')
    http_service.always = lambda body: Response(200, {}, b"{}")
    assert exchange(runner, http_service.url, uploading(tmp_path / "input")).status == 200
    (received,) = http_service.received
    assert received.path == "/v1/files"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert received.headers["content-length"] == str(len(received.body))
    assert b'name="purpose"\r\n\r\nbatch\r\n' in received.body
    assert b'name="file"; filename="mine.jsonl"' in received.body
    assert b'\r\n\r\n{"a": 1}\n\r\n' in received.body


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_written_to_a_file(
    runner, http_service: HTTPService, tmp_path: Path, packed: bool
) -> None:
    """It is decompressed if necessary; nothing of it stays in memory."""
    content = b"a line\n" * 200_000
    headers = {"content-encoding": "gzip"} if packed else {}
    body = gzip.compress(content) if packed else content
    http_service.always = lambda _: Response(200, headers, body)
    answer = exchange(runner, http_service.url, saving(tmp_path / "output"))
    assert (answer.status, answer.body) == (200, b"")
    assert (tmp_path / "output").read_bytes() == content
    assert http_service.received[0].method == "GET"


def test_an_error_is_not_written(runner, http_service: HTTPService, tmp_path: Path) -> None:
    """It is a response like any other."""
    http_service.always = lambda body: failed(404, "no such file")
    answer = exchange(runner, http_service.url, saving(tmp_path / "output"))
    assert (answer.status, json.loads(answer.body)) == (404, {"detail": "no such file"})
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    "headers", [{"content-encoding": "br"}, {"content-encoding": "gzip"}], ids=["br", "gzip"]
)
def test_an_answer_that_cannot_be_unpacked_is_none(
    runner, http_service: HTTPService, tmp_path: Path, headers: dict[str, str]
) -> None:
    """Compressed in another way than requested, broken, or cut off."""
    for body in (b"no gzip at all", gzip.compress(b"x" * 1_000)[:-9]):
        http_service.always = lambda _, body=body: Response(200, headers, body)
        with pytest.raises(APIConnectionError):
            exchange(runner, http_service.url, saving(tmp_path / "output"))


def test_a_request_that_never_left_is_known_as_such(runner, http_service: HTTPService) -> None:
    """Connection refused: not sent. Dropped or timed out: unknown."""
    request = Request("/batches", b"{}", "", 0)
    http_service.always = drop
    with pytest.raises(APIConnectionError) as lost:
        exchange(runner, http_service.url, request)
    http_service.always = http_service.hang
    with pytest.raises(Timeout) as late:
        exchange(runner, http_service.url, request, timeout=0.5)
    with pytest.raises(APIConnectionError) as refused:
        exchange(runner, "http://127.0.0.1:9/v1", request)
    outcomes = [caught.value.never_sent for caught in (lost, late, refused)]
    assert outcomes == [False, False, True]


class BigFiles(socketserver.ThreadingTCPServer):
    """Discards uploads, and sends as many bytes as the path requests."""

    daemon_threads = True
    allow_reuse_address = True


class _Moving(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked, length = self.rfile.readline().split()[1], 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        left = length
        while left:
            left -= len(self.rfile.read(min(left, 65_536)))
        size = SIZE if asked.endswith(b"content") else 0
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nx-got: %d\r\ncontent-length: %d\r\n\r\n" % (length, size)
        )
        for _ in range(size // MIB):
            self.wfile.write(bytes(MIB))


@pytest.fixture
def big_files() -> Iterator[str]:
    with BigFiles(("127.0.0.1", 0), _Moving) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def peak_of(work: Any) -> int:
    """Return the peak of Python's memory, above the initial value."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(runner, big_files: str, tmp_path: Path) -> None:
    """Forty megabytes are sent and received in less than four."""
    sparse = tmp_path / "input"
    with sparse.open("wb") as file:
        file.truncate(SIZE)
    answers: list[Response] = []
    out = peak_of(lambda: answers.append(exchange(runner, big_files, uploading(sparse))))
    assert int(answers[0].headers["x-got"]) > SIZE
    saved = tmp_path / "output"
    in_ = peak_of(lambda: exchange(runner, big_files, saving(saved)))
    assert saved.stat().st_size == SIZE
    assert max(out, in_) < 4 * MIB
