"""The two drivers and the two fan-outs: everything that differs between sync and async.

Flows decide; here is only waiting and sending. The left column is sync, the right one async, and
they promise the same: parts in the order of the flows, at most `concurrency` requests in flight,
and when a flow fails, its error bare. The requests that are in flight then have been paid for, so
they are let finish, and nothing new is sent; a cancellation or Ctrl-C aborts them instead.

The `try` around a flow covers only its own code, so that no error of the transport can be taken
for its end.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import anyio

from voyage_rag.errors import APIConnectionError, VoyageError

if TYPE_CHECKING:
    from voyage_rag.core.http import Attempt, Flow, Operation, Response
    from voyage_rag.io.clock import Clock

T = TypeVar("T")
Part = TypeVar("Part")
Result = TypeVar("Result")

Step: TypeAlias = "Callable[[], Attempt]"


class Sender(Protocol):
    """What a driver needs of a transport."""

    def send(self, attempt: Attempt, abort: Abort) -> Response:
        """Send and wait for the whole answer."""

    async def asend(self, attempt: Attempt) -> Response:
        """Async twin of `send`."""


class Stopped(Exception):  # noqa: N818 - no error: the work is not wanted any more
    """Another flow of the same operation has failed, or the caller has gone."""


class Abort:
    """Ends the requests that threads are waiting for: what cancellation is to tasks."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._in_flight: dict[int, Callable[[], None]] = {}

    def register(self, end: Callable[[], None]) -> int:
        """Remember how to end a request that begins now."""
        with self._lock:
            self._in_flight[id(end)] = end
        return id(end)

    def forget(self, handle: int) -> None:
        """The request is over."""
        with self._lock:
            self._in_flight.pop(handle, None)

    def end_all(self) -> None:
        """End every request in flight now."""
        self.stopping.set()
        with self._lock:
            ends = list(self._in_flight.values())
        for end in ends:
            end()


# ── one flow ──────────────────────────────────────────────────────────────────────────────────────


def drive(flow: Flow[T], sender: Sender, clock: Clock, abort: Abort) -> T:
    """Run a flow in this thread."""
    try:
        step: Step = flow.__next__
        while True:
            try:
                attempt = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            while (delay := attempt.wait()) > 0 and not abort.stopping.is_set():
                clock.sleep(delay, abort.stopping)
            if abort.stopping.is_set():
                raise Stopped
            step = _answered(flow, sender, attempt, abort)
    finally:
        flow.close()


def _answered(flow: Flow[T], sender: Sender, attempt: Attempt, abort: Abort) -> Step:
    try:
        response = sender.send(attempt, abort)
    except APIConnectionError as error:
        failure = error
        return lambda: flow.throw(failure)
    return lambda: flow.send(response)


async def adrive(flow: Flow[T], sender: Sender, clock: Clock, stopping: anyio.Event) -> T:
    """Run a flow in this task."""
    try:
        step: Step = flow.__next__
        while True:
            try:
                attempt = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            while (delay := attempt.wait()) > 0 and not stopping.is_set():
                await clock.asleep(delay, stopping)
            if stopping.is_set():
                raise Stopped
            step = await _aanswered(flow, sender, attempt)
    finally:
        flow.close()


async def _aanswered(flow: Flow[T], sender: Sender, attempt: Attempt) -> Step:
    try:
        response = await sender.asend(attempt)
    except APIConnectionError as error:
        failure = error
        return lambda: flow.throw(failure)
    return lambda: flow.send(response)


# ── an operation ──────────────────────────────────────────────────────────────────────────────────


def run(
    operation: Operation[Part, Result], sender: Sender, clock: Clock, concurrency: int
) -> Result:
    """Run the flows of an operation, in threads when there are several, and join their parts."""
    flows = iter(operation.flows)
    first = list(islice(flows, 2))
    try:
        if len(first) == 1:
            return operation.join([drive(first[0], sender, clock, Abort())])
        parts = _fan_out(chain(first, flows), sender, clock, concurrency) if first else []
    except VoyageError as error:
        raise _with_partial(error, operation)  # noqa: B904 - the error itself, bare
    return operation.join(parts)


def _fan_out(
    flows: Iterator[Flow[Part]], sender: Sender, clock: Clock, concurrency: int
) -> list[Part]:
    abort = Abort()
    parts: dict[int, Part] = {}
    waiting: dict[Future[Part], int] = {}
    failure: BaseException | None = None
    numbered = enumerate(flows)
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="voyage-rag")
    try:
        while True:
            if failure is None:
                for number, flow in islice(numbered, concurrency - len(waiting)):
                    context = contextvars.copy_context()
                    task = pool.submit(context.run, drive, flow, sender, clock, abort)
                    waiting[task] = number
            if not waiting:
                break
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                number = waiting.pop(done)
                if error := done.exception():
                    failure = failure or (None if isinstance(error, Stopped) else error)
                    abort.stopping.set()
                else:
                    parts[number] = done.result()
    except BaseException:
        abort.end_all()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if failure is not None:
        raise failure
    return [parts[number] for number in range(len(parts))]


async def arun(
    operation: Operation[Part, Result], sender: Sender, clock: Clock, concurrency: int
) -> Result:
    """Async twin of `run`, in tasks."""
    flows = iter(operation.flows)
    first = list(islice(flows, 2))
    try:
        if len(first) == 1:
            return operation.join([await adrive(first[0], sender, clock, anyio.Event())])
        parts = await _afan_out(chain(first, flows), sender, clock, concurrency) if first else []
    except VoyageError as error:
        raise _with_partial(error, operation)  # noqa: B904 - the error itself, bare
    return operation.join(parts)


async def _afan_out(
    flows: Iterator[Flow[Part]], sender: Sender, clock: Clock, concurrency: int
) -> list[Part]:
    stopping = anyio.Event()
    parts: dict[int, Part] = {}
    failures: list[Exception] = []
    numbered = enumerate(flows)

    async def work() -> None:
        for number, flow in numbered:
            try:
                parts[number] = await adrive(flow, sender, clock, stopping)
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - raised again below, bare
                failures.append(error)
                stopping.set()
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(concurrency):
            tasks.start_soon(work)
    if failures:
        raise failures[0]
    return [parts[number] for number in range(len(parts))]


def _with_partial(error: VoyageError, operation: Operation[Part, Result]) -> VoyageError:
    if operation.rescue is not None and error.partial is None:
        error.partial = operation.rescue()
    return error
