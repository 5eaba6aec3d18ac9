"""Rate limits per minute: passed by the user, named by a 429, or measured."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from math import floor, inf, sqrt

MINUTE_SECONDS, MEASURED_SECONDS = 60.0, 10.0
TOKENS_BIND_FROM = 2_000.0
"""Tokens per request from which a 429 without a reason is attributed to the limit of tokens: tier 1
has 2,000 requests and 3 to 16 million tokens a minute.
"""

MAX_REQUESTS_PER_MINUTE, MAX_TOKENS_PER_MINUTE = 1e6, 1e10
"""A hundred times the limits of any tier (docs: "Rate Limits")."""

QUERY_SHARE_OF_REQUESTS, QUERY_SHARE_OF_TOKENS = 0.1, 0.05
MAX_QUERY_REQUESTS_PER_MINUTE, MAX_QUERY_TOKENS_PER_MINUTE = 60.0, 20_000.0
"""The share that jobs leave to queries, which are short and rare."""

NAMED_REQUESTS = re.compile(r"RPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_TOKENS = re.compile(r"TPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_FREE_TIER = re.compile(
    r"\b([1-9][0-9,]{0,12})\s*RPM and\s*([1-9][0-9,]{0,9})\s*K\s*TPM", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of one budget; None if there is none, or it is unknown."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __bool__(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    @property
    def is_beyond_any_tier(self) -> bool:
        """Whether the limits are higher than those of any account."""
        requests, tokens = self.requests_per_minute or 0.0, self.tokens_per_minute or 0.0
        return requests > MAX_REQUESTS_PER_MINUTE or tokens > MAX_TOKENS_PER_MINUTE

    @property
    def for_jobs(self) -> RateLimits:
        """The part of the limits that jobs may use; the rest is for queries."""
        requests, tokens = self.requests_per_minute, self.tokens_per_minute
        return RateLimits(
            requests
            and requests
            - min(floor(requests * QUERY_SHARE_OF_REQUESTS), MAX_QUERY_REQUESTS_PER_MINUTE),
            tokens and tokens - min(tokens * QUERY_SHARE_OF_TOKENS, MAX_QUERY_TOKENS_PER_MINUTE),
        )

    def tokens_of_a_request(self, tokens: int) -> int:
        """Return `tokens`, limited to what a request of a job may use in a minute."""
        per_minute = self.tokens_per_minute and self.for_jobs.tokens_per_minute
        return tokens if per_minute is None else min(tokens, int(per_minute))

    def are_exceeded_by(self, requests: int, tokens: float) -> bool:
        """Return whether this amount of work in a minute exceeds the limits."""
        return requests > (self.requests_per_minute or inf) or (
            tokens > (self.tokens_per_minute or inf)
        )

    def forecast(self, requests: int, tokens: float) -> float:
        """Return the seconds that this amount of work takes."""
        return self.seconds(tokens / max(1, requests)) * requests

    def seconds(self, tokens: float) -> float:
        """Return the seconds of a minute's limit that a request with these tokens uses."""
        return 60.0 * max(
            1 / (self.requests_per_minute or inf), tokens / (self.tokens_per_minute or inf)
        )

    def __str__(self) -> str:
        parts = []
        if self.requests_per_minute is not None:
            plural = "" if self.requests_per_minute == 1 else "s"
            parts.append(f"{self.requests_per_minute:,.0f} request{plural}")
        if self.tokens_per_minute is not None:
            parts.append(f"{self.tokens_per_minute:,.0f} tokens")
        return " and ".join(parts) + " per minute"


NO_LIMITS = RateLimits()


def limits_in_message(detail: str) -> RateLimits:
    """Return the limits that the text of a 429 names: those of the free tier or of Atlas."""
    if free := NAMED_FREE_TIER.search(detail):
        return RateLimits(_number(free[1]), 1_000 * _number(free[2]))
    requests, tokens = NAMED_REQUESTS.search(detail), NAMED_TOKENS.search(detail)
    return RateLimits(requests and _number(requests[1]), tokens and _number(tokens[1]))


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def scaled(limits: RateLimits, factor: float) -> RateLimits:
    """Return both limits multiplied by a factor."""
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    return RateLimits(requests and requests * factor, tokens and tokens * factor)


def stricter(one: RateLimits, other: RateLimits) -> RateLimits:
    """Return the lower limit of each kind."""

    def least(a: float | None, b: float | None) -> float | None:
        return min((value for value in (a, b) if value is not None), default=None)

    return RateLimits(
        least(one.requests_per_minute, other.requests_per_minute),
        least(one.tokens_per_minute, other.tokens_per_minute),
    )


class ThroughputMeter:
    """Measures the accepted throughput between 429s, from which the limits are estimated.

    Attributes:
        requests: Number of accepted requests.
        tokens: Their billed tokens.
        idle_seconds: Time without requests, which is excluded from the rate.
        measurements: Number of measured rates.
    """

    __slots__ = ("_began_at", "_marks", "idle_seconds", "measurements", "requests", "tokens")

    def __init__(self, now: float) -> None:
        self.requests: int = 0
        self.tokens: float = 0.0
        self._began_at = now
        self.idle_seconds: float = 0.0
        self._marks: deque[tuple[float, int, float]] = deque([(now, 0, 0.0)])
        self.measurements: int = 0

    def rate_at_refusal(
        self, now: float, last_minute: tuple[int, float], in_flight: tuple[int, float]
    ) -> RateLimits | None:
        """Return the accepted requests or tokens per minute, whichever is probably limited.

        The result is the rate of the last minute, or the rate since an earlier 429 if it is higher.
        The first measurement may include a burst that the service allowed after a pause of unknown
        length: it is the geometric mean of the rates without a burst and with one of a minute.

        Args:
            now: The time.
            last_minute: Requests accepted in the last minute, and their tokens.
            in_flight: Requests without a response that were sent before the rejected one, and their
                tokens. The service has accepted them.

        Returns:
            The rate; None if nothing was accepted.
        """
        now -= self.idle_seconds
        while len(self._marks) > 1 and self._marks[0][0] < now - MEASURED_SECONDS:
            self._marks.popleft()
        since, requests_then, tokens_then = self._marks[0]
        all_requests, all_tokens = self.requests + in_flight[0], self.tokens + in_flight[1]
        requests, tokens = float(last_minute[0]), last_minute[1]
        if all_requests > requests_then and now > since:
            requests = max(requests, 60 * (all_requests - requests_then) / (now - since))
            tokens = max(tokens, 60 * (all_tokens - tokens_then) / (now - since))
        elif now - self._began_at < MINUTE_SECONDS:  # scaled to a whole minute
            part = max(1.0, now - self._began_at) / MINUTE_SECONDS
            requests, tokens = requests / part, tokens / part
        self.measurements += 1
        if self.measurements == 1:
            self._marks.clear()
            requests = sqrt(requests * (last_minute[0] + in_flight[0]))
            tokens = sqrt(tokens * (last_minute[1] + in_flight[1]))
        self._marks.append((now, all_requests, all_tokens))
        if not requests:
            return None
        if tokens / requests >= TOKENS_BIND_FROM:
            return RateLimits(tokens_per_minute=tokens)
        return RateLimits(requests_per_minute=requests)
