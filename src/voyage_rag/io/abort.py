"""Ends requests that threads are waiting for: what cancellation is to tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(Exception):  # noqa: N818 - no error: the work is not wanted any more
    """Another flow of the same operation has failed, or the caller has gone."""


class Abort:
    """The requests in flight of one operation, and what their threads share.

    Attributes:
        stopping: Set when nothing new is to be sent; wakes whoever waits for a turn.
        reading: Held by the thread that reads an answer. Threads that read at once are all done
            late; one after the other, each sends its next request while others still read.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.reading = threading.Lock()
        self._ended = False
        self._lock = threading.Lock()
        self._in_flight: set[Callable[[], None]] = set()

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
