"""A clock that runs faster, so that minutes of waiting for a rate limit can be looked at."""

from __future__ import annotations

import threading
import time

import anyio


class TimeLapse:
    """Time at many times its speed, for a client and an emulator alike.

    Args:
        speed: Seconds that pass in one real second.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._began = time.monotonic()

    def now(self) -> float:
        """Seconds since the clock was made."""
        return (time.monotonic() - self._began) * self.speed

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Wait in this thread, or until `wake` is set."""
        wake.wait(seconds / self.speed)

    async def asleep(self, seconds: float, wake: anyio.Event) -> None:
        """Wait in this task, or until `wake` is set."""
        with anyio.move_on_after(seconds / self.speed):
            await wake.wait()
