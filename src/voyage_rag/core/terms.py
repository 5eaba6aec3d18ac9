"""On which terms an operation talks to the service: what every flow of a client shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voyage_rag.core.budget import Budgets
    from voyage_rag.core.dialect import Dialect
    from voyage_rag.core.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every request of an operation.

    Attributes:
        dialect: What the host understands.
        policy: How hard to try.
        budgets: The account's allowance per model.
        concurrency: Requests that may be in flight at once.
        answered: Told of every answer that was paid for: inputs, tokens.
    """

    dialect: Dialect
    policy: RetryPolicy
    budgets: Budgets
    concurrency: int
    answered: Callable[[int, int], None]
