"""Who may send when. Books time, never spends it.

One `Pace` stands for one budget of the account: a host, a key and a model. Requests of every
thread, task and object that share the budget book their turns here; after a 429 all of them wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds on a clock that never goes back."""


class Turn:
    """One attempt's place in the queue of its budget.

    Attributes:
        sent_at: When it was let go, None while it waits.
    """

    __slots__ = ("_not_before", "_pace", "sent_at")

    def __init__(self, pace: Pace, not_before: float) -> None:
        self._pace = pace
        self._not_before = not_before
        self.sent_at: float | None = None

    def wait(self) -> float:
        """Seconds until the attempt may leave; 0 means it leaves now."""
        now = self._pace.now()
        delay = max(self._not_before, self._pace.held_until) - now
        if delay <= 0:
            self.sent_at = now
            return 0.0
        return delay

    def age(self) -> float:
        """Seconds since it left."""
        return 0.0 if self.sent_at is None else self._pace.now() - self.sent_at


class Pace:
    """The turns of one budget.

    Attributes:
        held_until: When anybody may go again.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock
        self.held_until = float("-inf")
        self._lock = threading.Lock()

    def book(self, delay: float = 0.0) -> Turn:
        """Take a place in the queue, for `delay` seconds from now or later."""
        return Turn(self, self.now() + delay)

    def hold(self, seconds: float) -> None:
        """Let nobody go for so long: the service said that it is too much."""
        with self._lock:
            self.held_until = max(self.held_until, self.now() + seconds)
