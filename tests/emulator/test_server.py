"""The emulator as a server in a thread."""

import json
import logging
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import pytest

from voyage_rag.emulator import Emulator, EmulatorOptions, faults

BODY = {"input": "hello", "model": "voyage-4"}
HEADERS = {"authorization": "Bearer pa-secret"}


def post(url: str, body: object = BODY, **options: Any) -> httpx.Response:
    return httpx.post(f"{url}/embeddings", json=body, headers=HEADERS, trust_env=False, **options)


def test_it_answers_until_it_is_stopped() -> None:
    """On a base URL ending in /v1; the port is free again afterwards."""
    with Emulator() as url:
        assert url.endswith("/v1")
        assert post(url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        post(url)


def test_several_run_at_once() -> None:
    """Each on its own port, with its own options."""
    with Emulator() as one, Emulator(faults=[faults.status(500)]) as two:
        assert one != two
        assert (post(one).status_code, post(two).status_code) == (200, 500)


def test_many_requests_at_once_are_answered() -> None:
    """A hundred over twenty threads."""
    with Emulator() as url, httpx.Client(trust_env=False) as client, ThreadPoolExecutor(20) as pool:
        posts = pool.map(
            lambda _: client.post(f"{url}/embeddings", json=BODY, headers=HEADERS), range(100)
        )
        assert [answer.status_code for answer in posts] == [200] * 100


def test_latency_is_as_configured() -> None:
    """A fixed time, and a time per token."""
    emulator = Emulator(latency=0.01, seconds_per_token=0.01)
    with emulator as url:
        post(url)
    (request,) = emulator.requests
    assert request.answered_at is not None
    assert request.answered_at - request.at >= 0.019


def test_one_answer_does_not_wait_for_another() -> None:
    """While a long one waits for an hour, a short one is given; stopping ends the long one."""
    arrived = Event()
    emulator = Emulator(seconds_per_token=60, clock=lambda: float(arrived.set() is None))
    with ThreadPoolExecutor(1) as pool:
        url = emulator.start()
        waiting = pool.submit(post, url, {"input": "word " * 60, "model": "voyage-4"}, timeout=600)
        arrived.wait()
        free = {"input": "hello", "model": "voyage-4", "input_type": "query"}
        assert post(url, free).status_code == 200
        emulator.stop()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            waiting.result()


def test_requests_are_noted_without_keys() -> None:
    """Path, body, headers, status, tokens and times."""
    emulator = Emulator()
    with emulator as url:
        post(url)
        httpx.post(f"{url}/embeddings", content=b"{", trust_env=False)
    good, bad = emulator.requests
    assert (good.path, good.body, good.status, good.tokens) == ("/v1/embeddings", BODY, 200, 1)
    assert good.headers["authorization"] == "..."
    assert "pa-secret" not in repr(good)
    assert good.answered_at is not None
    assert good.at <= good.answered_at
    assert (bad.body, bad.status, bad.tokens) == (b"{", 400, None)
    assert "authorization" not in bad.headers


@pytest.mark.parametrize("fault", [faults.SILENT, faults.STALLED])
def test_it_stops_while_a_client_waits(fault: faults.Fault) -> None:
    """A response that never ends does not block the end."""
    arrived = Event()
    emulator = Emulator(faults=[fault], clock=lambda: float(arrived.set() is None))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, emulator.start(), timeout=600)
        arrived.wait()
        emulator.stop()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            waiting.result()


def test_starting_and_stopping_by_hand() -> None:
    """Stopping twice is fine; a stopped emulator has no URL; it can start again."""
    emulator = Emulator()
    emulator.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    assert emulator.start() == emulator.url
    with pytest.raises(RuntimeError, match="already running"):
        emulator.start()
    emulator.stop()
    emulator.stop()
    assert post(emulator.start()).status_code == 200
    emulator.stop()


def test_a_port_in_use_is_an_error_at_once() -> None:
    """Not an unnoticed thread that ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Emulator(port=taken.getsockname()[1]).start()


def test_unknown_options_are_refused() -> None:
    """By name, before anything starts."""
    with pytest.raises(TypeError, match="latncy"):
        Emulator(latncy=1)
    assert Emulator(latency=1).options == EmulatorOptions(latency=1)


def test_it_writes_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    with Emulator(faults=[faults.DROPPED, faults.CUT_OFF]) as url:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                post(url)
        post(url)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_serving_says_what_it_is() -> None:
    """It prints one line; Ctrl-C ends it quietly."""
    program = "from voyage_rag.emulator import serve; serve(port=0)"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline().decode()
        assert "not Voyage AI" in line
        assert post(line.split()[0]).status_code == 200
        process.send_signal(2)
        assert process.wait(10) == 0
        assert process.stdout.read() + process.stderr.read() == b""


def test_it_needs_no_client_and_loads_none() -> None:
    """The emulator imports neither httpx nor any other part of the package."""
    program = (
        "import json, sys; before = set(sys.modules); import voyage_rag.emulator;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = [sys.executable, "-c", f"import voyage_rag; {program}"]
    loaded = json.loads(subprocess.run(run, capture_output=True, check=True).stdout)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("voyage_rag.")}
    assert rooms <= {"emulator"}


def test_what_is_missing_is_named_with_its_cure() -> None:
    """If a library is missing, the import error has the command to install it."""
    program = "import sys; sys.modules['orjson'] = None; import voyage_rag.emulator"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "the emulator needs orjson: pip install 'voyage-rag[emulator]'" in run.stderr
