"""Ctrl-C ends a call at once, in whatever it was waiting, and leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import anyio
import pytest

from conftest import Runner
from fakes import (
    KEY,
    MODEL,
    FakeService,
    HTTPService,
    failed,
    served,
    vector_of,
    voyage_over,
)
from voyage_rag import Voyage
from voyage_rag.hosts.messages import Response

PROGRAM = """
import json, sys, threading, time
from functools import partial

import anyio

from fakes import KEY, MODEL
from voyage_rag import Voyage

url, backend, count = sys.argv[1:]
texts = [f"text {number}" for number in range(int(count))]
voyage = Voyage(KEY, base_url=url, concurrency=4)
try:
    if backend == "sync":
        voyage.embed(texts, MODEL, batch_size=1)
    else:
        anyio.run(partial(voyage.aembed, texts, MODEL, batch_size=1), backend=backend)
except KeyboardInterrupt:
    ended = time.time()
    for thread in threading.enumerate():
        if thread.name.startswith("voyage-rag"):
            thread.join(1)
    names = [thread.name for thread in threading.enumerate()]
    print(json.dumps({"ended": ended, "left": [n for n in names if n.startswith("voyage-rag")]}))
"""


def interrupted(_: bytes) -> Response:
    raise KeyboardInterrupt


def test_an_interruption_has_the_finished_results() -> None:
    """Like a failure: the vectors are paid for when a user stops the cell of a notebook."""
    voyage = voyage_over(FakeService(served, served, interrupted), concurrency=1)
    texts = [f"text {number}" for number in range(9)]
    with pytest.raises(KeyboardInterrupt) as caught:
        voyage.embed(texts, MODEL, batch_size=3)

    partial = caught.value.partial  # type: ignore[attr-defined]
    finished = {position: vector.tolist() for position, vector in partial.vectors.items()}
    assert finished == {position: vector_of(texts[position]) for position in range(6)}
    assert partial.missing == (6, 7, 8)


def test_an_error_that_refuses_attributes_is_raised_itself(runner: Runner) -> None:
    """Such as a frozen one of the `attrs` package, which a user's transport may raise."""

    class FrozenError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("__"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    def fail(_: bytes) -> Response:
        raise FrozenError

    with pytest.raises(FrozenError):
        runner.call(voyage_over(FakeService(fail)), "embed", ["a"], MODEL)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_call_has_the_finished_results(backend: str, http_service: HTTPService) -> None:
    """asyncio's `TimeoutError` has the cancellation as its cause."""
    http_service.script = [served, http_service.hang]
    found: list[Any] = []

    async def program() -> None:
        async with (
            Voyage(KEY, base_url=http_service.url, concurrency=1) as voyage,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(call, voyage)
            await anyio.to_thread.run_sync(http_service.wait_for, 2)
            tasks.cancel_scope.cancel()

    async def call(voyage: Voyage) -> None:
        try:
            await voyage.aembed(["a", "b"], MODEL, batch_size=1)
        except anyio.get_cancelled_exc_class() as cancelled:
            found.append(cancelled.partial)  # type: ignore[attr-defined]
            raise

    anyio.run(program, backend=backend)
    assert list(found[0].vectors) == [0]


@pytest.mark.parametrize("waits_for", ["an answer", "its turn"])
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_ctrl_c_ends_a_call_within_a_second(
    backend: str, count: int, waits_for: str, http_service: HTTPService
) -> None:
    """One request or many, in flight or between attempts: KeyboardInterrupt, and no thread left."""
    if waits_for == "an answer":
        http_service.always = http_service.hang
    else:
        http_service.always = lambda body: failed(503, retry_after="60")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, http_service.url, backend, str(count)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            http_service.wait_for(min(count, 4))
            time.sleep(0.05)
            interrupted = time.time()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    reported = json.loads(out)

    assert (process.returncode, err) == (0, b"")
    assert reported["ended"] - interrupted < 1
    assert reported["left"] == []
    assert len(http_service.received) == min(count, 4)
