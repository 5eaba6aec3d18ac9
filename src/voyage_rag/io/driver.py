"""The driver: runs flows in threads for sync calls, and in tasks for async ones.

Flows decide; the driver waits, sends, caches and reports. A `try` that handles the end of a flow
covers only the flow's own code, so that errors of the transport are not affected.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Generic, TypeVar

from voyage_rag.core.flow import (
    Attempt,
    CacheGet,
    CachePut,
    Effect,
    Emit,
    Flow,
    NothingToSendError,
    Offload,
    Operation,
    OperationInfo,
)
from voyage_rag.errors import APIConnectionError, RateLimitError
from voyage_rag.hosts.messages import Response
from voyage_rag.io.cache import Cache
from voyage_rag.io.call_state import (
    SINGLE_TASK,
    SINGLE_THREAD,
    AsyncCallState,
    Stopped,
    ThreadCallState,
)
from voyage_rag.io.clock import Clock
from voyage_rag.io.concurrency import run_in_tasks, run_in_threads
from voyage_rag.io.ports import Listener, Sender
from voyage_rag.io.tasks import LOOP_SUPPORT, in_thread
from voyage_rag.io.telemetry import UNNUMBERED, Telemetry

T = TypeVar("T")
Part = TypeVar("Part")
Result = TypeVar("Result")

LONG_RESPONSE = 16
"""Number of inputs from which decoding the response takes a millisecond, ten times as long as
starting a thread for it.
"""

THROWN = (APIConnectionError, RateLimitError, NothingToSendError)
"""Errors that are passed to the flow, which decides what to do next."""

NOT_OBSERVED: AbstractContextManager[None] = nullcontext()
NOT_QUEUED = nullcontext()


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The return value of a flow."""

    value: T


class Driver:
    """Runs the flows of one client.

    Args:
        sender: The transport.
        clock: Measures time and waits.
        cache: Stores vectors; None for no cache.
        concurrency: Maximum number of concurrent requests per call.
        listeners: Returns the observers of the next call.
        wait_log: Receives retries and long waits of calls without observers.
        host: Host name of the service, for events.
        port: Its port.
        plans_in_thread: Whether requests are planned in a thread, because a tokenizer is slow.
    """

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        cache: Cache | None = None,
        *,
        concurrency: int = 1,
        listeners: Callable[[], Sequence[Listener]] = tuple,
        wait_log: Sequence[Listener] = (),
        host: str = "",
        port: int = 0,
        plans_in_thread: bool = False,
    ) -> None:
        self.sender = sender
        self.clock = clock
        self.cache = cache
        self._concurrency = concurrency
        self._listeners = listeners
        self._wait_log = wait_log
        self._host = host
        self._port = port
        self._plans_in_thread = plans_in_thread

    def close(self) -> None:
        """Close the idle connections of sync calls and the cache. A later call opens new ones."""
        self.sender.close()
        if self.cache is not None:
            self.cache.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and what `close` closes."""
        await self.sender.aclose()
        self.close()

    # ── sync ──────────────────────────────────────────────────────────────────────────────────────

    def run(self, work: Operation[Any, Result] | Flow[Result]) -> Result:
        """Run one flow in this thread, or several in other threads, and combine their parts.

        Raises:
            VoyageError: A flow failed; `partial` of the error, as of Ctrl-C and a cancellation,
                contains the finished results.
        """
        operation = _as_operation(work)
        with self._telemetry(operation.info) as telemetry:
            flows = iter(operation.flows)
            few = list(islice(flows, 2))
            try:
                if len(few) == 1:
                    parts = [self.drive(few[0], SINGLE_THREAD, telemetry)]
                else:
                    parts = list(self._threads(chain(few, flows), telemetry))
                return operation.join(parts)
            except BaseException as error:
                operation.add_partial(error)
                raise

    def stream(self, flows: Iterator[Flow[Part]], info: OperationInfo) -> Iterator[Part]:
        """Run flows in threads, and yield their parts in order."""
        with self._telemetry(info, is_stream=True) as telemetry:
            yield from self._threads(flows, telemetry)

    def _threads(self, flows: Iterator[Flow[Part]], telemetry: Telemetry | None) -> Iterator[Part]:
        drive = partial(self.drive, telemetry=telemetry)
        return run_in_threads(flows, drive, self._concurrency)

    def drive(self, flow: Flow[T], state: ThreadCallState, telemetry: Telemetry | None) -> T:
        """Run a flow in this thread."""
        try:
            effect = _step(flow.send, None)
            while not isinstance(effect, Finished):
                if isinstance(effect, Attempt):
                    effect = self._attempt(flow, effect, state, telemetry)
                else:
                    effect = _step(flow.send, self._perform(effect, telemetry))
            return effect.value  # type: ignore[no-any-return]
        finally:
            flow.close()

    def _attempt(
        self,
        flow: Flow[T],
        attempt: Attempt,
        state: ThreadCallState,
        telemetry: Telemetry | None,
    ) -> Effect | Finished[T]:
        resume: Callable[[Any], Effect] = flow.send
        try:
            self._wait(attempt, state, telemetry)
            value: object = self._send(attempt, state, telemetry)
        except THROWN as error:
            resume, value = flow.throw, without_request(error)
        with state.reading:
            return _step(resume, value)

    def _wait(self, attempt: Attempt, state: ThreadCallState, telemetry: Telemetry | None) -> None:
        if attempt.number > 1 and not state.is_stopping:
            self._telemetry_of(attempt, telemetry).retried(attempt)
        with state.queueing if attempt.number == 1 else NOT_QUEUED:
            while not state.is_stopping and (delay := attempt.wait()) > 0:
                self._telemetry_of(attempt, telemetry).throttled(attempt)
                self.clock.sleep(delay, state.stopping)
        if state.is_stopping:
            raise Stopped

    def _send(
        self, attempt: Attempt, state: ThreadCallState, telemetry: Telemetry | None
    ) -> Response:
        if telemetry is None:
            return self.sender.send(attempt, state)
        with telemetry.sending(attempt) as answered:
            return answered(self.sender.send(attempt, state))

    # ── async ─────────────────────────────────────────────────────────────────────────────────────

    async def arun(self, work: Operation[Any, Result] | Flow[Result]) -> Result:
        """Async variant of `run`. One flow runs in this task, several run in new tasks."""
        if not LOOP_SUPPORT.is_loaded:
            await LOOP_SUPPORT.load()
        operation = _as_operation(work)
        with self._telemetry(operation.info) as telemetry:
            flows = iter(operation.flows)
            few = await self._plan(lambda: list(islice(flows, 2)))
            try:
                if len(few) == 1:
                    parts = [await self.adrive(few[0], SINGLE_TASK, telemetry)]
                else:
                    async with aclosing(self._tasks(chain(few, flows), telemetry)) as results:
                        parts = [part async for part in results]
                return operation.join(parts)
            except BaseException as error:
                operation.add_partial(error)
                raise

    async def astream(
        self,
        flows: Iterator[Flow[Part]],
        info: OperationInfo,
        *,
        plans_in_thread: bool = False,
    ) -> AsyncGenerator[Part]:
        """Async variant of `stream`. A thread creates the next flow if that may block."""
        if not LOOP_SUPPORT.is_loaded:
            await LOOP_SUPPORT.load()
        with self._telemetry(info, is_stream=True) as telemetry:
            tasks = self._tasks(flows, telemetry, plans_in_thread=plans_in_thread)
            async with aclosing(tasks) as parts:
                async for part in parts:
                    yield part

    def _tasks(
        self,
        flows: Iterator[Flow[Part]],
        telemetry: Telemetry | None,
        *,
        plans_in_thread: bool = False,
    ) -> AsyncGenerator[Part]:
        drive = partial(self.adrive, telemetry=telemetry)
        planned = in_thread if plans_in_thread else self._plan
        return run_in_tasks(flows, drive, planned, self._concurrency)

    async def _plan(self, plan: Callable[[], T]) -> T:
        return await in_thread(plan) if self._plans_in_thread else plan()

    async def adrive(self, flow: Flow[T], state: AsyncCallState, telemetry: Telemetry | None) -> T:
        """Run a flow in this task. Threads decode long responses, which would block the loop."""
        try:
            effect = _step(flow.send, None)
            while not isinstance(effect, Finished):
                if isinstance(effect, Attempt):
                    resume: Callable[[Any], Effect] = flow.send
                    try:
                        await self._await(effect, state, telemetry)
                        value: object = await self._asend(effect, telemetry)
                    except THROWN as error:
                        resume, value = flow.throw, without_request(error)
                    if effect.request.inputs < LONG_RESPONSE:
                        effect = _step(resume, value)
                    else:
                        effect = await in_thread(_step, resume, value, limiter=state.reading)
                elif isinstance(effect, Emit):
                    effect = _step(flow.send, self._perform(effect, telemetry))
                elif isinstance(effect, Offload) and effect.is_coroutine:
                    effect = _step(flow.send, await effect.do())
                else:
                    done = await in_thread(self._perform, effect, telemetry)
                    effect = _step(flow.send, done)
            return effect.value  # type: ignore[no-any-return]
        finally:
            flow.close()

    async def _await(
        self, attempt: Attempt, state: AsyncCallState, telemetry: Telemetry | None
    ) -> None:
        if attempt.number > 1 and not state.is_stopping:
            self._telemetry_of(attempt, telemetry).retried(attempt)
        async with state.queueing if attempt.number == 1 else NOT_QUEUED:
            while not state.is_stopping and (delay := attempt.wait()) > 0:
                self._telemetry_of(attempt, telemetry).throttled(attempt)
                await self.clock.asleep(delay, state.stopping)
        if state.is_stopping:
            raise Stopped

    async def _asend(self, attempt: Attempt, telemetry: Telemetry | None) -> Response:
        if telemetry is None:
            return await self.sender.asend(attempt)
        with telemetry.sending(attempt) as answered:
            return answered(await self.sender.asend(attempt))

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

    def _perform(
        self, effect: CacheGet | CachePut | Offload | Emit, telemetry: Telemetry | None
    ) -> object:
        if isinstance(effect, Offload):
            return effect.do()
        if isinstance(effect, Emit):
            if telemetry is not None:
                telemetry.emit(effect.event)
        elif isinstance(effect, CachePut):
            if self.cache is not None:
                self.cache.add(effect.entries)
        elif self.cache is not None:
            return self.cache.find(effect.keys)
        return {}

    def _telemetry(
        self, info: OperationInfo, *, is_stream: bool = False
    ) -> AbstractContextManager[Telemetry | None]:
        listeners = self._listeners()
        if not listeners:
            return NOT_OBSERVED
        telemetry = Telemetry(listeners, info, self._host, self._port, self.clock.now)
        return telemetry.reporting(within=not is_stream)

    def _telemetry_of(self, attempt: Attempt, telemetry: Telemetry | None) -> Telemetry:
        """Return the call's telemetry; without observers, one that logs retries and long waits."""
        if telemetry is not None:
            return telemetry
        info, now = OperationInfo(model=attempt.request.model), self.clock.now
        return Telemetry(self._wait_log, info, self._host, self._port, now, UNNUMBERED)


def _as_operation(work: Operation[Any, Result] | Flow[Result]) -> Operation[Any, Result]:
    return work if isinstance(work, Operation) else Operation([work], itemgetter(0))


def _step(resume: Callable[[Any], Effect], value: object) -> Effect | Finished[Any]:
    try:
        return resume(value)
    except StopIteration as end:
        return Finished(end.value)


def without_request(error: Exception) -> Exception:
    """Return the error without causes that refer to the request, whose headers contain the key.

    Errors of the operating system remain as causes, without their frames. Errors of libraries are
    removed: they refer to the request, quote the server, or have frames that do.
    """
    cause = error.__cause__
    if isinstance(cause, OSError):
        cause.with_traceback(None)
        cause.__cause__ = cause.__context__ = None
    error.__cause__ = cause if isinstance(cause, OSError) else None
    error.__context__ = None
    return error
