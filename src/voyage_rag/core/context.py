"""On which terms an operation talks to the service: what every flow of a client shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voyage_rag.core.budget import Budget, Budgets
    from voyage_rag.core.rate_limits import RateLimits
    from voyage_rag.core.retry import RetryPolicy
    from voyage_rag.core.token_estimate import TokenEstimator
    from voyage_rag.hosts.host import Host
    from voyage_rag.types import Usage


@dataclass(frozen=True, slots=True)
class CallContext:
    """What holds for every request of an operation.

    Attributes:
        host: Where the models run.
        policy: How often to repeat a request of a job, and for how long.
        query_policy: The same for a query, for which somebody waits.
        budgets: The account's allowance per model.
        limits: The rate limits that the user gave.
        concurrency: Requests that may be in flight at once.
        count_tokens: Counts the tokens of a text, None to estimate them.
        caching: Whether there is a cache to ask.
        answered: Told of every answer that was paid for: inputs, usage.
        recalled: Told of inputs that cost nothing.
        slowed: Told that a limit makes the call slow: seconds, the limit, the model.
        windowed: Told of documents, by position or name, too long to be embedded as a whole.
        unrelated: Told that several texts go to a model of chunks, each without its document.
        media_named: Called with a text for a multimodal model that names an image or a video.
    """

    host: Host
    policy: RetryPolicy
    query_policy: RetryPolicy
    budgets: Budgets
    limits: RateLimits
    concurrency: int
    count_tokens: TokenEstimator | None
    caching: bool
    answered: Callable[[int, Usage], None]
    recalled: Callable[[int], None]
    slowed: Callable[[float, RateLimits, str], None]
    windowed: Callable[[Sequence[object]], None]
    unrelated: Callable[[], None]
    media_named: Callable[[str], None]

    def budget(self, model: str) -> Budget:
        """The allowance of a model, kept to the limits that the user gave."""
        budget = self.budgets[model]
        budget.limiter.keep_to(self.limits)
        return budget
