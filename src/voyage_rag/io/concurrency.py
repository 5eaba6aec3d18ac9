"""Many flows at once, in threads or in tasks, and their parts in order.

The two faces promise the same. At most `concurrency` flows run; flows are taken from their iterator
only when there is room, no further ahead of what was consumed than `AHEAD` times that, so memory
is bounded by what is in flight. When a flow fails, nothing new is sent; what is in flight has been
paid for and is let finish; then the parts before the failure are given out, and its error is raised
bare. A caller that goes away instead (Ctrl-C, cancellation, a `break`) ends what is in flight.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread

from voyage_rag.errors import VoyageError
from voyage_rag.io.call_state import Stopped, ThreadCallState
from voyage_rag.io.driver import AsyncCallState, DriverContext, adrive, drive
from voyage_rag.io.tasks import spawn

if TYPE_CHECKING:
    from voyage_rag.core.flow import Flow, Operation, OperationInfo
    from voyage_rag.io.telemetry import Telemetry

Part = TypeVar("Part")
Result = TypeVar("Result")

AHEAD = 4
TIME_TO_END = 1.0


def run(operation: Operation[Part, Result], means: DriverContext, concurrency: int) -> Result:
    """Run an operation and join its parts."""
    with means.telemetry.call(operation.about, at_once=True) as telemetry:
        try:
            parts = list(_stream(iter(operation.flows), _watched(means, telemetry), concurrency))
        except VoyageError as error:
            raise _with_partial(error, operation)  # noqa: B904 - the error itself, bare
        return operation.join(parts)


async def arun(
    operation: Operation[Part, Result], means: DriverContext, concurrency: int
) -> Result:
    """Async twin of `run`."""
    with means.telemetry.call(operation.about, at_once=True) as telemetry:
        means = _watched(means, telemetry)
        line = OrderedResults(iter(operation.flows), concurrency * AHEAD)
        try:
            if only := await _planned(line.only, means):  # spares a query the generator
                parts = [await adrive(only.flow, means, AsyncCallState())]
            else:
                async with aclosing(_astream(line, means, concurrency)) as given:
                    parts = [part async for part in given]
        except VoyageError as error:
            raise _with_partial(error, operation)  # noqa: B904 - the error itself, bare
        return operation.join(parts)


def stream(
    flows: Iterator[Flow[Part]], means: DriverContext, concurrency: int, about: OperationInfo
) -> Iterator[Part]:
    """Run flows in threads, a single one in this thread, and give their parts in order."""
    with means.telemetry.call(about, at_once=False) as telemetry:
        yield from _stream(flows, _watched(means, telemetry), concurrency)


async def astream(
    flows: Iterator[Flow[Part]], means: DriverContext, concurrency: int, about: OperationInfo
) -> AsyncGenerator[Part]:
    """Async twin of `stream`, in tasks."""
    with means.telemetry.call(about, at_once=False) as telemetry:
        line = OrderedResults(flows, concurrency * AHEAD)
        async with aclosing(_astream(line, _watched(means, telemetry), concurrency)) as parts:
            async for part in parts:
                yield part


def _stream(flows: Iterator[Flow[Part]], means: DriverContext, concurrency: int) -> Iterator[Part]:
    line = OrderedResults(flows, concurrency * AHEAD)
    if only := line.only():
        yield drive(only.flow, means, ThreadCallState())
        return
    abort = ThreadCallState()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="voyage-rag")
    slots = WorkerSlots[Part](concurrency)
    ended: SimpleQueue[Callable[[], None]] = SimpleQueue()
    running: set[Future[None]] = set()
    unfinished = 0

    def work(indexed: IndexedFlow[Part] | None) -> None:
        """One flow after the other: its next request leaves before other answers are read."""
        while indexed is not None:
            try:
                part = drive(indexed.flow, means, abort)
                ended.put(partial(line.done, indexed.number, part))
            except BaseException as error:  # noqa: BLE001 - raised below, where it is awaited
                abort.stopping.set()
                ended.put(partial(line.failed, error))
            indexed = slots.next()

    try:
        while True:
            while unfinished < 2 * concurrency and not abort.over and (indexed := line.next()):
                unfinished += 1
                if slots.has_room(indexed):
                    try:
                        task = pool.submit(contextvars.copy_context().run, work, indexed)
                    except RuntimeError:  # the main thread is over: Python starts no others
                        work(indexed)
                        continue
                    running.add(task)
                    task.add_done_callback(running.discard)
            if not unfinished:
                break
            ended.get()()
            unfinished -= 1
            yield from line.ready()
    finally:
        if unfinished:
            abort.end_all()
            wait(list(running), TIME_TO_END)
        pool.shutdown(wait=not unfinished, cancel_futures=True)
    if abort.over:
        raise SystemExit  # ends this thread and says nothing
    line.end()


async def _astream(
    line: OrderedResults[Part], means: DriverContext, concurrency: int
) -> AsyncGenerator[Part]:
    together = AsyncCallState()
    stopping = together.stopping
    changed = anyio.Event()
    running: dict[int, Callable[[], object]] = {}
    waiting: deque[IndexedFlow[Part]] = deque()

    async def work(indexed: IndexedFlow[Part] | None) -> None:
        """One flow after the other: its next request leaves before other answers are read."""
        while indexed is not None:
            try:
                line.done(indexed.number, await adrive(indexed.flow, means, together))
            except Exception as error:  # noqa: BLE001 - raised below, where it is awaited
                line.failed(error)
                stopping.set()
            changed.set()
            indexed = waiting.popleft() if waiting and not stopping.is_set() else None

    def ended(number: int) -> None:
        del running[number]
        changed.set()

    def begin() -> None:
        while waiting and len(running) < concurrency and not stopping.is_set():
            indexed = waiting.popleft()
            running[indexed.number] = spawn(partial(work, indexed), partial(ended, indexed.number))

    try:
        while True:
            while len(waiting) < concurrency and (indexed := await _planned(line.next, means)):
                waiting.append(indexed)
                begin()
            begin()  # a task may have ended while the next flow was planned
            has_given = False
            for part in line.ready():
                yield part
                has_given = True
            if has_given:
                continue  # there is room for more
            if not running:
                break
            await changed.wait()
            changed = anyio.Event()
    finally:
        for cancel in list(running.values()):
            cancel()
        with anyio.move_on_after(TIME_TO_END, shield=True):
            while running:
                await changed.wait()
                changed = anyio.Event()
    line.end()


@dataclass(frozen=True, slots=True)
class IndexedFlow(Generic[Part]):
    """A flow and its number in the line."""

    number: int
    flow: Flow[Part]


class WorkerSlots(Generic[Part]):
    """Threads that take flows themselves for as long as there are some, and then end.

    Args:
        size: How many there may be.
    """

    def __init__(self, size: int) -> None:
        self._room = size
        self._waiting: deque[IndexedFlow[Part]] = deque()
        self._lock = threading.Lock()

    def has_room(self, indexed: IndexedFlow[Part]) -> bool:
        """Whether a thread may be started with this flow; else it waits for one of the others."""
        with self._lock:
            if not self._room:
                self._waiting.append(indexed)
                return False
            self._room -= 1
            return True

    def next(self) -> IndexedFlow[Part] | None:
        """What a thread is to do next; None if it is to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._room += 1
            return None


class OrderedResults(Generic[Part]):
    """Flows on their way in, and parts on their way out, in the same order.

    Attributes:
        failure: The first error, None while all is well.
    """

    def __init__(self, flows: Iterator[Flow[Part]], ahead: int) -> None:
        self.failure: BaseException | None = None
        self._flows = flows
        self._ahead = ahead
        self._taken = 0
        self._given = 0
        self._parts: dict[int, Part] = {}
        self._held: deque[IndexedFlow[Part]] = deque()

    def only(self) -> IndexedFlow[Part] | None:
        """The flow that is the only one; None if there are several, or none."""
        first, second = self.next(), self.next()
        if first is not None and second is None and self.failure is None:
            return first
        self._held.extend(indexed for indexed in (first, second) if indexed)
        return None

    def next(self) -> IndexedFlow[Part] | None:
        """The next flow to start; None if there is no more, no room, or no point any more."""
        if self._held:
            return self._held.popleft()
        if self.failure is not None or self._taken - self._given >= self._ahead:
            return None
        try:
            flow = next(self._flows)
        except StopIteration:
            return None
        except Exception as error:  # noqa: BLE001 - the inputs are bad from here on
            self.failed(error)
            return None
        self._taken += 1
        return IndexedFlow(self._taken - 1, flow)

    def done(self, number: int, part: Part) -> None:
        """A flow has ended well."""
        self._parts[number] = part

    def failed(self, error: BaseException) -> None:
        """A flow, or making one, has failed."""
        if self.failure is None and not isinstance(error, Stopped):
            self.failure = error

    def end(self) -> None:
        """Raise the failure, if there was one; else every part has been given."""
        if self.failure is not None:
            raise self.failure
        if self._given < self._taken:
            raise RuntimeError("a request of this call was lost: a mistake in voyage-rag")

    def ready(self) -> Iterator[Part]:
        """The parts whose turn it is."""
        while self._given in self._parts:
            part = self._parts.pop(self._given)
            self._given += 1
            yield part


async def _planned(
    plan: Callable[[], IndexedFlow[Part] | None], means: DriverContext
) -> IndexedFlow[Part] | None:
    return await anyio.to_thread.run_sync(plan) if means.plans_in_thread else plan()


def _watched(means: DriverContext, telemetry: Telemetry) -> DriverContext:
    """The same means, for one call."""
    if telemetry is means.telemetry:
        return means
    return replace(means, sender=telemetry.sending(means.sender), telemetry=telemetry)


def _with_partial(error: VoyageError, operation: Operation[Part, Result]) -> VoyageError:
    if operation.rescue is not None and error.partial is None:
        error.partial = operation.rescue()
    return error
