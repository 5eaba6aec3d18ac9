"""All outputs of the package, searched for the key and for the texts.

The key is nowhere. Texts are where the user asked for them: in results, and in a cassette or an
error only where the service said one back.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import pickle
import signal
import socket
import stat
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from langchain_core.load import dumps
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, SecretStr

import cassette
from fakes import MODEL, RERANKER, FakeClock, HTTPService, drop, failed
from voyage_rag import AsyncClient, Client, ConfigurationError, Voyage, VoyageError
from voyage_rag.cli import main
from voyage_rag.emulator import Emulator, faults
from voyage_rag.hosts.messages import Response
from voyage_rag.langchain import (
    VoyageAIEmbeddings,
    VoyageAIMultimodalEmbeddings,
)
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding
from voyage_rag.observe.otel import OpenTelemetryObserver
from voyage_rag.secret import APIKey
from voyage_rag.settings import Settings
from wire import WireRequest, WireServer

KEY = "pa-Zq7-a-key-that-must-not-be-seen-WXYZ"
TEXT = "a document that nobody else may read"
HIDDEN_FORMS = [
    KEY,
    KEY[:-4],
    KEY[5:],
    KEY[::-1],
    b64encode(KEY.encode()).decode().rstrip("=")[:-2],
    KEY.encode().hex(),
    "".join(f"%{ord(c):02X}" for c in KEY),
    "".join(f"\\u{ord(c):04x}" for c in KEY),
    b64encode(f"Bearer {KEY}".encode()).decode().rstrip("=")[:-2],
]
"""The key as it is, in part, and in reversible encodings."""

CLASSES: dict[type, dict[str, Any]] = {
    VoyageAIEmbeddings: {"model": MODEL},
    VoyageAIMultimodalEmbeddings: {},
    LangChainRerank: {"model": RERANKER},
    VoyageEmbedding: {"model_name": MODEL},
    VoyageContextualEmbedding: {},
    LlamaIndexRerank: {"model": RERANKER},
}
"""Every class of both frameworks, and what it needs besides a key."""


def keys_in(*shown: object) -> list[str]:
    """The outputs that show the key, in any form."""
    texts = [bytes(each).decode("latin-1") if isinstance(each, bytes | bytearray) else str(each)
             for each in shown]  # fmt: skip
    return [text for text in texts if any(form in text for form in HIDDEN_FORMS)]


def texts_in(*shown: object) -> list[str]:
    """The outputs that show a document."""
    return [str(each) for each in shown if TEXT in str(each)]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All log messages at DEBUG, with tracebacks."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


CALLS: list[tuple[Any, ...]] = [
    ("embed", [TEXT], "voyage-4"),
    ("rerank", "query", [TEXT, "b"], "rerank-3"),
    ("contextualized_embed", [[TEXT]], "voyage-context-4"),
    ("multimodal_embed", [[TEXT]], "voyage-multimodal-3.5"),
]
"""One call of every method."""


# ── while it works, and while it does not ─────────────────────────────────────────────────────────


def test_no_log_event_span_or_progress_shows_the_key_or_a_text(
    runner, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of ours, asyncio's or others'; every method, with a retry for each."""
    exporter, reader, events = InMemorySpanExporter(), InMemoryMetricReader(), []
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    observers = [OpenTelemetryObserver(tracers, meters), events.append]
    with Emulator(faults=[faults.status(503), None] * len(CALLS)) as url:
        voyage = Voyage(KEY, base_url=url, clock=FakeClock(), observers=observers)
        for verb, *arguments in CALLS:
            shown = {} if verb == "rerank" else {"show_progress_bar": True}
            runner.call(voyage, verb, *arguments, **shown)
        runner.close()
    metrics = reader.get_metrics_data()
    meters.shutdown()
    tracers.shutdown()
    spans = [span.to_json() for span in exporter.get_finished_spans()]
    out = (log.getvalue(), *map(repr, events), *spans, metrics, *capsys.readouterr())

    assert "voyage_rag" in log.getvalue()
    assert len(events) > 20
    assert len(spans) >= len(CALLS)
    assert "%|" in out[-1]
    assert keys_in(*out) == []
    assert texts_in(*out) == []


TROUBLES: dict[str, Callable[[bytes], Response]] = {
    "401": lambda body: failed(401),
    "400": lambda body: failed(400, "it cannot be"),
    "503": lambda body: failed(503),
    "redirect": lambda body: Response(307, {"location": "http://elsewhere.invalid/"}, b""),
    "dropped": drop,
    "no JSON": lambda body: Response(200, {}, b"nothing"),
    "bad header": lambda body: Response(200, {"content-encoding": "gzip"}, b"nothing"),
    "said back": lambda body: failed(400, f"the key {KEY} is not known"),
    "said back escaped": lambda body: Response(
        400, {}, b'{"detail": "%b"}' % "".join(f"\\u{ord(c):04x}" for c in KEY).encode()
    ),
    "said back in percent": lambda body: failed(400, "".join(f"%{ord(c):02X}" for c in KEY)),
    "said back quoted": lambda body: failed(400, quote(f"Bearer {KEY}", safe="")),
    "said back in base64": lambda body: failed(400, b64encode(f"Bearer {KEY}".encode()).decode()),
    "said back in text": lambda body: Response(502, {}, f"header: Bearer {KEY}".encode()),
    "said back in an id": lambda body: failed(400, "no", x_request_id=KEY),
    "said back in a redirect": lambda body: Response(
        307, {"location": f"http://{KEY}.invalid/{KEY}"}, b""
    ),
}


def told_of(error: BaseException) -> list[str]:
    """All that tools show of an error: message, notes, attributes, traceback with its locals."""
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [
        str(error),
        repr(error),
        repr(vars(error)),
        *traceback.format_exception(error),
        *with_locals.format(),
        pickle.dumps(error).decode("latin-1"),
    ]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_error_shows_the_key(
    runner, trouble: str, http_service: HTTPService, log: io.StringIO
) -> None:
    """Whatever its cause; nor does the log. Its message shows no text."""
    http_service.always = TROUBLES[trouble]
    voyage = Voyage(KEY, base_url=http_service.url, clock=FakeClock(), max_retries=1)
    with pytest.raises(VoyageError) as caught:
        runner.call(voyage, "embed", [TEXT], MODEL)

    assert keys_in(*told_of(caught.value), *all_of(caught.value), log.getvalue()) == []
    assert texts_in(caught.value, repr(caught.value), log.getvalue()) == []


def test_no_error_of_a_connection_shows_the_key(runner) -> None:
    """Refused, or lost while the request is on its way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    voyage = Voyage(KEY, base_url=url, max_retries=0)
    with pytest.raises(VoyageError) as caught:
        runner.call(voyage, "embed", [TEXT], MODEL)
    assert keys_in(*told_of(caught.value), *all_of(caught.value)) == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no such signal")
def test_an_exception_of_a_signal_handler_shows_no_key() -> None:
    """Ctrl-C, or a time limit such as Celery's, while the response is awaited."""

    def interrupt(request: WireRequest) -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        request.socket.recv(1)

    with WireServer(interrupt) as server, pytest.raises(KeyboardInterrupt) as caught:
        Voyage(KEY, base_url=server.url).embed([TEXT], MODEL)
    assert keys_in(*told_of(caught.value)) == []


def all_of(error: BaseException, seen: set[int] | None = None) -> Iterator[str]:
    """Everything that can be reached from an error: attributes, causes, notes, others' frames.

    Attributes are followed into objects such as a request and its headers; frames of the tests
    themselves are left out, since they hold the key.
    """
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if not frame.f_code.co_filename.startswith(str(Path(__file__).parent)):
            yield from (f"{frame.f_code.co_qualname} {n}={v!r}" for n, v in frame.f_locals.items())
    yield from inside(error, 5)
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from all_of(other, seen)


def inside(value: object, depth: int) -> Iterator[str]:
    """What an object shows, and what its attributes and items do."""
    if isinstance(value, str | bytes | bytearray):
        yield value if isinstance(value, str) else bytes(value).decode("latin-1")
    elif isinstance(value, APIKey) or depth == 0:
        yield repr(value)
    elif isinstance(value, dict):
        for item in value.items():
            yield from inside(item, depth - 1)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from inside(item, depth - 1)
    else:
        yield repr(value)
        yield from inside(getattr(value, "args", ()), depth - 1)
        for name, held in getattr(value, "__dict__", {}).items():
            if not name.startswith("__"):
                yield from inside(held, depth - 1)


WRONG: dict[str, dict[str, Any]] = {
    "an unknown parameter": {"nonsense": 3},
    "another's parameter": {"dimensions": 3},
    "a setting": {"timeout": -1},
    "an address": {"base_url": "ftp://x"},
    "a type": {"max_retries": object()},
    "a key that is none": {},
}
CONSTRUCTORS = [*CLASSES, Voyage, Client, AsyncClient, VoyageContextualEmbedding]


@pytest.mark.parametrize(
    "kind", CONSTRUCTORS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("way", ["positional", "api_key", "SecretStr", "environment"])
def test_no_constructor_that_fails_shows_the_key(
    kind: type, wrong: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in its error nor in the local variables of a frame, which debugging tools show."""
    key = f"{KEY} {KEY}" if "key" in wrong else KEY
    options = {**CLASSES.get(kind, {}), **WRONG[wrong]}
    positional: list[Any] = []
    if way == "environment":
        monkeypatch.setenv("VOYAGE_API_KEY", key)
    elif way == "positional" and kind in (Voyage, Client, AsyncClient):
        positional = [key]
    elif way == "positional" and kind in (VoyageEmbedding, VoyageContextualEmbedding):
        positional = [options.pop("model_name", "voyage-context-4"), key]
    else:
        options["api_key"] = SecretStr(key) if way == "SecretStr" else key
    with pytest.raises((ValueError, TypeError)) as caught:
        kind(*positional, **options)
    assert keys_in(str(caught.value), *all_of(caught.value)) == []


def test_an_object_that_is_half_made_can_be_shown() -> None:
    """By what shows the frames of a constructor that fails."""
    for kind in (Voyage, AsyncClient, *CLASSES):
        assert repr(kind.__new__(kind))


@pytest.mark.parametrize(
    "response",
    [
        "HTTP/1.1 200 OK\r\nBearer {key}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: {key}\0\r\n\r\n",
        "HTTP/1.1 {key}\r\n\r\n",
        "{key}\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: {key}\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{key}\r\n",
    ],
)
def test_a_malformed_response_that_repeats_the_key_is_not_quoted(runner, response: str) -> None:
    """Parsers put the line that they cannot read into their error."""

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(response.format(key=KEY).encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        voyage = Voyage(KEY, base_url=url, max_retries=0, clock=FakeClock())
        with pytest.raises(VoyageError) as caught:
            runner.call(voyage, "embed", [TEXT], MODEL)
        server.shutdown(socket.SHUT_RDWR)
    assert keys_in(str(caught.value), *told_of(caught.value), *all_of(caught.value)) == []


# ── objects ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@pytest.mark.parametrize("given", ["argument", "environment", "client"])
def test_no_form_of_an_object_shows_the_key(
    kind: type, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, dictionary, JSON, schema, pickle and copy of every class of both frameworks."""
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    how = {
        "argument": {"voyage_api_key": KEY},
        "environment": {},
        "client": {"client": Voyage(KEY)},
    }[given]
    made = kind(**CLASSES[kind], **how)
    forms: list[object] = [
        repr(made),
        str(made),
        f"{made}",
        made.model_dump(),
        made.model_dump_json(),
        made.model_json_schema(),
        made.__dict__,
        vars(made.voyage),
        made.voyage.settings.model_dump_json(),
        copy.copy(made),
        copy.deepcopy(made),
        *(pickle.dumps(made, protocol) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
    ]
    serialisers = [name for name in ("to_dict", "to_json") if hasattr(made, name)]
    forms += [getattr(made, name)() for name in serialisers]
    with contextlib.suppress(NotImplementedError):
        forms.append(dumps(made))

    assert keys_in(*forms) == []
    assert made.voyage.settings.api_key.get_secret_value() == KEY


def test_a_model_of_yours_may_hold_a_key() -> None:
    """Its dumps and its schema show that there is a key, but not the key."""

    class Mine(BaseModel):
        key: APIKey

    mine = Mine(key=KEY)  # type: ignore[arg-type]
    schema = Mine.model_json_schema()

    assert schema["properties"]["key"]["format"] == "password"
    assert keys_in(repr(mine), mine.model_dump(), mine.model_dump_json(), schema) == []
    assert keys_in(Settings.model_json_schema()) == []


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_cache_is_private_and_holds_neither_key_nor_texts(
    umask: int, http_service: HTTPService, tmp_path: Path
) -> None:
    """The file and SQLite's side files, whatever the umask."""
    before = os.umask(umask)
    try:
        voyage = Voyage(KEY, base_url=http_service.url, cache=tmp_path / "vectors.db")
        voyage.embed([TEXT], MODEL)
        files = {path.name: path for path in tmp_path.iterdir()}
        assert "vectors.db-wal" in files
        modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in files.items()}
        held = [path.read_bytes() for path in files.values()]
        voyage.close()
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}, modes
    assert keys_in(*held, (tmp_path / "vectors.db").read_bytes()) == []
    assert not [text for text in held if TEXT.encode() in text]


def test_a_cassette_shows_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording with the key does not contain it."""
    monkeypatch.setattr(cassette, "CASSETTES", tmp_path)
    where = cassette.Provenance("emulator", "a test")
    with Emulator() as url, cassette.recorded("one", "a text", where, [KEY]):
        Voyage(KEY, base_url=url).embed([TEXT], "voyage-4")

    assert TEXT in (tmp_path / "one.yaml").read_text()
    assert keys_in((tmp_path / "one.yaml").read_text()) == []


def test_an_emulator_remembers_no_key() -> None:
    """Nor does its output."""
    emulator = Emulator()
    with emulator as url, httpx.Client() as client:
        answer = client.post(
            f"{url}/embeddings",
            json={"input": [TEXT], "model": "voyage-4"},
            headers={"authorization": f"Bearer {KEY}"},
        )
    assert answer.status_code == 200
    assert keys_in(*emulator.requests, answer.text, answer.headers) == []


# ── the command line ──────────────────────────────────────────────────────────────────────────────

COMMANDS = [
    ["models"],
    ["doctor", "--call"],
    ["rerank", "a query", TEXT, "another"],
    ["tokens", "--model", "voyage-4", TEXT],
    ["rerank", "--model", "voyage-4", "a query", TEXT],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("works", [True, False])
def test_no_command_shows_the_key(
    command: list[str],
    works: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """But the last four characters, by which `doctor` identifies the key."""
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    with Emulator(keys=None if works else ["another"]) as url:
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        with contextlib.suppress(SystemExit):
            main(command)
    out = "".join(capsys.readouterr())

    assert out
    assert keys_in(out.replace("WXYZ", "")) == []


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize(
    "command",
    [
        ["embed", "rows.jsonl", "-o", "vectors.jsonl"],
        ["batch", "submit", "rows.jsonl", "--job", "rows.job", "--model", "voyage-4"],
    ],
    ids=["embed", "batch"],
)
def test_no_file_of_a_job_holds_the_key(
    command: list[str],
    works: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither vectors, nor what is beside them. Texts of an upload that may be resumed are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "1", "text": TEXT}) + "\n", "utf-8")
    emulator = Emulator(keys=None if works else ["another"])
    with emulator as url:
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        with contextlib.suppress(SystemExit):
            main(command)
    out = "".join(capsys.readouterr())
    written = {
        path.name: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "rows.jsonl"
    }

    assert emulator.requests
    assert bool(written) or not works
    assert keys_in(out, *written.values(), *written) == []
    if works:
        assert [name for name, held in written.items() if TEXT.encode() in held] == []


# ── to its own host only ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        "http://api.voyageai.com/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://localhost.evil.example/v1",
        "http://128.0.0.1:80/v1",
        "http://[::ffff:1.2.3.4]/v1",
        "http://0x7f.1/v1",
        f"https://{KEY}@api.voyageai.com/v1",
        f"https://user:{KEY}@api.voyageai.com/v1",
        f"https://api.voyageai.com/v1?key={KEY}",
        f"https://api.voyageai.com/v1#{KEY}",
        "https://api.voyageai.com@evil.example/v1",
        "ftp://api.voyageai.com/v1",
        "//api.voyageai.com/v1",
        "https:///v1",
        "https://api.voyageai.com:port/v1",
    ],
)
def test_an_address_that_gives_the_key_away_is_refused(address: str) -> None:
    """Before anything is sent, and without showing the key."""
    with pytest.raises(ConfigurationError) as caught:
        Voyage(KEY, base_url=address)
    assert keys_in(*traceback.format_exception(caught.value)) == []


def test_plain_http_has_to_be_allowed() -> None:
    """`allow_insecure_http`; loopback does not."""
    assert Voyage(KEY, base_url="http://10.0.0.1/v1", allow_insecure_http=True)
    for here in ("http://localhost:8080/v1", "http://127.0.0.1/v1", "http://[::1]:1/v1"):
        assert Voyage(KEY, base_url=here)


@pytest.mark.parametrize("accepts", [True, False])
def test_a_proxy_never_sees_the_key(
    runner, accepts: bool, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """The key is sent through an encrypted tunnel (CONNECT) or not at all."""
    seen: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            seen.append(connection.recv(65_536))
            answer = b"200 Connection established" if accepts else b"407 Who are you"
            connection.sendall(b"HTTP/1.1 %b\r\n\r\n" % answer)
            with contextlib.suppress(OSError):
                while data := connection.recv(65_536):
                    seen.append(data)
                    connection.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        proxy = f"http://proxy-user:proxy-word@127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        voyage = Voyage(KEY, base_url="https://api.voyageai.example/v1", max_retries=0, timeout=5)
        with pytest.raises(VoyageError) as caught:
            runner.call(voyage, "embed", [TEXT], MODEL)
        thread.join(5)

    assert seen[0].startswith(b"CONNECT api.voyageai.example:443 HTTP/1.1")
    assert (len(seen) > 1) is accepts  # a TLS greeting, if there is a tunnel
    assert keys_in(*seen, *told_of(caught.value), log.getvalue()) == []
    assert not [text for text in seen if TEXT.encode() in text]
    assert "proxy-word" not in str(caught.value)


def test_the_search_for_leaked_keys_finds_one() -> None:
    """In every form; otherwise the tests above would prove nothing."""
    shown = [f"Bearer {KEY}", KEY.encode(), {"key": KEY[:-4]}, KEY.encode().hex(), KEY[::-1]]
    assert len(keys_in(*shown, b64encode(f"{KEY}".encode()).decode())) == len(shown) + 1
    assert keys_in("nothing", b"nothing") == []
