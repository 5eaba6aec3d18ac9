"""One account's rate budget for a whole Ray cluster: a named actor books time for everybody.

The actor holds a `RateLimiter`, as a process does for its threads. In every worker a
`SharedRateLimiter` stands for it: turns are booked there and waited for here. Times travel as
seconds from now, since the clocks of two machines have nothing to do with each other.

A call to an actor costs more than booking does, so there are few: answers travel together, and as
long as nobody knows of a limit nobody books.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from voyage_rag.core.rate_limiter import WINDOW, Clock, RateLimiter, Slot
from voyage_rag.core.rate_limits import RateLimits

NAMESPACE = "voyage-rag"
ASKED_AGAIN = 0.5
"""Seconds after which a worker asks whether others met a limit in the meantime."""
TOLD_AFTER = 0.1
"""Seconds that answers are kept, to tell the actor of several at once."""


class Answer(NamedTuple):
    """A request that the service took.

    Attributes:
        number: That of its booking, None if it left without.
        expected: Tokens it was expected to cost.
        billed: Tokens it did cost.
    """

    number: int | None
    expected: float
    billed: int


@dataclass(frozen=True, slots=True)
class State:
    """What the actor keeps to.

    Attributes:
        era: See `RateLimiter`.
        limits: See `RateLimiter`.
        known: See `RateLimiter`.
        is_open: See `RateLimiter`.
    """

    generation: int
    limits: RateLimits
    known: bool
    is_open: bool


class Bookkeeper:
    """The actor. Its methods are called by workers, one after the other."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._pace = RateLimiter(clock)
        self._bookings: dict[int, Slot] = {}
        self._last = 0

    def state(self, answers: Sequence[Answer] = ()) -> State:
        """What it keeps to, having heard of these answers."""
        self._hear(answers)
        pace = self._pace
        return State(pace.generation, pace.limits, pace.known, pace.is_open)

    def place(
        self, given: RateLimits, tokens: float, answers: Sequence[Answer] = ()
    ) -> tuple[int, float, State]:
        """Book so many tokens: the booking's number, and the seconds until it is due."""
        self._hear(answers)
        self._pace.keep_to(given)
        booking = self._pace.place(tokens)
        now = self._pace.now()
        self._forget(now)
        self._last += 1
        self._bookings[self._last] = booking
        return self._last, booking.at - now, self.state()

    def refused(
        self,
        generation: int,
        retry_after: float | None,
        named: RateLimits,
        answers: Sequence[Answer] = (),
    ) -> State:
        """The service refused a request for the rate."""
        self._hear(answers)
        self._pace.refused(generation, retry_after, named)
        return self.state()

    def _hear(self, answers: Sequence[Answer]) -> None:
        for number, expected, billed in answers:
            booking = None if number is None else self._bookings.pop(number, None)
            self._pace.accepted(booking, expected, billed)

    def _forget(self, now: float) -> None:
        """Bookings whose worker died, or was refused, are never answered."""
        old = [number for number, it in self._bookings.items() if it.at < now - 2 * WINDOW]
        for number in old:
            del self._bookings[number]


class Ticket(Slot):
    """A booking that is kept elsewhere."""

    __slots__ = ("number",)

    def __init__(self, number: int, at: float, tokens: float) -> None:
        super().__init__(at, tokens)
        self.number = number


class SharedRateLimiter(RateLimiter):
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
        self._is_open = False
        self._asked_at = self._told_at = clock()
        self._asking = threading.Lock()
        self._answers: list[Answer] = []
        self._telling = threading.Lock()

    @property
    def known(self) -> bool:
        """See `RateLimiter`."""
        return self._known

    @property
    def is_open(self) -> bool:
        """See `RateLimiter`. For as long as what the actor said is worth something."""
        return self._is_open and self.now() - self._asked_at < ASKED_AGAIN

    def keep_to(self, limits: RateLimits) -> None:
        """See `RateLimiter`. The actor is told with the next booking."""
        if limits and limits != self._given:
            self._given = self.limits = limits
            self._known = True
            self._is_open = False

    def place(self, tokens: float) -> Slot:
        """See `RateLimiter`."""
        if self.is_open:
            return Slot(self.now(), tokens)
        number, delay, state = self._wait(
            self._actor.place.remote(self._given, tokens, self._untold())
        )
        self._learn(state)
        return Ticket(number, self.now() + delay, tokens)

    def delay(self, booking: Slot) -> float:
        """See `RateLimiter`. What others met while this worker waited counts, too."""
        delay = super().delay(booking)
        if delay <= 0:
            return delay
        with self._asking:
            if self.now() - self._asked_at > ASKED_AGAIN:
                self._learn(self._wait(self._actor.state.remote(self._untold())))
        return min(delay, ASKED_AGAIN)

    def accepted(self, booking: Slot | None, expected: float, billed: int) -> None:
        """See `RateLimiter`. Nobody waits for the actor to hear of it."""
        number = booking.number if isinstance(booking, Ticket) else None
        with self._telling:
            self._answers.append(Answer(number, expected, billed))
            is_due = self.now() - self._told_at > TOLD_AFTER
        if is_due:
            self._actor.state.remote(self._untold())

    def refused(self, generation: int, retry_after: float | None, named: RateLimits) -> None:
        """See `RateLimiter`."""
        self._learn(
            self._wait(self._actor.refused.remote(generation, retry_after, named, self._untold()))
        )

    def _untold(self) -> list[Answer]:
        """The answers that the actor has not heard of; it will now."""
        with self._telling:
            answers, self._answers = self._answers, []
            self._told_at = self.now()
            return answers

    def _learn(self, state: State) -> None:
        self.generation, self.limits, self._known = state.generation, state.limits, state.known
        self._is_open = state.is_open
        self._asked_at = self.now()
