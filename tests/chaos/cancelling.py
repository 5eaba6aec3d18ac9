"""Cancel calls at every moment, and count what they leave behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import Random

import anyio

from chaos.process import Held, held, settled
from fakes import KEY, MODEL, RERANKER, HTTPService
from voyage_rag import Voyage

AT_ONCE = 20
LONGEST = 0.02
"""Seconds after which a call is cancelled at the latest; an answer takes up to half of it."""
TEXTS = [f"text {number}" for number in range(6)]


@dataclass(frozen=True)
class Leaks:
    """What cancelled calls left.

    Attributes:
        mode: Sync, asyncio or trio.
        calls: How many were begun.
        cancelled: How many of these did not end before.
        sockets: More than before, after closing.
        threads: More than before.
        tasks: More than before, of the loop.
        seconds: It took.
    """

    mode: str
    calls: int
    cancelled: int
    sockets: int
    threads: int
    tasks: int
    seconds: float

    @property
    def none(self) -> bool:
        """Whether nothing is left, and some calls were cancelled."""
        return self.sockets <= 0 and self.threads <= 0 and self.tasks <= 0 and self.cancelled > 0


def run(mode: str, calls: int, seed: int, service: HTTPService) -> Leaks:
    """Start `calls` calls, and cancel each of them at a random moment."""
    random = Random(seed)
    healthy = service.always

    def slowly(body: bytes) -> object:
        time.sleep(random.random() * LONGEST / 2)
        return healthy(body)

    service.always = slowly
    voyage = Voyage(KEY, base_url=service.url, concurrency=4)
    before, began = held(), time.monotonic()
    if mode == "sync":
        cancelled, tasks = _in_threads(voyage, calls, random), 0
        voyage.close()
    else:
        cancelled, tasks = anyio.run(partial(_in_tasks, voyage, calls, random), backend=mode)
    seconds = time.monotonic() - began
    service.close_idle()
    left = settled(before)
    return Leaks(mode, calls, cancelled, *_more(left, before), tasks, seconds)


def _more(left: Held, before: Held) -> tuple[int, int]:
    return left.sockets - before.sockets, left.threads - before.threads


def _in_threads(voyage: Voyage, calls: int, random: Random) -> int:
    """Cancel a sync call by leaving it: at the first vectors, or by an error in between."""
    cancelled = 0
    for _ in range(calls):
        vectors = voyage.embed_iter(TEXTS, MODEL, batch_size=1)
        taken = len(list(islice(vectors, random.randrange(len(TEXTS)))))
        vectors.close()
        cancelled += taken < len(TEXTS)
    return cancelled


async def _in_tasks(voyage: Voyage, calls: int, random: Random) -> tuple[int, int]:
    cancelled = 0

    async def one(seconds: float, call: Callable[[], object]) -> None:
        nonlocal cancelled
        with anyio.move_on_after(seconds) as scope:
            await call()  # type: ignore[misc]
        cancelled += scope.cancelled_caught

    async def consumed() -> None:
        async for _ in voyage.aembed_iter(TEXTS, MODEL, batch_size=1):
            pass

    kinds = (
        partial(voyage.aembed, TEXTS[:1], MODEL),
        partial(voyage.aembed, TEXTS, MODEL, batch_size=1),
        partial(voyage.arerank, "query", TEXTS, RERANKER),
        consumed,
    )
    before = _tasks()
    for start in range(0, calls, AT_ONCE):
        async with anyio.create_task_group() as group:
            for number in range(start, min(start + AT_ONCE, calls)):
                group.start_soon(one, random.random() * LONGEST, kinds[number % len(kinds)])
    for _ in range(100):  # a second
        if _tasks() <= before:
            break
        await anyio.sleep(0.01)
    await voyage.aclose()
    return cancelled, _tasks() - before


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        import trio

        return trio.lowlevel.current_statistics().tasks_living
