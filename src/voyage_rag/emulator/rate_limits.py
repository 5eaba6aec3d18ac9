"""Rate limits: requests and tokens per minute, for each key and model.

Each limit is a token bucket that holds `burst_seconds` of its rate and refills evenly. A request
that exceeds either limit takes from neither and receives a 429 with the service's message for the
free tier or for a paying project. The service sends no Retry-After; the emulator can.
"""

import math

from voyage_rag.emulator.arguments import RejectedRequest
from voyage_rag.emulator.options import EmulatorOptions
from voyage_rag.emulator.responses import PAYMENT_NOTICE, retry_after

FREE_REQUESTS_PER_MINUTE, FREE_TOKENS_PER_MINUTE = 3, 10_000
"""Limits of an account without a payment method."""

_ADVICE = "https://www.mongodb.com/docs/voyageai/management/rate-limits/#manage-rate-limits"


class TokenBucket:
    """One limit, of `per_minute` requests or tokens."""

    def __init__(self, per_minute: int, burst_seconds: float, now: float) -> None:
        self.per_minute = per_minute
        self._capacity = per_minute * burst_seconds / 60
        self._level = self._capacity
        self._filled_at = now

    def seconds_until(self, amount: int, now: float) -> float:
        """Return the seconds until `amount` may be taken: 0 for now, infinity for never.

        A full bucket also allows an amount between its capacity and the limit: its level becomes
        negative, so that the average rate stays within the limit.
        """
        self._level += (now - self._filled_at) * self.per_minute / 60
        self._level = min(self._capacity, self._level)
        self._filled_at = now
        if amount > self.per_minute:
            return math.inf
        return max(0.0, min(amount, self._capacity) - self._level) * 60 / self.per_minute

    def take(self, amount: int) -> None:
        """Take an amount that `seconds_until` allowed."""
        self._level -= amount

    @property
    def used(self) -> int:
        """The amount that was taken and has not been refilled."""
        return round(self._capacity - self._level)


class EmulatedRateLimits:
    """The buckets of every key and model."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        free = options.free_tier
        limits = {
            "requests": options.requests_per_minute or (free and FREE_REQUESTS_PER_MINUTE),
            "tokens": options.tokens_per_minute or (free and FREE_TOKENS_PER_MINUTE),
        }
        self._limits = {name: limit for name, limit in limits.items() if limit}
        self._buckets: dict[tuple[str, str], dict[str, TokenBucket]] = {}

    def take(self, key: str, model: str, tokens: int) -> None:
        """Count one request, or raise a `RejectedRequest` with status 429 and count nothing."""
        now, amounts = self._options.clock(), {"requests": 1, "tokens": tokens}
        if (key, model) not in self._buckets:
            self._buckets[key, model] = {
                name: TokenBucket(limit, self._options.burst_seconds, now)
                for name, limit in self._limits.items()
            }
        buckets = self._buckets[key, model]
        for name, bucket in buckets.items():
            if seconds := bucket.seconds_until(amounts[name], now):
                free = self._options.free_tier
                detail = PAYMENT_NOTICE if free else _detail(name, bucket, model)
                raise RejectedRequest(429, detail, headers=self._retry_after(seconds))
        for name, bucket in buckets.items():
            bucket.take(amounts[name])

    def _retry_after(self, seconds: float) -> dict[str, str]:
        if self._options.retry_after is None or math.isinf(seconds):
            return {}
        return retry_after(math.ceil(seconds), as_date=self._options.retry_after == "date")


def _detail(name: str, bucket: TokenBucket, model: str) -> str:
    """Return the message for a paying project that exceeded a limit, as recorded in 2026."""
    if name == "requests":
        return (
            "You have exceeded your project's Requests Per Minute (RPM) rate limit of "
            f"{bucket.per_minute:,} requests per minute for {model}. See our documentation for "
            "ways to avoid this or to increase the project's rate limits on the dashboard: "
            f"{_ADVICE}"
        )
    return (
        "You have exceeded the project's Tokens Per Minute (TPM) rate limit of "
        f"{bucket.per_minute:,} tokens per minute for {model}. In the minute before this request, "
        f"you used {bucket.used:,} tokens. See our documentation for ways to avoid or increase the "
        f"project rate limits on the dashboard. {_ADVICE}"
    )
