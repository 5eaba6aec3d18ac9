"""What is shared by every object of this process that draws on the same allowance.

Voyage counts its rate limits per account and model (docs: "Rate Limits"), so a budget belongs to a
host, a key and a model, and not to an object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from voyage_rag.core.rate_limiter import Clock, RateLimiter
from voyage_rag.core.token_estimate import TokenRatio
from voyage_rag.locks import Lock


@dataclass(frozen=True)
class Budget:
    """One allowance.

    Attributes:
        pace: Whose turn it is.
        ratio: What texts cost that were weighed by their length.
        exact_ratio: What texts cost that were counted with a tokenizer.
    """

    pace: RateLimiter
    ratio: TokenRatio = field(default_factory=TokenRatio)
    exact_ratio: TokenRatio = field(default_factory=TokenRatio)


class Budgets:
    """The budgets of one account, by model.

    Attributes:
        account: Host and fingerprint of the key.
    """

    def __init__(self, account: tuple[str, str], clock: Clock) -> None:
        self.account = account
        self._clock = clock
        self._by_model: dict[str, Budget] = {}
        self._lock = Lock()

    def __getitem__(self, model: str) -> Budget:
        with self._lock:
            if model not in self._by_model:
                self._by_model[model] = Budget(RateLimiter(self._clock))
            return self._by_model[model]

    def draw_on(self, model: str, pace: RateLimiter) -> None:
        """Have everybody in this process take turns for a model at a pace that others share."""
        with self._lock:
            self._by_model[model] = Budget(pace)


@cache
def budgets_of(account: tuple[str, str], clock: Clock) -> Budgets:
    """The budgets of an account: one set per process, however many clients draw on it."""
    return Budgets(account, clock)
