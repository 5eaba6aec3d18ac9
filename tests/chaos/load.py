"""Many callers that share one `Voyage`: no errors, correct responses, and no growth."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import anyio

from chaos.process import held, memory, settled
from fakes import KEY
from voyage_rag import Voyage

CALLERS = 200
TEXTS = [f"passage {number} about {number * number}" for number in range(64)]
MODEL, RERANKER, DIMENSION = "voyage-4", "rerank-3", 256
MEBIBYTE = 2**20
SAMPLES = 24
OTHER_SOCKETS = 10
"""What event loops and the standard library hold."""

SERVE = "from voyage_rag.emulator import serve; serve(port=0)"


@dataclass
class Load:
    """The outcome of a run under load.

    Attributes:
        mode: Sync, asyncio or trio.
        callers: At once.
        calls: Answered rightly.
        errors: Wrong answers and exceptions, described.
        memory: MiB in use, sampled.
        sockets: More than before, at these times.
        left_sockets: More than before, after closing.
        left_threads: More than before, after closing.
        seconds: It took.
    """

    mode: str
    callers: int
    calls: int = 0
    errors: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    sockets: list[int] = field(default_factory=list)
    left_sockets: int = 0
    left_threads: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether there are no errors, no growth and no leaks."""
        small = self.grown < max(2.0, 0.03 * self.memory[0])
        few = max(self.sockets) <= self.callers + OTHER_SOCKETS
        left = self.left_sockets <= 0 and self.left_threads <= 0
        return bool(self.calls) and not self.errors and small and few and left

    def sample(self, sockets_before: int) -> None:
        """Record the memory and the additional sockets of the process."""
        self.memory.append(round(memory() / MEBIBYTE, 1))
        self.sockets.append(held(collecting=False).sockets - sockets_before)

    @property
    def grown(self) -> float:
        """MiB from the mean of the third quarter of samples to that of the last.

        A `RateLimiter` remembers a minute of requests, so memory settles only after one.
        """
        quarter = max(1, len(self.memory) // 4)
        early, late = self.memory[-2 * quarter : -quarter], self.memory[-quarter:]
        return sum(late) / len(late) - sum(early) / len(early)


@contextmanager
def emulator_apart() -> Iterator[str]:
    """Run an emulator in a separate process, so that its memory is not counted."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def run(mode: str, seconds: float, url: str, callers: int = CALLERS) -> Load:
    """Run callers for some seconds, each with its own choice of texts."""
    before = held()
    load = Load(mode, callers)
    voyage = Voyage(KEY, base_url=url, max_retries=2)
    vectors = voyage.embed(TEXTS, MODEL, output_dimension=DIMENSION).embeddings
    expected = dict(zip(TEXTS, vectors, strict=True))
    began = time.monotonic()
    go = _in_threads if mode == "sync" else partial(_in_tasks, mode)
    sample = partial(load.sample, before.sockets)
    go(voyage, load, expected, began + seconds, sample)
    load.seconds = time.monotonic() - began
    voyage.close()
    left = settled(before)
    load.left_sockets = left.sockets - before.sockets
    load.left_threads = left.threads - before.threads
    return load


def _in_threads(
    voyage: Voyage, load: Load, expected: dict[str, Any], end: float, sample: Callable[[], None]
) -> None:
    lock = threading.Lock()

    def caller(seed: int) -> None:
        calls, errors, random = 0, [], Random(seed)
        while time.monotonic() < end:
            texts, ranks = random.sample(TEXTS, random.randint(1, 8)), random.random() < 0.2
            try:
                if ranks:
                    found: Any = voyage.rerank(texts[0], texts, RERANKER)
                else:
                    found = voyage.embed(texts, MODEL, output_dimension=DIMENSION)
            except Exception as error:  # noqa: BLE001 - counted in the report
                errors.append(repr(error))
                continue
            calls += _noted(found, texts, expected, errors)
        with lock:
            load.calls += calls
            load.errors += errors

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(load.callers)]
    for thread in threads:
        thread.start()
    step = (end - time.monotonic()) / SAMPLES
    for _ in range(SAMPLES):
        time.sleep(max(0.0, min(step, end - time.monotonic())))
        sample()
    for thread in threads:
        thread.join()


def _in_tasks(
    backend: str,
    voyage: Voyage,
    load: Load,
    expected: dict[str, Any],
    end: float,
    sample: Callable[[], None],
) -> None:
    async def caller(seed: int) -> None:
        random = Random(seed)
        while time.monotonic() < end:
            texts, ranks = random.sample(TEXTS, random.randint(1, 8)), random.random() < 0.2
            try:
                if ranks:
                    found: Any = await voyage.arerank(texts[0], texts, RERANKER)
                else:
                    found = await voyage.aembed(texts, MODEL, output_dimension=DIMENSION)
            except Exception as error:  # noqa: BLE001 - counted in the report
                load.errors.append(repr(error))
                continue
            load.calls += _noted(found, texts, expected, load.errors)

    async def program() -> None:
        async with anyio.create_task_group() as group:
            for number in range(load.callers):
                group.start_soon(caller, number)
            step = (end - time.monotonic()) / SAMPLES
            for _ in range(SAMPLES):
                await anyio.sleep(max(0.0, min(step, end - time.monotonic())))
                sample()

    anyio.run(program, backend=backend)


def _noted(found: Any, texts: list[str], expected: dict[str, Any], errors: list[str]) -> bool:
    """Whether a result is correct; otherwise, add an error."""
    if hasattr(found, "results"):
        right = {result.document for result in found.results} == set(texts)
    else:
        right = found.embeddings == [expected[text] for text in texts]
    if not right:
        errors.append(f"another's answer for {texts}")
    return right
