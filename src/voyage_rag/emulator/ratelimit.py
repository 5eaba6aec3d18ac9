"""Rate limits: so many requests and tokens a minute, for each key and model.

Each limit is a bucket that holds `burst_seconds` of its rate and fills evenly. A request that finds
too little in either takes from neither and is answered 429 in the service's words: those of the
free tier, or those a paying project gets. The service sends no Retry-After; the emulator can.
"""

import math

from voyage_rag.emulator.answers import PAYMENT, retry_after
from voyage_rag.emulator.options import Options
from voyage_rag.emulator.rules import Refusal

FREE_REQUESTS, FREE_TOKENS = 3, 10_000
"""Per minute, without a payment method."""

_ADVICE = "https://www.mongodb.com/docs/voyageai/management/rate-limits/#manage-rate-limits"


class Bucket:
    """One limit of so much a minute."""

    def __init__(self, limit: int, burst_seconds: float, now: float) -> None:
        self.limit = limit
        self._capacity = limit * burst_seconds / 60
        self._level = self._capacity
        self._filled_at = now

    def wait_for(self, amount: int, now: float) -> float:
        """Return the seconds until `amount` may be taken: 0 for now, infinity for never.

        More than the bucket holds, but no more than the limit, is lent by a full bucket: it will
        stand below zero, and the rate holds over time.
        """
        self._level += (now - self._filled_at) * self.limit / 60
        self._level = min(self._capacity, self._level)
        self._filled_at = now
        if amount > self.limit:
            return math.inf
        return max(0.0, min(amount, self._capacity) - self._level) * 60 / self.limit

    def take(self, amount: int) -> None:
        """Take what `wait_for` allowed."""
        self._level -= amount

    @property
    def used(self) -> int:
        """What has been taken and not yet filled again."""
        return round(self._capacity - self._level)


class RateLimits:
    """The buckets of every key and model."""

    def __init__(self, options: Options) -> None:
        self._options = options
        limits = {
            "requests": options.requests_per_minute or (options.free_tier and FREE_REQUESTS),
            "tokens": options.tokens_per_minute or (options.free_tier and FREE_TOKENS),
        }
        self._limits = {name: limit for name, limit in limits.items() if limit}
        self._buckets: dict[tuple[str, str], dict[str, Bucket]] = {}

    def admit(self, key: str, model: str, tokens: int) -> None:
        """Book one request of so many tokens.

        Raises:
            Refusal: 429, and nothing is booked.
        """
        now, amounts = self._options.clock(), {"requests": 1, "tokens": tokens}
        if (key, model) not in self._buckets:
            self._buckets[key, model] = {
                name: Bucket(limit, self._options.burst_seconds, now)
                for name, limit in self._limits.items()
            }
        buckets = self._buckets[key, model]
        for name, bucket in buckets.items():
            if wait := bucket.wait_for(amounts[name], now):
                detail = PAYMENT if self._options.free_tier else _explain(name, bucket, model)
                raise Refusal(429, detail, headers=self._retry_after(wait))
        for name, bucket in buckets.items():
            bucket.take(amounts[name])

    def _retry_after(self, wait: float) -> dict[str, str]:
        if self._options.retry_after is None or math.isinf(wait):
            return {}
        return retry_after(math.ceil(wait), as_date=self._options.retry_after == "date")


def _explain(name: str, bucket: Bucket, model: str) -> str:
    """Say which limit of a paying project was met, in the words of live answers of 2026."""
    if name == "requests":
        return (
            "You have exceeded your project's Requests Per Minute (RPM) rate limit of "
            f"{bucket.limit:,} requests per minute for {model}. See our documentation for ways to "
            "avoid this or to increase the project's rate limits on the dashboard: "
            f"{_ADVICE}"
        )
    return (
        "You have exceeded the project's Tokens Per Minute (TPM) rate limit of "
        f"{bucket.limit:,} tokens per minute for {model}. In the minute before this request, you "
        f"used {bucket.used:,} tokens. See our documentation for ways to avoid or increase the "
        f"project rate limits on the dashboard. {_ADVICE}"
    )
