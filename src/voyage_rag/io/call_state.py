"""State shared by the threads or tasks that work on one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from functools import cached_property

import anyio

QUEUE_LENGTH = 1
"""Requests of a call that wait for the rate limit at once. A waiting request is counted with its
estimated tokens, which earlier responses improve, and its timeout has started."""


class Stopped(Exception):  # noqa: N818 - not an error: the result is no longer needed
    """Another flow of the same call has failed, or the caller has stopped waiting."""


class ThreadCallState:
    """The requests in flight of one call, and the locks its threads share.

    Attributes:
        is_stopping: Whether no more requests are to be sent.
        stopping: Event that is set at the same time; wakes threads that wait for the rate limit.
        reading: Lock of the thread that decodes a response. Threads decode in turn, so that each
            can send its next request while another one decodes.
        queueing: Semaphore of the threads that wait for the rate limit.
    """

    is_stopping: bool = False
    reading: AbstractContextManager[object]
    queueing: AbstractContextManager[object]

    def __init__(self) -> None:
        self.stopping: threading.Event = threading.Event()
        self.reading = threading.Lock()
        self.queueing = threading.Semaphore(QUEUE_LENGTH)
        self._ended = False
        self._lock = threading.Lock()
        self._in_flight: set[Callable[[], None]] = set()

    def stop(self) -> None:
        """Send nothing new, and wake threads that wait for the rate limit."""
        self.is_stopping = True
        self.stopping.set()

    @contextmanager
    def in_flight(self, end: Callable[[], None]) -> Iterator[None]:
        """Register a request in flight, so that another thread can end it."""
        with self._lock:
            if self._ended:
                raise Stopped
            self._in_flight.add(end)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight.discard(end)

    def end_all(self) -> None:
        """End every request in flight, and prevent new ones."""
        self.stop()
        with self._lock:
            self._ended = True
            ends = list(self._in_flight)
        for end in ends:
            end()


class AsyncCallState:
    """The variant for tasks, which are cancelled and therefore need no list of requests.

    Each attribute is created on its first use, in the event loop.
    """

    is_stopping: bool = False

    def stop(self) -> None:
        """Send nothing new, and wake tasks that wait for the rate limit."""
        self.is_stopping = True
        self.stopping.set()

    @cached_property
    def stopping(self) -> anyio.Event:
        """The event that `stop` sets."""
        return anyio.Event()

    @cached_property
    def reading(self) -> anyio.CapacityLimiter | None:
        """The limiter that lets one thread at a time decode a response."""
        return anyio.CapacityLimiter(1)

    @cached_property
    def queueing(self) -> AbstractAsyncContextManager[object]:
        """The semaphore of the tasks that wait for the rate limit."""
        return anyio.Semaphore(QUEUE_LENGTH, fast_acquire=True)


class _SingleThread(ThreadCallState):
    """State of a call with one request, which runs in the caller's thread and shares nothing."""

    reading = queueing = nullcontext()
    in_flight = nullcontext  # type: ignore[assignment]

    def __init__(self) -> None:
        """Create no locks."""

    @property
    def stopping(self) -> threading.Event:  # type: ignore[override]
        """An event that is never set."""
        return threading.Event()


class _SingleTask(AsyncCallState):
    """State of a call with one request, which runs in the caller's task."""

    reading = None
    queueing = nullcontext()

    @property
    def stopping(self) -> anyio.Event:
        """An event that is never set."""
        return anyio.Event()


SINGLE_THREAD: ThreadCallState = _SingleThread()
SINGLE_TASK: AsyncCallState = _SingleTask()
