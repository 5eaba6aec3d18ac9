"""The clock: its interface, for replacements in tests, and the system's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import anyio


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
