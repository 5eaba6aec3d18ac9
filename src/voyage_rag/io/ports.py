"""Interfaces that the drivers need: a transport, a cache, a clock, and listeners."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import anyio

from voyage_rag.core.flow import Attempt
from voyage_rag.events import Call, Event
from voyage_rag.hosts.messages import Response
from voyage_rag.io.call_state import ThreadCallState


class Sender(Protocol):
    """A transport: sends one attempt and returns the whole response."""

    def send(self, attempt: Attempt, state: ThreadCallState, /) -> Response:
        """Send from a thread.

        Raises:
            APIConnectionError: There was no usable response.
        """

    async def asend(self, attempt: Attempt, /) -> Response:
        """Async variant of `send`."""

    def close(self) -> None:
        """Close the idle connections of sync calls."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""


class VectorStore(Protocol):
    """A cache of encoded vectors, by key."""

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the entries that the cache holds for these keys."""

    def add(self, entries: Mapping[bytes, bytes]) -> None:
        """Store entries, and return after they are stored safely."""

    def close(self) -> None:
        """Close the store. A later use opens it again."""


class Clock(Protocol):
    """A clock, which tests replace so that they need not wait."""

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""

    def wall(self) -> float:
        """Return the seconds since the epoch."""

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Wait in this thread, or until `wake` is set."""

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        """Wait in this task, or until `wake` is set."""


class Listener(Protocol):
    """An observer that raises no errors."""

    def __call__(self, event: Event) -> None:
        """Receive an event."""

    def within(self, call: Call) -> AbstractContextManager[object]:
        """Return the context in which the call runs."""
