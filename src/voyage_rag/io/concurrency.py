"""Run many flows concurrently, in threads or tasks, and yield their parts in order.

The sync and async variants behave in the same way. At most `concurrency` flows run. A flow is taken
from its iterator only when it can start, and at most `READ_AHEAD` times as many flows have parts
that are not consumed yet, so memory is bounded. If a flow fails, no more requests are sent, but
those in flight finish, because they are paid for. Then the parts before the failure are yielded,
and its error is raised unchanged. If the caller stops (Ctrl-C, cancellation, a `break`), requests
in flight end.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import anyio

from voyage_rag.core.flow import Flow
from voyage_rag.io.call_state import AsyncCallState, Stopped, ThreadCallState
from voyage_rag.io.tasks import spawn, start_thread

Part = TypeVar("Part")

READ_AHEAD = 4
SECONDS_TO_END = 1.0
"""Maximum time for requests in flight to end after the caller stops."""


def run_in_threads(
    flows: Iterator[Flow[Part]],
    drive: Callable[[Flow[Part], ThreadCallState], Part],
    concurrency: int,
) -> Iterator[Part]:
    """Run flows in threads.

    The threads are daemons, so the interpreter does not wait for abandoned requests when it exits.
    """
    results = OrderedResults(flows, concurrency * READ_AHEAD)
    state = ThreadCallState()
    # Without a subscript, for which Python 3.13 imports a module; this fails at interpreter exit.
    slots: WorkerSlots[Part] = WorkerSlots(concurrency)
    ended: SimpleQueue[Callable[[], None]] = SimpleQueue()
    threads: list[threading.Thread] = []
    unfinished = 0

    def work(indexed: IndexedFlow[Part] | None) -> None:
        """Run flows one after another: the next request is sent before other responses are read."""
        while indexed is not None:
            try:
                part = drive(indexed.flow, state)
                ended.put(partial(results.done, indexed.number, part))
            except BaseException as error:  # noqa: BLE001 - raised below, by the caller's thread
                state.stop()
                ended.put(partial(results.failed, error))
            indexed = slots.next()

    try:
        while True:
            while unfinished < 2 * concurrency and (indexed := results.next()):
                unfinished += 1
                if slots.has_room(indexed):
                    _start(threads, work, indexed)
            if not unfinished:
                break
            ended.get()()
            unfinished -= 1
            yield from results.ready()
    finally:
        if unfinished:
            state.end_all()
        deadline = time.monotonic() + SECONDS_TO_END
        for thread in () if sys.is_finalizing() else threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    results.end()


def _start(
    threads: list[threading.Thread],
    work: Callable[[IndexedFlow[Part] | None], None],
    indexed: IndexedFlow[Part],
) -> None:
    threads[:] = [thread for thread in threads if thread.is_alive()]
    thread = start_thread(partial(work, indexed), f"voyage-rag-{indexed.number}")
    if thread is None:
        work(indexed)
    else:
        threads.append(thread)


async def run_in_tasks(
    flows: Iterator[Flow[Part]],
    drive: Callable[[Flow[Part], AsyncCallState], Awaitable[Part]],
    planned: Callable[[Callable[[], Any]], Awaitable[Any]],
    concurrency: int,
) -> AsyncGenerator[Part]:
    """Run flows in tasks. `planned` creates the next flow, in a thread if that may block."""
    results = OrderedResults(flows, concurrency * READ_AHEAD)
    state = AsyncCallState()
    changed = anyio.Event()
    running: dict[int, Callable[[], object]] = {}
    waiting: deque[IndexedFlow[Part]] = deque()

    async def work(indexed: IndexedFlow[Part] | None) -> None:
        """Run flows one after another: the next request is sent before other responses are read."""
        while indexed is not None:
            try:
                results.done(indexed.number, await drive(indexed.flow, state))
            except Exception as error:  # noqa: BLE001 - raised below, by the caller's task
                results.failed(error)
                state.stop()
            changed.set()
            indexed = waiting.popleft() if waiting and not state.is_stopping else None

    def ended(number: int) -> None:
        del running[number]
        changed.set()

    def begin() -> None:
        while waiting and len(running) < concurrency and not state.is_stopping:
            indexed = waiting.popleft()
            running[indexed.number] = spawn(partial(work, indexed), partial(ended, indexed.number))

    try:
        while True:
            while len(waiting) < concurrency and (indexed := await planned(results.next)):
                waiting.append(indexed)
                begin()
            begin()  # a task may have ended while the next flow was planned
            has_yielded = False
            for part in results.ready():
                yield part
                has_yielded = True
            if has_yielded:
                continue  # more flows may start
            if not running:
                break
            await changed.wait()
            changed = anyio.Event()
    finally:
        for cancel in list(running.values()):
            cancel()
        with anyio.move_on_after(SECONDS_TO_END, shield=True):
            while running:
                await changed.wait()
                changed = anyio.Event()
    results.end()


@dataclass(frozen=True, slots=True)
class IndexedFlow(Generic[Part]):
    """A flow and its position among the flows of its call."""

    number: int
    flow: Flow[Part]


class WorkerSlots(Generic[Part]):
    """Counts the threads of a call. A thread that finishes a flow takes the next one."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[IndexedFlow[Part]] = deque()
        self._lock = threading.Lock()

    def has_room(self, indexed: IndexedFlow[Part]) -> bool:
        """Return whether to start a thread for this flow; otherwise a running thread takes it."""
        with self._lock:
            if not self._free:
                self._waiting.append(indexed)
                return False
            self._free -= 1
            return True

    def next(self) -> IndexedFlow[Part] | None:
        """Return the next flow of a thread; None if the thread should end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._free += 1
            return None


class OrderedResults(Generic[Part]):
    """Numbers flows as they start, and yields their parts in the order of the flows.

    At most `ahead` flows have started whose parts were not yielded yet.

    Attributes:
        failure: The first error, or None.
    """

    def __init__(self, flows: Iterator[Flow[Part]], ahead: int) -> None:
        self.failure: BaseException | None = None
        self._flows = flows
        self._ahead = ahead
        self._started = 0
        self._yielded = 0
        self._parts: dict[int, Part] = {}

    def next(self) -> IndexedFlow[Part] | None:
        """Return the next flow to start; None if there is none, or none may start now."""
        if self.failure is not None or self._started - self._yielded >= self._ahead:
            return None
        try:
            flow = next(self._flows)
        except StopIteration:
            return None
        except Exception as error:  # noqa: BLE001 - an input is invalid; raised by `end`
            self.failed(error)
            return None
        self._started += 1
        return IndexedFlow(self._started - 1, flow)

    def done(self, number: int, part: Part) -> None:
        """Store the part of a flow."""
        self._parts[number] = part

    def failed(self, error: BaseException) -> None:
        """Store the error of a flow, or of its creation."""
        if self.failure is None and not isinstance(error, Stopped):
            self.failure = error

    def ready(self) -> Iterator[Part]:
        """Yield the finished parts that are next in order."""
        while self._yielded in self._parts:
            part = self._parts.pop(self._yielded)
            self._yielded += 1
            yield part

    def end(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure
        if self._yielded < self._started:
            raise RuntimeError("a request of this call was lost: a bug in voyage-rag")
