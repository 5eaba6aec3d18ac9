"""One account's rate budget for a whole Ray cluster: a named actor books time for everybody.

The actor holds a `Pace`, as a process does for its threads. In every worker a `SharedPace` stands
for it: turns are booked there and waited for here. Times travel as seconds from now, since the
clocks of two machines have nothing to do with each other.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from voyage_rag.core.pacing import WINDOW, Booking, Clock, Pace, RateLimits

NAMESPACE = "voyage-rag"
ASKED_AGAIN = 0.5
"""Seconds after which a worker that waits asks whether others met a limit in the meantime."""


@dataclass(frozen=True, slots=True)
class State:
    """What the actor keeps to.

    Attributes:
        era: See `Pace`.
        limits: See `Pace`.
        known: See `Pace`.
    """

    era: int
    limits: RateLimits
    known: bool


class Bookkeeper:
    """The actor. Its methods are called by workers, one after the other."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._pace = Pace(clock)
        self._bookings: dict[int, Booking] = {}
        self._last = 0

    def state(self) -> State:
        """What it keeps to."""
        return State(self._pace.era, self._pace.limits, self._pace.known)

    def place(self, given: RateLimits, tokens: float) -> tuple[int, float, State]:
        """Book so many tokens: the booking's number, and the seconds until it is due."""
        self._pace.keep_to(given)
        booking = self._pace.place(tokens)
        now = self._pace.now()
        self._forget(now)
        self._last += 1
        self._bookings[self._last] = booking
        return self._last, booking.at - now, self.state()

    def accepted(self, number: int | None, expected: float, billed: int) -> None:
        """The service took a request."""
        booking = None if number is None else self._bookings.pop(number, None)
        self._pace.accepted(booking, expected, billed)

    def refused(self, era: int, retry_after: float | None, named: RateLimits) -> State:
        """The service refused a request for the rate."""
        self._pace.refused(era, retry_after, named)
        return self.state()

    def _forget(self, now: float) -> None:
        """Bookings whose worker died, or was refused, are never answered."""
        old = [number for number, it in self._bookings.items() if it.at < now - 2 * WINDOW]
        for number in old:
            del self._bookings[number]


class Ticket(Booking):
    """A booking that is kept elsewhere."""

    __slots__ = ("number",)

    def __init__(self, number: int, at: float, tokens: float) -> None:
        super().__init__(at, tokens)
        self.number = number


class SharedPace(Pace):
    """Stands for the actor in a worker.

    Args:
        clock: The worker's.
        actor: A handle of a `Bookkeeper` that runs as an actor.
        wait: Waits for a call and gives its answer: `ray.get`.
    """

    def __init__(self, clock: Clock, actor: Any, wait: Any) -> None:
        super().__init__(clock)
        self._actor = actor
        self._wait = wait
        self._known = False
        self._asked_at = clock()
        self._asking = threading.Lock()

    @property
    def known(self) -> bool:
        """See `Pace`."""
        return self._known

    def keep_to(self, limits: RateLimits) -> None:
        """See `Pace`. The actor is told with the next booking."""
        if limits and limits != self._given:
            self._given = self.limits = limits
            self._known = True

    def place(self, tokens: float) -> Booking:
        """See `Pace`."""
        number, delay, state = self._wait(self._actor.place.remote(self._given, tokens))
        self._learn(state)
        return Ticket(number, self.now() + delay, tokens)

    def delay(self, booking: Booking) -> float:
        """See `Pace`. What others met while this worker waited counts, too."""
        delay = super().delay(booking)
        if delay <= 0:
            return delay
        with self._asking:
            if self.now() - self._asked_at > ASKED_AGAIN:
                self._learn(self._wait(self._actor.state.remote()))
        return min(delay, ASKED_AGAIN)

    def accepted(self, booking: Booking | None, expected: float, billed: int) -> None:
        """See `Pace`. Nobody waits for the actor to hear of it."""
        number = booking.number if isinstance(booking, Ticket) else None
        self._actor.accepted.remote(number, expected, billed)

    def refused(self, era: int, retry_after: float | None, named: RateLimits) -> None:
        """See `Pace`."""
        self._learn(self._wait(self._actor.refused.remote(era, retry_after, named)))

    def _learn(self, state: State) -> None:
        self.era, self.limits, self._known = state.era, state.limits, state.known
        self._asked_at = self.now()
