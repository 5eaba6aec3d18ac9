"""Tasks that can outlive the call that starts them.

An async generator must not hold a task group across its `yield`s (see PEP 789), so its tasks are
ordinary tasks, which the generator ends itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - asyncio would import it in the event loop
import contextvars
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import anyio.to_thread

T = TypeVar("T")

STEP = 32
"""Number of items for which switching to a thread is worthwhile."""

_running: set[asyncio.Task[None]] = set()


class LoopSupport:
    """Imports the modules that anyio needs in an event loop, in a thread, before their first use.

    Otherwise anyio imports them itself, which blocks the loop for about 20 ms.

    Attributes:
        is_loaded: Whether the modules have been imported in this process.
    """

    def __init__(self) -> None:
        self.is_loaded: bool = False

    async def load(self) -> None:
        """Import the modules. If no thread can be started, anyio imports them itself."""
        with suppress(Exception):
            await self._run_a_loop_in_a_thread()
        self.is_loaded = True

    async def _run_a_loop_in_a_thread(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            import trio  # noqa: PLC0415 - optional dependency

            await trio.to_thread.run_sync(partial(anyio.run, anyio.sleep, 0, backend="trio"))
        else:
            options = {"loop_factory": asyncio.SelectorEventLoop}  # not the application's
            run = partial(anyio.run, anyio.sleep, 0, backend_options=options)
            await loop.run_in_executor(None, run)


LOOP_SUPPORT = LoopSupport()


def is_asyncio() -> bool:
    """Whether the caller is a task of asyncio, not of trio in guest mode."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no loop is running
        return False


async def in_thread(  # type: ignore[return] # no shield ends without a result
    do: Callable[..., T],
    *args: Any,
    limiter: anyio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> T:
    """Run a function in a thread and a copy of this context, as `anyio.to_thread.run_sync` does.

    The threads of anyio end in a callback of the main task. nest_asyncio, which replaces
    `asyncio.run`, does not call it, and the process would never exit, so the loop's own threads are
    used.
    """
    if asyncio.run is asyncio.runners.run or not is_asyncio():
        return await anyio.to_thread.run_sync(
            do, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel
        )
    run = contextvars.copy_context().run
    async with limiter or nullcontext():
        with anyio.CancelScope(shield=not abandon_on_cancel):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, partial(run, do, *args))


async def run_in_thread(do: Callable[[], T]) -> T:
    """Run a slow function in a thread, so that it does not block the event loop."""
    if not LOOP_SUPPORT.is_loaded:
        await LOOP_SUPPORT.load()
    return await in_thread(do)


async def iterate_in_thread(items: Iterator[T]) -> AsyncGenerator[T]:
    """Iterate in a thread over items that are slow to create, several at a time."""
    while some := await run_in_thread(lambda: list(islice(items, STEP))):
        for item in some:
            yield item


def start_thread(work: Callable[[], None], name: str) -> threading.Thread | None:
    """Start a thread in a copy of this context; None if none can be started.

    The system may have no more threads. At interpreter exit, none is started, because Python 3.11
    would wait for a thread that never runs.
    """
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(work,), name=name, daemon=True)
    if sys.is_finalizing():
        return None
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def spawn(work: Callable[[], Awaitable[None]], ended: Callable[[], None]) -> Callable[[], object]:
    """Start a task on asyncio or trio, in a copy of this context.

    Args:
        work: The coroutine function to run, which must not raise.
        ended: Called when the task has ended for any reason.

    Returns:
        A function that cancels the task.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _spawn_on_trio(work, ended)

    async def run() -> None:
        await work()

    task = loop.create_task(run())
    _running.add(task)  # the loop itself holds its tasks weakly

    def done(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        ended()

    task.add_done_callback(done)
    return task.cancel


def _spawn_on_trio(
    work: Callable[[], Awaitable[None]], ended: Callable[[], None]
) -> Callable[[], object]:
    import trio  # noqa: PLC0415 - optional dependency

    scope = trio.CancelScope()

    async def run() -> None:
        try:
            with scope:
                await work()
        finally:
            ended()

    trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    return scope.cancel
