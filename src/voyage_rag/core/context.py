"""What every call of a client shares: the host, how hard to try, limits, and whom to notify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from voyage_rag.core.options import EmbedOptions, checked_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voyage_rag.core.budget import Budgets
    from voyage_rag.core.rate_limits import RateLimits
    from voyage_rag.core.retry import RetryPolicy
    from voyage_rag.core.token_estimate import TokenEstimator
    from voyage_rag.hosts.host import Host
    from voyage_rag.models import Kind, Model, OutputDtype, Retirement
    from voyage_rag.types import InputType
    from voyage_rag.usage import Usage

OPTION_SETS = 64
"""Sets of options that stay checked; a program uses few."""


@dataclass(frozen=True, eq=False)
class CallContext:
    """What holds for every request of a client.

    Attributes:
        host: Where the models run.
        policy: How often to repeat a request of a job, and for how long.
        query_policy: The same for a query, for which somebody waits.
        budgets: The account's rate limits per model.
        limits: The rate limits that the user gave.
        concurrency: Requests in flight at once for one call.
        count_tokens: Counts the tokens of a text, None to estimate them.
        has_cache: Whether there is a cache.
        record: Receives the usage of every response.
        warn_slow: Receives seconds, the limit and the model where a limit makes a call slow.
        warn_windows: Receives documents, by position or name, that are embedded in windows.
        warn_no_documents: Called where texts go to a contextualized model without their documents.
        warn_retirement: Receives a model that is, or soon will be, retired.
        warn_media_name: Receives a text that names a picture or a video, and is embedded as text.
    """

    host: Host
    policy: RetryPolicy
    query_policy: RetryPolicy
    budgets: Budgets
    limits: RateLimits
    concurrency: int
    count_tokens: TokenEstimator | None
    has_cache: bool
    record: Callable[[Usage], None]
    warn_slow: Callable[[float, RateLimits, str], None]
    warn_windows: Callable[[Sequence[object]], None]
    warn_no_documents: Callable[[], None]
    warn_retirement: Callable[[str, Retirement], None]
    warn_media_name: Callable[[str], None]

    def options(
        self,
        kind: Kind | None,
        model: object,
        input_type: InputType | None,
        truncation: object,
        output_dimension: int | None,
        output_dtype: OutputDtype | None,
    ) -> tuple[Model, EmbedOptions]:
        """The model's row and the checked options of a call; see `checked_options`."""
        given = (kind, model, input_type, truncation, output_dimension, output_dtype)
        try:
            return self._checked(*given)
        except TypeError:  # one cannot be hashed, and is refused by name
            return checked_options(self.host, *given)

    @cached_property
    def _checked(self) -> Callable[..., tuple[Model, EmbedOptions]]:
        return lru_cache(OPTION_SETS, typed=True)(self._check)

    def _check(self, *given: Any) -> tuple[Model, EmbedOptions]:
        row, options = checked_options(self.host, *given)
        if row.retirement is not None:
            today = datetime.fromtimestamp(self.policy.wall_clock(), UTC).date()
            if row.retirement.is_near(today):
                self.warn_retirement(row.name, row.retirement)
        return row, options
