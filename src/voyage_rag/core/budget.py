"""What every object of this process shares that draws on the same budget of an account.

Voyage counts its rate limits per account and model (docs: "Rate Limits"), so a budget belongs to an
address, a key and a model, and not to an object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from voyage_rag.core.rate_limiter import Clock, RateLimiter
from voyage_rag.core.token_estimate import TokenRatio
from voyage_rag.locks import lock_for


@dataclass(frozen=True)
class Budget:
    """What the account may use of one model.

    Attributes:
        limiter: When a request may leave.
        ratio: Billed tokens per token estimated from the length of a text.
        exact_ratio: Billed tokens per token counted with a tokenizer.
    """

    limiter: RateLimiter
    ratio: TokenRatio = field(default_factory=TokenRatio)
    exact_ratio: TokenRatio = field(default_factory=TokenRatio)


class Budgets(dict[str, Budget]):
    """The budgets of one account, by model; made when they are first used."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = lock_for(self)

    def __missing__(self, model: str) -> Budget:
        with self._lock:
            return self.setdefault(model, Budget(RateLimiter(self._clock)))

    def share(self, model: str, limiter: RateLimiter) -> None:
        """Use, for a model, a limiter that other processes use as well."""
        with self._lock:
            self[model] = Budget(limiter)


@cache
def budgets_of(account: tuple[str, str], clock: Clock) -> Budgets:  # noqa: ARG001 - the cache's key
    """The budgets of an account: one set per process, however many clients draw on it.

    Args:
        account: The service's address with its port, and the fingerprint of the key.
        clock: Seconds on a clock that never goes back.
    """
    return Budgets(clock)
