"""A service with rate limits and clients with a `RateLimiter`, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import RateLimits

NOTHING_NAMED = RateLimits()


class Service(Protocol):
    """Decides whether it takes a request."""

    def takes(self, now: float, tokens: float) -> bool: ...


class Bucket:
    """Takes what a token bucket holds."""

    def __init__(self, tokens_per_minute: float, burst_seconds: float) -> None:
        self._rate = tokens_per_minute / 60
        self._capacity = self._level = self._rate * burst_seconds
        self._at = 0.0

    def takes(self, now: float, tokens: float) -> bool:
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < tokens:
            return False
        self._level -= tokens
        return True


class Minute:
    """Takes so much in any sixty seconds, as Voyage documents it."""

    def __init__(self, requests: float, tokens: float) -> None:
        self._requests, self._tokens = requests, tokens
        self._taken: deque[tuple[float, float]] = deque()

    def takes(self, now: float, tokens: float) -> bool:
        while self._taken and self._taken[0][0] <= now - 60:
            self._taken.popleft()
        used = sum(tokens for _, tokens in self._taken)
        if len(self._taken) + 1 > self._requests or used + tokens > self._tokens:
            return False
        self._taken.append((now, tokens))
        return True


@dataclass
class Run:
    """What became of a simulated piece of work."""

    seconds: float = 0.0
    sent: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    most_attempts: int = 0

    @property
    def share_refused(self) -> float:
        return self.refused / len(self.sent)

    def most_in_a_minute(self) -> tuple[int, float]:
        """The fullest sixty seconds: requests, tokens."""
        requests, tokens = 0, 0.0
        for start, _ in self.sent:
            inside = [t for at, t in self.sent if start <= at < start + 60]
            requests, tokens = max(requests, len(inside)), max(tokens, sum(inside))
        return requests, tokens


def simulate(
    service: Service,
    sizes: list[float],
    *,
    given: RateLimits = NOTHING_NAMED,
    named: RateLimits = NOTHING_NAMED,
    workers: int = 16,
    latency: Callable[[float], float] = lambda tokens: 0.1 + 5e-6 * tokens,
    overestimate: float = 1.05,
    seed: int = 0,
) -> Run:
    """Send requests of these sizes, `workers` at a time, until the service has taken all."""
    now = [0.0]
    pace = RateLimiter(lambda: now[0])
    pace.keep_to(given)
    chance = random.Random(seed)
    todo = deque(sizes)
    run = Run()
    numbers = itertools.count()
    turns: dict[int, tuple[Reservation, float, int]] = {}
    agenda: list[tuple[float, int, int, bool | None]] = []

    def at(time: float, worker: int, answer: bool | None) -> None:
        heapq.heappush(agenda, (time, next(numbers), worker, answer))

    for worker in range(workers):
        at(0.0, worker, None)
    while agenda:
        now[0], _, worker, answer = heapq.heappop(agenda)
        if answer is None:
            if worker not in turns:
                if not todo:
                    continue
                size = todo.popleft()
                turns[worker] = pace.book(size * overestimate), size, 1
            turn, size, _ = turns[worker]
            if (delay := turn.wait()) > 0:
                at(now[0] + delay, worker, None)
                continue
            run.sent.append((now[0], size))
            taken = service.takes(now[0], size)
            at(now[0] + (latency(size) if taken else 0.1), worker, taken)
            continue
        turn, size, attempts = turns[worker]
        if answer:
            turn.accepted(int(size))
            del turns[worker]
        else:
            run.refused += 1
            turn.refused(None, named)
            backoff = min(32.0, 2.0 ** (attempts - 1)) * (1 - 0.25 * chance.random())
            turns[worker] = pace.book(size * overestimate, backoff), size, attempts + 1
        run.most_attempts = max(run.most_attempts, attempts)
        at(now[0], worker, None)
    run.seconds = now[0]
    return run
