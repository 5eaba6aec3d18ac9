"""The server's rate limits: the most recent minute, or buckets that fill evenly."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Protocol

WINDOW_SECONDS = 60.0


class Allowance(Protocol):
    """Requests and tokens that may still be taken."""

    def take(self, tokens: int, now: float) -> bool:
        """Take one request with so many tokens, or nothing if either does not suffice."""


class WindowAllowance:
    """So much in any minute, as Voyage documents it; None for no limit."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = requests_per_minute or inf
        self._tokens = tokens_per_minute or inf
        self._taken: deque[tuple[float, int]] = deque()
        self._used = 0

    def take(self, tokens: int, now: float) -> bool:
        """See `Allowance`."""
        while self._taken and self._taken[0][0] <= now - WINDOW_SECONDS:
            self._used -= self._taken.popleft()[1]
        if len(self._taken) + 1 > self._requests or self._used + tokens > self._tokens:
            return False
        self._taken.append((now, tokens))
        self._used += tokens
        return True


@dataclass(slots=True)
class Bucket:
    """One limit of a service that smooths traffic.

    Attributes:
        per_minute: The rate.
        burst: Seconds of the rate that may be saved up.
        level: What may be taken now.
        filled_at: When `level` was last true.
    """

    per_minute: float
    burst: float
    level: float
    filled_at: float

    @classmethod
    def full(cls, per_minute: float, burst: float, now: float) -> Bucket:
        """A bucket from which nothing has been taken."""
        return cls(per_minute, burst, per_minute / 60 * burst, now)

    def fill(self, now: float) -> None:
        """Let time pass."""
        rate = self.per_minute / 60
        self.level = min(rate * self.burst, self.level + rate * (now - self.filled_at))
        self.filled_at = now


class BucketAllowance:
    """What two buckets hold; None for no limit."""

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
        """See `Allowance`."""
        wanted = [(self._requests, 1), (self._tokens, tokens)]
        held = [(bucket, amount) for bucket, amount in wanted if bucket]
        for bucket, _ in held:
            bucket.fill(now)
        if any(bucket.level < amount for bucket, amount in held):
            return False
        for bucket, amount in held:
            bucket.level -= amount
        return True
