"""The two drivers: what a flow asks for, done in a thread or in a task.

Flows decide; here is only waiting, sending and storing. The `try` around a flow covers only its own
code, so that no error of the transport can be taken for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import anyio
import anyio.to_thread

from voyage_rag.core.flow import Attempt, CacheGet, CachePut, Emit, Offload
from voyage_rag.errors import APIConnectionError
from voyage_rag.io.call_state import QUEUE, Stopped, ThreadCallState
from voyage_rag.io.telemetry import UNWATCHED, Telemetry

if TYPE_CHECKING:
    from voyage_rag.core.flow import Effect, Flow
    from voyage_rag.hosts.messages import Response
    from voyage_rag.io.clock import Clock

T = TypeVar("T")

LONG = 16
"""Inputs of a request from which its answer takes a millisecond to read, ten times a thread's."""


class Sender(Protocol):
    """What a driver needs of a transport."""

    def send(self, attempt: Attempt, abort: ThreadCallState) -> Response:
        """Send and wait for the whole answer."""

    async def asend(self, attempt: Attempt) -> Response:
        """Async twin of `send`."""


class Store(Protocol):
    """What a driver needs of a cache."""

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """What it holds of these keys."""

    def add(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep these, and come back when they are safe."""


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What drivers work with.

    Attributes:
        sender: Sends attempts.
        clock: Waits.
        store: The cache, None without one.
        plans_in_thread: Taking the next flow may take a while (a tokenizer counts), so that an
            event loop should not do it.
        watch: Tells observers.
    """

    sender: Sender
    clock: Clock
    store: Store | None
    plans_in_thread: bool = False
    telemetry: Telemetry = UNWATCHED


class AsyncCallState:
    """What the tasks of one operation share. For threads, it is `ThreadCallState`, which says more.

    Attributes:
        stopping: Set when nothing new is to be sent; wakes whoever waits for a turn.
        reading: Held by the task that has an answer read.
        queueing: Held by those few that wait for their turn.
    """

    __slots__ = ("queueing", "reading", "stopping")

    def __init__(self) -> None:
        self.stopping = anyio.Event()
        self.reading = anyio.CapacityLimiter(1)
        self.queueing = anyio.Semaphore(QUEUE, fast_acquire=True)


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """What a flow returned."""

    value: T


def drive(flow: Flow[T], means: DriverContext, abort: ThreadCallState) -> T:
    """Run a flow in this thread."""
    try:
        effect = _advanced(flow.__next__)
        while not isinstance(effect, Ended):
            if isinstance(effect, Attempt):
                _await_turn(effect, means, abort)
                step = _attempted(flow, effect, means.sender, abort)
                with abort.reading:
                    effect = _advanced(step)
            elif isinstance(effect, Emit):
                means.telemetry.tell(effect.event)
                effect = _advanced(flow.__next__)
            else:
                effect = _advanced(_resumed(flow, _done(effect, means.store)))
        return cast("T", effect.value)
    finally:
        flow.close()


def _await_turn(attempt: Attempt, means: DriverContext, abort: ThreadCallState) -> None:
    if attempt.number > 1:
        means.telemetry.retried(attempt)
    with abort.queueing if attempt.number == 1 else nullcontext():
        while not abort.stopping.is_set() and (delay := attempt.wait()) > 0:
            means.telemetry.waits(attempt)
            means.clock.sleep(delay, abort.stopping)
    if abort.stopping.is_set():
        raise Stopped


def _attempted(
    flow: Flow[T], attempt: Attempt, sender: Sender, abort: ThreadCallState
) -> Callable[[], Effect]:
    try:
        return _resumed(flow, sender.send(attempt, abort))
    except APIConnectionError as error:
        return _failed(flow, error)


async def adrive(flow: Flow[T], means: DriverContext, together: AsyncCallState) -> T:
    """Run a flow in this task, but read long answers in a thread, where they block no event loop.

    Args:
        flow: What to run.
        means: What to work with.
        together: What it shares with the other flows of its operation.
    """
    try:
        effect = _advanced(flow.__next__)
        while not isinstance(effect, Ended):
            if isinstance(effect, Attempt):
                await _aawait_turn(effect, means, together)
                step = await _aattempted(flow, effect, means.sender)
                if effect.request.inputs < LONG:
                    effect = _advanced(step)
                else:
                    effect = await anyio.to_thread.run_sync(
                        _advanced, step, limiter=together.reading
                    )
            elif isinstance(effect, Emit):
                means.telemetry.tell(effect.event)
                effect = _advanced(flow.__next__)
            else:
                found = await anyio.to_thread.run_sync(_done, effect, means.store)
                effect = _advanced(_resumed(flow, found))
        return cast("T", effect.value)
    finally:
        flow.close()


async def _aawait_turn(attempt: Attempt, means: DriverContext, together: AsyncCallState) -> None:
    stopping = together.stopping
    if attempt.number > 1:
        means.telemetry.retried(attempt)
    async with together.queueing if attempt.number == 1 else nullcontext():
        while not stopping.is_set() and (delay := attempt.wait()) > 0:
            means.telemetry.waits(attempt)
            await means.clock.asleep(delay, stopping)
    if stopping.is_set():
        raise Stopped


async def _aattempted(flow: Flow[T], attempt: Attempt, sender: Sender) -> Callable[[], Effect]:
    try:
        return _resumed(flow, await sender.asend(attempt))
    except APIConnectionError as error:
        return _failed(flow, error)


def _advanced(step: Callable[[], Effect]) -> Effect | Ended[object]:
    try:
        return step()
    except StopIteration as end:
        return Ended(end.value)


def _resumed(flow: Flow[T], answer: object) -> Callable[[], Effect]:
    return lambda: flow.send(answer)


def _failed(flow: Flow[T], error: APIConnectionError) -> Callable[[], Effect]:
    return lambda: flow.throw(error)


def _done(effect: CacheGet | CachePut | Offload, store: Store | None) -> object:
    return effect.do() if isinstance(effect, Offload) else _stored(effect, store)


def _stored(effect: CacheGet | CachePut, store: Store | None) -> Mapping[bytes, bytes]:
    if store is None:
        return {}
    if isinstance(effect, CacheGet):
        return store.find(effect.keys)
    store.add(effect.entries)
    return {}
