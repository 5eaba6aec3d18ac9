"""Share the rate limits of an account across a Ray cluster with a named actor.

The actor contains the `RateLimiter` that the threads of one process would otherwise share. Every
worker has a `SharedRateLimiter` as its proxy. Times are sent as seconds from now, because the
clocks of two machines differ.

A call to the actor costs more than the decision itself, so calls are rare: responses are reported
in groups, and requests do not ask while no limit is known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4
from weakref import WeakKeyDictionary

from voyage_rag.core.rate_limiter import Clock, RateLimiter
from voyage_rag.core.rate_limits import RateLimits
from voyage_rag.core.sliding_window import WINDOW_SECONDS, Slot

NAMESPACE = "voyage-rag"
REFRESH_SECONDS = 0.5
"""Interval after which a worker asks whether other workers have reached a limit."""
REPORT_SECONDS = 0.1
"""Time for which responses are collected before they are reported together."""

SlotId = tuple[str, int]
"""Identifies a worker and its request."""


class AcceptedSlot(NamedTuple):
    """A request that the service accepted. `id` is None if it was sent without asking."""

    id: SlotId | None
    expected: float
    billed: int


class State(NamedTuple):
    """The state of the actor; see `RateLimiter`."""

    generation: int
    limits: RateLimits
    known: bool
    is_open: bool


class LimiterActor:
    """The actor. Workers call its methods, one call at a time."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._limiter = RateLimiter(clock)
        self._slots: dict[SlotId, tuple[Slot, float]] = {}

    def state(self, reports: Sequence[AcceptedSlot] = ()) -> State:
        """Return the state after taking these responses into account."""
        for slot_id, expected, billed in reports:
            self._limiter.record_accepted(self._taken(slot_id, expected), billed)
        limiter = self._limiter
        return State(limiter.generation, limiter.limits, limiter.known, limiter.is_open)

    def ask(
        self,
        slot_id: SlotId,
        tokens: float,
        given: RateLimits,
        reports: Sequence[AcceptedSlot] = (),
        is_query: bool = False,
    ) -> tuple[float, State]:
        """Return the seconds until a request may be sent; at 0 it is sent."""
        self.state(reports)
        self._limiter.keep_to(given)
        now = self._limiter.now()
        slot, _ = self._slots.get(slot_id) or (Slot(tokens, is_query=is_query), now)
        self._slots[slot_id] = slot, now
        slot.tokens = tokens
        delay = self._limiter.ask(slot)
        self._forget(now)
        return delay, self.state()

    def cancel(self, slot_id: SlotId) -> None:
        """Cancel a waiting request."""
        if slot_id in self._slots:
            self._limiter.cancel(self._slots.pop(slot_id)[0])

    def record_refused(
        self,
        slot_id: SlotId | None,
        expected: float,
        retry_after: float | None,
        named: RateLimits,
        generation: int,
        reports: Sequence[AcceptedSlot] = (),
    ) -> State:
        """Record that the service responded with a 429."""
        self.state(reports)
        slot = self._taken(slot_id, expected)
        slot.generation = generation
        self._limiter.record_refused(slot, retry_after, named)
        return self.state()

    def _taken(self, slot_id: SlotId | None, expected: float) -> Slot:
        slot, _ = self._slots.pop(slot_id, (None, 0.0)) if slot_id else (None, 0.0)
        return slot or self._limiter.record_sent(expected)

    def _forget(self, now: float) -> None:
        """Remove the slots of workers that died, which are never reported."""
        old = [slot_id for slot_id, (_, at) in self._slots.items() if at < now - 2 * WINDOW_SECONDS]
        for slot_id in old:
            del self._slots[slot_id]


class SharedRateLimiter(RateLimiter):
    """The proxy of a `LimiterActor` in a worker. `wait` returns the result of a call: `ray.get`."""

    def __init__(self, clock: Clock, actor: Any, wait: Any) -> None:
        super().__init__(clock)
        self._actor = actor
        self._wait = wait
        self._is_open = False
        self._refreshed_at = self._reported_at = clock()
        self._worker = uuid4().hex
        self._numbers = count()
        self._ids: WeakKeyDictionary[Slot, SlotId] = WeakKeyDictionary()
        self._reports: list[AcceptedSlot] = []
        self._mutex = threading.Lock()

    @property
    def is_open(self) -> bool:
        """See `RateLimiter`. Valid while the actor's last reply is recent."""
        return self._is_open and self.now() - self._refreshed_at < REFRESH_SECONDS

    def keep_to(self, limits: RateLimits) -> None:
        """See `RateLimiter`. The actor receives the limits with the next request."""
        if limits and limits != self._given:
            self._given = self.limits = limits
            self.known = True
            self._is_open = False

    def ask(self, slot: Slot) -> float:
        """See `RateLimiter`."""
        delay = 0.0
        if not self.is_open:
            slot_id = self._ids.setdefault(slot, (self._worker, next(self._numbers)))
            delay, state = self._wait(
                self._actor.ask.remote(
                    slot_id, slot.tokens, self._given, self._unreported(), slot.is_query
                )
            )
            self._apply(state)
        now = self.now()
        slot.allowed_at = now + delay
        if delay <= 0:
            slot.sent_at, slot.generation = now, self.generation
        return delay

    def cancel(self, slot: Slot) -> None:
        """See `RateLimiter`."""
        if slot_id := self._ids.pop(slot, None):
            self._actor.cancel.remote(slot_id)

    def record_accepted(self, slot: Slot, billed: int) -> None:
        """See `RateLimiter`. Does not wait for the actor."""
        with self._mutex:
            self._throughput.requests += 1  # for `has_accepted`
            slot_id = self._ids.pop(slot, None)
            self._reports.append(AcceptedSlot(slot_id, slot.tokens, billed))
            is_due = self.now() - self._reported_at > REPORT_SECONDS
        if is_due:
            self._actor.state.remote(self._unreported())

    def record_refused(self, slot: Slot, retry_after: float | None, named: RateLimits) -> None:
        """See `RateLimiter`."""
        call = self._actor.record_refused.remote(
            self._ids.pop(slot, None),
            slot.tokens,
            retry_after,
            named,
            slot.generation,
            self._unreported(),
        )
        self._apply(self._wait(call))

    def _unreported(self) -> list[AcceptedSlot]:
        """Return the responses that the actor has not received; the caller sends them."""
        with self._mutex:
            reports, self._reports = self._reports, []
            self._reported_at = self.now()
            return reports

    def _apply(self, state: State) -> None:
        self.generation, self.limits, self.known, self._is_open = state
        self._refreshed_at = self.now()
