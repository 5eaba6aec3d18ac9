"""Time, as something that can be handed in: tests bring a clock that needs no waiting."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the drivers and the retry policy know of time."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Wait in this thread, or until `wake` is set."""

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        """Wait in this task, or until `wake` is set."""


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall(self) -> float:
        """See `Clock`."""
        return time.time()

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """See `Clock`. A signal interrupts it, as it does any wait on an event."""
        wake.wait(seconds)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        """See `Clock`."""
        with anyio.move_on_after(seconds):
            await wake.wait()


SYSTEM_CLOCK = SystemClock()
