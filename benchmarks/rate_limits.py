"""Rate limits of the server: a sliding minute, or token buckets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Protocol

WINDOW_SECONDS = 60.0


class RateLimit(Protocol):
    """Decides whether a request is accepted."""

    def take(self, tokens: int, now: float) -> bool:
        """Accept and count a request with its tokens, or reject it."""


class MinuteLimit:
    """Limits of any sixty seconds, as Voyage documents them; None for no limit."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = requests_per_minute or inf
        self._tokens = tokens_per_minute or inf
        self._taken: deque[tuple[float, int]] = deque()
        self._used = 0

    def take(self, tokens: int, now: float) -> bool:
        """Implement `RateLimit`."""
        while self._taken and self._taken[0][0] <= now - WINDOW_SECONDS:
            self._used -= self._taken.popleft()[1]
        if len(self._taken) + 1 > self._requests or self._used + tokens > self._tokens:
            return False
        self._taken.append((now, tokens))
        self._used += tokens
        return True


@dataclass(slots=True)
class Bucket:
    """A token bucket, of a service that smooths traffic.

    Attributes:
        per_minute: The rate.
        burst: Capacity, in seconds of the rate.
        level: Current content.
        filled_at: Time of `level`.
    """

    per_minute: float
    burst: float
    level: float
    filled_at: float

    @classmethod
    def full(cls, per_minute: float, burst: float, now: float) -> Bucket:
        """Create a full bucket."""
        return cls(per_minute, burst, per_minute / 60 * burst, now)

    def fill(self, now: float) -> None:
        """Update the level."""
        rate = self.per_minute / 60
        self.level = min(rate * self.burst, self.level + rate * (now - self.filled_at))
        self.filled_at = now


class TokenBuckets:
    """A bucket of requests and one of tokens; None for no limit."""

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        burst: float,
        now: float,
    ) -> None:
        self._requests = requests_per_minute and Bucket.full(requests_per_minute, burst, now)
        self._tokens = tokens_per_minute and Bucket.full(tokens_per_minute, burst, now)

    def take(self, tokens: int, now: float) -> bool:
        """Implement `RateLimit`."""
        wanted = [(self._requests, 1), (self._tokens, tokens)]
        held = [(bucket, amount) for bucket, amount in wanted if bucket]
        for bucket, _ in held:
            bucket.fill(now)
        if any(bucket.level < amount for bucket, amount in held):
            return False
        for bucket, amount in held:
            bucket.level -= amount
        return True
