"""How much in a minute: what the user says, what a refusal names, and what was taken."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from math import inf

MEASURED_SPAN = 10.0
TOKENS_BIND_FROM = 2_000.0
"""Tokens per request from which a refusal without a reason is taken to be about tokens: tier 1 has
2,000 requests and 3 to 16 million tokens a minute."""

MOST_REQUESTS, MOST_TOKENS = 1e6, 1e10
"""Per minute, a hundred times what any tier has (docs: "Rate Limits")."""

NAMED_REQUESTS = re.compile(r"RPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_TOKENS = re.compile(r"TPM\) rate limit of\s+([1-9][0-9,]{0,12})", re.IGNORECASE)
NAMED_FREE_TIER = re.compile(
    r"\b([1-9][0-9,]{0,12})\s*RPM and\s*([1-9][0-9,]{0,9})\s*K\s*TPM", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What an account may send in a minute, None where it is not known.

    Attributes:
        requests_per_minute: Requests.
        tokens_per_minute: Tokens.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __bool__(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    @property
    def is_beyond_all(self) -> bool:
        """Whether no account is limited to so much."""
        requests, tokens = self.requests_per_minute or 0.0, self.tokens_per_minute or 0.0
        return requests > MOST_REQUESTS or tokens > MOST_TOKENS

    def seconds(self, tokens: float) -> float:
        """How much of a minute one request with so many tokens takes up."""
        return 60.0 * max(
            1 / (self.requests_per_minute or inf), tokens / (self.tokens_per_minute or inf)
        )

    def __str__(self) -> str:
        told = []
        if self.requests_per_minute is not None:
            told.append(f"{self.requests_per_minute:,.0f} requests")
        if self.tokens_per_minute is not None:
            told.append(f"{self.tokens_per_minute:,.0f} tokens")
        return " and ".join(told) + " per minute"


def limits_named(detail: str) -> RateLimits:
    """The limits that the text of a 429 names: the free tier's, or one of Atlas's."""
    if free := NAMED_FREE_TIER.search(detail):
        return RateLimits(_number(free[1]), 1_000 * _number(free[2]))
    requests, tokens = NAMED_REQUESTS.search(detail), NAMED_TOKENS.search(detail)
    return RateLimits(requests and _number(requests[1]), tokens and _number(tokens[1]))


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def scaled(limits: RateLimits, factor: float) -> RateLimits:
    """So many times as much."""
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    return RateLimits(requests and requests * factor, tokens and tokens * factor)


def stricter(one: RateLimits, other: RateLimits) -> RateLimits:
    """The lower one of each."""

    def least(a: float | None, b: float | None) -> float | None:
        return min((value for value in (a, b) if value is not None), default=None)

    return RateLimits(
        least(one.requests_per_minute, other.requests_per_minute),
        least(one.tokens_per_minute, other.tokens_per_minute),
    )


class ThroughputMeter:
    """What the service has taken: in the last minute, and between refusals."""

    def __init__(self, now: float) -> None:
        self._requests = 0
        self._tokens = 0
        self._last_minute: deque[tuple[float, int]] = deque()
        self._marks = deque([(now, 0, 0)])
        self._idle = 0.0
        self._unmeasured = True

    def add(self, now: float, tokens: int) -> None:
        """One more request."""
        self._last_minute.append((now, tokens))
        self._requests += 1
        self._tokens += tokens
        while self._last_minute[0][0] <= now - 60:
            self._last_minute.popleft()

    def idle(self, seconds: float) -> None:
        """Nothing was asked for so long: it does not tell what the service would have taken."""
        self._idle += seconds

    def rate_at_refusal(self, now: float) -> RateLimits | None:
        """What it takes in a minute, in the unit that is likely to bind; None if it took nothing.

        At least what it took in the last minute; more, if it took more for its time since a refusal
        some seconds ago. The first measurement, which holds what had been saved up, is used once.
        Time in which nothing was asked does not count.
        """
        now -= self._idle
        while len(self._marks) > 1 and self._marks[0][0] < now - MEASURED_SPAN:
            self._marks.popleft()
        since, requests_then, tokens_then = self._marks[0]
        requests: float = len(self._last_minute)
        tokens: float = sum(tokens for _, tokens in self._last_minute)
        if self._requests > requests_then and now > since:
            requests = max(requests, 60 * (self._requests - requests_then) / (now - since))
            tokens = max(tokens, 60 * (self._tokens - tokens_then) / (now - since))
        if self._unmeasured:
            self._unmeasured = False
            self._marks.clear()
        self._marks.append((now, self._requests, self._tokens))
        if not requests:
            return None
        if tokens / requests >= TOKENS_BIND_FROM:
            return RateLimits(tokens_per_minute=tokens)
        return RateLimits(requests_per_minute=requests)
