"""A service with rate limits and clients with a `RateLimiter`, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import NO_LIMITS, RateLimits


class Service(Protocol):
    """Decides whether it accepts a request."""

    def takes(self, now: float, tokens: float) -> bool: ...


class Everything:
    """A service without limits."""

    def takes(self, now: float, tokens: float) -> bool:
        return True


class Bucket:
    """Accepts what a token bucket holds: it smooths traffic."""

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
    """Accepts so much in any sixty seconds, as Voyage documents it."""

    def __init__(self, requests: float, tokens: float) -> None:
        self._requests, self._tokens = requests, tokens
        self._taken: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def takes(self, now: float, tokens: float) -> bool:
        while self._taken and self._taken[0][0] <= now - 60:
            self._used -= self._taken.popleft()[1]
        if len(self._taken) + 1 > self._requests or self._used + tokens > self._tokens:
            return False
        self._taken.append((now, tokens))
        self._used += tokens
        return True


class OneEvery:
    """Accepts one request every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = 0.0

    def takes(self, now: float, tokens: float) -> bool:
        if now < self._next_at:
            return False
        self._next_at = now + self._seconds
        return True


class Outage:
    """Refuses everything for a while."""

    def __init__(self, begins: float, ends: float) -> None:
        self._begins, self._ends = begins, ends

    def takes(self, now: float, tokens: float) -> bool:
        return not self._begins < now < self._ends


class Stray:
    """Refuses now and then, for no reason."""

    def __init__(self, service: Service, share: float, seed: int = 0) -> None:
        self._service, self._share = service, share
        self._random = random.Random(seed)

    def takes(self, now: float, tokens: float) -> bool:
        return self._random.random() >= self._share and self._service.takes(now, tokens)


@dataclass
class Run:
    """What became of a simulated piece of work."""

    seconds: float = 0.0
    sent: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    most_attempts: int = 0
    query_seconds: list[float] = field(default_factory=list)

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
    sizes: Sequence[float],
    *,
    given: RateLimits = NO_LIMITS,
    named: RateLimits = NO_LIMITS,
    workers: int = 16,
    latency: Callable[[float], float] = lambda tokens: 0.1 + 5e-6 * tokens,
    overestimate: float = 1.05,
    seed: int = 0,
    queries_at: Sequence[float] = (),
) -> Run:
    """Send requests of these sizes, `workers` at a time, until the service has accepted all.

    Args:
        service: Accepts requests or not.
        sizes: Tokens of each request of a job.
        given: Limits that the user gives.
        named: Limits that a 429 names.
        workers: Requests of the job in flight at once.
        latency: Seconds a request of so many tokens takes.
        overestimate: What a request is expected to cost, as a multiple of what it costs.
        seed: Of the jitter.
        queries_at: When somebody asks a question of 20 tokens.
    """
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    limiter.keep_to(given)
    chance = random.Random(seed)
    todo = deque(sizes)
    run = Run()
    numbers = itertools.count()
    reservations: dict[int, tuple[Reservation, float, int]] = {}
    agenda: list[tuple[float, int, int, bool | None]] = []
    began: dict[int, float] = {}

    def at(time: float, worker: int, answer: bool | None) -> None:
        heapq.heappush(agenda, (time, next(numbers), worker, answer))

    for worker in range(workers):
        at(0.0, worker, None)
    for number, time in enumerate(queries_at):
        began[workers + number] = time
        at(time, workers + number, None)
    while agenda:
        now[0], _, worker, answer = heapq.heappop(agenda)
        is_query = worker in began
        if answer is None:
            if worker not in reservations:
                if not is_query and not todo:
                    continue
                size = 20.0 if is_query else todo.popleft()
                reservation = limiter.reserve(size * overestimate, is_query=is_query)
                reservations[worker] = reservation, size, 1
            reservation, size, _ = reservations[worker]
            if (delay := reservation.wait()) > 0:
                at(now[0] + delay, worker, None)
                continue
            run.sent.append((now[0], size))
            taken = service.takes(now[0], size)
            at(now[0] + (latency(size) if taken else 0.1), worker, taken)
            continue
        reservation, size, attempts = reservations[worker]
        run.most_attempts = max(run.most_attempts, attempts)
        if answer:
            reservation.record_accepted(int(size))
            del reservations[worker]
            if is_query:
                run.query_seconds.append(now[0] - began[worker])
                continue
        else:
            run.refused += 1
            reservation.record_refused(None, named)
            backoff = min(32.0, 0.5 * 2.0 ** (attempts - 1)) * (1 - 0.25 * chance.random())
            retry = limiter.reserve(size * overestimate, backoff, is_query=is_query)
            reservations[worker] = retry, size, attempts + 1
        at(now[0], worker, None)
    run.seconds = now[0]
    return run
