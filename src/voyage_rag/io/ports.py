"""Interfaces that the driver needs: a transport, and listeners."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

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


class Listener(Protocol):
    """An observer that raises no errors."""

    def __call__(self, event: Event) -> None:
        """Receive an event."""

    def within(self, call: Call) -> AbstractContextManager[object]:
        """Return the context in which the call runs."""
