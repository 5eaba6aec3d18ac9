"""The tasks of the clients and their measurements."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.clients import BenchmarkClient
from benchmarks.resources import ResourceUsage, memory_mb, peak_memory_mb
from benchmarks.texts import mark_of, stream, texts, vector_of

WARMING_UP = 50
SAMPLES = 100
WARM_MEMORY = 0.1
"""Part of a stream after which memory must not grow."""


def documents(client: BenchmarkClient, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed texts in one call, after a query that loads what is loaded lazily."""
    given = texts(count)
    _finished(client.query(given[0]), runner)
    before = memory_mb()
    start = ResourceUsage.now()
    rows = _finished(client.documents(given), runner)
    used = start.since()
    check(rows, given)
    return used | {"memory_mb": peak_memory_mb() - before}


def query(client: BenchmarkClient, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed one text repeatedly."""
    text = texts(1)[0]
    embed = client.query
    if inspect.iscoroutinefunction(embed):
        seconds, row = runner.run(_atimed(embed, text, count))
    else:
        seconds, row = _timed(embed, text, count)
    check([row], [text])
    seconds.sort()
    return {
        "p50_ms": seconds[count // 2] * 1_000,
        "p10_ms": seconds[count // 10] * 1_000,
        "p90_ms": seconds[count * 9 // 10] * 1_000,
    }


def streamed(client: BenchmarkClient, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed an iterable of texts and sample the memory."""
    start = ResourceUsage.now()
    rows = client.stream(stream(count))
    samples = MemorySamples(count)
    if isinstance(rows, AsyncIterable):
        runner.run(samples.aconsume(rows))
    else:
        samples.consume(rows)
    return start.since() | samples.outcome()


class MemorySamples:
    """Consumes and checks vectors, and samples the memory."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._due = stream(count)
        self._seen = 0
        self._memory: list[float] = []

    def consume(self, rows: Iterable[Sequence[float]]) -> None:
        """Consume all vectors."""
        for row in rows:
            self._take(row)

    async def aconsume(self, rows: AsyncIterable[Sequence[float]]) -> None:
        """Async variant of `consume`."""
        async for row in rows:
            self._take(row)

    def outcome(self) -> dict[str, Any]:
        """Return the peak, the growth and the samples of the memory, in MB."""
        if self._seen != self._count:
            raise AssertionError(f"{self._seen} vectors for {self._count} texts")
        warm = self._memory[int(len(self._memory) * WARM_MEMORY) :]
        fifth = len(warm) // 5
        growth = median(warm[-fifth:]) - median(warm[:fifth])
        return {"memory_mb": max(warm), "growth_mb": growth, "samples_mb": self._memory}

    def _take(self, row: Sequence[float]) -> None:
        if row[0] != mark_of(vector_of(next(self._due))):
            raise AssertionError(f"vector {self._seen} belongs to another text")
        self._seen += 1
        if self._seen % (self._count // SAMPLES) == 0:
            self._memory.append(memory_mb())


def check(rows: Sequence[Sequence[float]], given: Sequence[str]) -> None:
    """Check that every text has its own vector.

    Raises:
        AssertionError: A vector is missing or belongs to another text.
    """
    if len(rows) != len(given):
        raise AssertionError(f"{len(rows)} vectors for {len(given)} texts")
    for position, (row, text) in enumerate(zip(rows, given, strict=True)):
        if row[0] != mark_of(vector_of(text)):
            raise AssertionError(f"vector {position} belongs to another text")


def _finished(result: Any, runner: asyncio.Runner) -> Any:
    return runner.run(result) if inspect.iscoroutine(result) else result


def _timed(embed: Callable[[str], Any], text: str, count: int) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(WARMING_UP + count):
        start = time.perf_counter()
        row = embed(text)
        seconds.append(time.perf_counter() - start)
    return seconds[WARMING_UP:], row


async def _atimed(
    embed: Callable[[str], Awaitable[Any]], text: str, count: int
) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(WARMING_UP + count):
        start = time.perf_counter()
        row = await embed(text)
        seconds.append(time.perf_counter() - start)
    return seconds[WARMING_UP:], row


TASKS = {"documents": documents, "query": query, "streamed": streamed}
