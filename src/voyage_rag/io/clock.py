"""The system's clock; `voyage_rag.io.ports.Clock` is the interface for replacements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import anyio


class SystemClock:
    """The real time."""

    def __repr__(self) -> str:
        return "SystemClock()"  # without an address, in signatures that `help` shows

    now: Callable[[], float] = staticmethod(time.monotonic)
    wall: Callable[[], float] = staticmethod(time.time)

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Wait in this thread. A signal interrupts the wait."""
        wake.wait(seconds)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        """Wait in this task."""
        with anyio.move_on_after(seconds):
            await wake.wait()


SYSTEM_CLOCK = SystemClock()
