"""Ends requests that threads are waiting for: what cancellation is to tasks."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - registers before this module does, see the end
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

QUEUE = 2
"""Requests of a call that wait for their turn at once: while one leaves, another is in line."""


class Stopped(Exception):  # noqa: N818 - no error: the work is not wanted any more
    """Another flow of the same operation has failed, or the caller has gone."""


class ThreadCallState:
    """The requests in flight of one operation, and what their threads share.

    Attributes:
        stopping: Set when nothing new is to be sent; wakes whoever waits for a turn.
        reading: Held by the thread that reads an answer. Threads that read at once are all done
            late; one after the other, each sends its next request while others still read.
        queueing: Held by those few that wait for their turn. A place in the queue is booked by what
            a request is expected to cost, and the answers before it mend that: so, not too early.
        over: Whether the interpreter ends, and does not wait for the caller.
    """

    def __init__(self) -> None:
        self._caller = threading.current_thread()
        self.over = False
        self.stopping = threading.Event()
        self.reading = threading.Lock()
        self.queueing = threading.Semaphore(QUEUE)
        self._ended = False
        self._lock = threading.Lock()
        self._in_flight: set[Callable[[], None]] = set()
        _UNDER_WAY.add(self)

    @property
    def awaited(self) -> bool:
        """Whether the interpreter will wait for whoever made the call."""
        caller = self._caller
        return caller.is_alive() and not caller.daemon and caller is not threading.main_thread()

    @contextmanager
    def in_flight(self, end: Callable[[], None]) -> Iterator[None]:
        """While a request is under way, know how to end it."""
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
        """End every request in flight, and let none begin."""
        self.stopping.set()
        with self._lock:
            self._ended = True
            ends = list(self._in_flight)
        for end in ends:
            end()


_UNDER_WAY: WeakSet[ThreadCallState] = WeakSet()


def _end_what_nobody_awaits() -> None:
    """When the main thread is over: requests of daemons, and streams that were never consumed.

    Python joins the threads of a pool before it ends, and would wait for their answers.
    """
    for abort in list(_UNDER_WAY):
        if not abort.awaited:
            abort.over = True
            abort.end_all()


# Before the pools' own, which joins: the last to register is called first. Python has no public
# way to say so; without this one the interpreter ends later.
if hasattr(threading, "_register_atexit"):
    threading._register_atexit(_end_what_nobody_awaits)  # noqa: SLF001
