"""What a contestant is given to do, and what is measured while it does it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.reading import Reading, memory_mb, peak_memory_mb
from benchmarks.texts import mark_of, stream, texts, vector_of

WARMING_UP = 50
SAMPLES = 100
WARM_MEMORY = 0.1
"""The part of a stream after which memory should have stopped growing."""


def documents(contestant: Contestant, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed so many texts at once, after one query that loads whatever is loaded late."""
    given = texts(count)
    _finished(contestant.query(given[0]), runner)
    before = memory_mb()
    start = Reading.now()
    rows = _finished(contestant.documents(given), runner)
    used = start.since()
    check(rows, given)
    return used | {"memory_mb": peak_memory_mb() - before}


def query(contestant: Contestant, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed one text so many times, one after the other."""
    text = texts(1)[0]
    ask = contestant.query
    if inspect.iscoroutinefunction(ask):
        seconds, row = runner.run(_atimed(ask, text, count))
    else:
        seconds, row = _timed(ask, text, count)
    check([row], [text])
    seconds.sort()
    return {
        "p50_ms": seconds[count // 2] * 1_000,
        "p10_ms": seconds[count // 10] * 1_000,
        "p90_ms": seconds[count * 9 // 10] * 1_000,
    }


def streamed(contestant: Contestant, count: int, runner: asyncio.Runner) -> dict[str, Any]:
    """Embed an iterable of so many texts, and watch the memory."""
    start = Reading.now()
    rows = contestant.stream(stream(count))
    watch = Watch(count)
    if isinstance(rows, AsyncIterable):
        runner.run(watch.aconsume(rows))
    else:
        watch.consume(rows)
    return start.since() | watch.outcome()


class Watch:
    """Consumes vectors, checks them, and reads the memory now and then."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._due = stream(count)
        self._seen = 0
        self._memory: list[float] = []

    def consume(self, rows: Iterable[Sequence[float]]) -> None:
        """Take all."""
        for row in rows:
            self._take(row)

    async def aconsume(self, rows: AsyncIterable[Sequence[float]]) -> None:
        """Async twin of `consume`."""
        async for row in rows:
            self._take(row)

    def outcome(self) -> dict[str, Any]:
        """How the memory went, in MB."""
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
    """Every text has its own vector.

    Raises:
        AssertionError: One has not.
    """
    if len(rows) != len(given):
        raise AssertionError(f"{len(rows)} vectors for {len(given)} texts")
    for position, (row, text) in enumerate(zip(rows, given, strict=True)):
        if row[0] != mark_of(vector_of(text)):
            raise AssertionError(f"vector {position} belongs to another text")


def _finished(result: Any, runner: asyncio.Runner) -> Any:
    return runner.run(result) if inspect.iscoroutine(result) else result


def _timed(ask: Callable[[str], Any], text: str, count: int) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(WARMING_UP + count):
        start = time.perf_counter()
        row = ask(text)
        seconds.append(time.perf_counter() - start)
    return seconds[WARMING_UP:], row


async def _atimed(
    ask: Callable[[str], Awaitable[Any]], text: str, count: int
) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(WARMING_UP + count):
        start = time.perf_counter()
        row = await ask(text)
        seconds.append(time.perf_counter() - start)
    return seconds[WARMING_UP:], row


TASKS = {"documents": documents, "query": query, "streamed": streamed}
