"""The state that calls share: the settings of their client, and the budget of their account.

Voyage counts its rate limits per account and model (docs: "Rate Limits"), so a budget belongs to an
address, a key and a model, and all objects of this process share it. Without a tokenizer the tokens
of a text are estimated. The estimate starts conservative (docs.voyageai.com, "Tokenization":
English has about five characters per token; MongoDB's search server plans with three) and follows
what the service bills.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from voyage_rag.core.options import ENDPOINTS, EmbedOptions, options_of
from voyage_rag.core.rate_limiter import Clock, RateLimiter
from voyage_rag.core.rate_limits import RateLimits
from voyage_rag.core.validation import check_embedding_model, check_model
from voyage_rag.locks import lock_for
from voyage_rag.models import Kind, Model, OutputDtype, Retirement
from voyage_rag.types import InputType
from voyage_rag.usage import Usage

if TYPE_CHECKING:
    from voyage_rag.core.retry import RetryPolicy
    from voyage_rag.hosts.host import Host

OPTION_SETS = 64
"""Maximum number of sets of options whose checks are cached."""

CHARACTERS_PER_TOKEN = 3.0
BYTES_PER_TOKEN_BEYOND_ASCII = 2.0
MARGIN = 1.05
MIN_TOKENS_TO_LEARN_FROM = 200.0
SHARE_OF_OLD_RATIO = 0.9

TokenEstimator = Callable[[str], float]


@dataclass(frozen=True, eq=False)
class CallContext:
    """The state that all requests of a client share.

    Attributes:
        host: Where the models run.
        policy: The retry policy of jobs.
        query_policy: The retry policy of queries, which are interactive.
        budgets: The account's rate limits per model.
        limits: The rate limits that the user passed.
        concurrency: Maximum number of concurrent requests per call.
        count_tokens: Counts the tokens of a text; None estimates them.
        has_cache: Whether there is a cache.
        record: Receives the usage of every response.
        warn_slow: Receives seconds, the limit and the model if a limit makes a call slow.
        warn_windows: Receives documents, by position or name, that are embedded in windows.
        warn_no_documents: Called if texts are sent to a contextualized model without documents.
        warn_retirement: Receives a model that is retired or will be soon.
        warn_zero_vector: Receives a model that returned a vector of zeros.
        warn_media_name: Receives a text that names a picture or a video, and is embedded as text.
        warn_omitted_media: Receives the positions of inputs with more media than the context holds.
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
    warn_zero_vector: Callable[[str], None]
    warn_media_name: Callable[[str], None]
    warn_omitted_media: Callable[[Sequence[int]], None]

    def options(
        self,
        kind: Kind | None,
        model: object,
        input_type: InputType | None,
        truncation: object,
        output_dimension: int | None,
        output_dtype: OutputDtype | None,
    ) -> tuple[Model, EmbedOptions]:
        """Check the options that every call has. A `kind` of None accepts all that embed texts.

        Returns:
            The catalogue's row of the model, and the options.

        Raises:
            InvalidInputError: An option is invalid. The message names it and the choices.
        """
        given = (kind, model, input_type, truncation, output_dimension, output_dtype)
        try:
            return self._checked(*given)
        except TypeError:  # an option cannot be hashed, and is rejected by name
            return self._check(*given)

    @cached_property
    def _checked(self) -> Callable[..., tuple[Model, EmbedOptions]]:
        """Check options that the client has not checked yet."""
        return lru_cache(OPTION_SETS, typed=True)(self._check)

    def _check(self, kind: Kind | None, model: object, *given: Any) -> tuple[Model, EmbedOptions]:
        row = check_embedding_model(model) if kind is None else check_model(model, kind)
        options = options_of(row, *given)
        fields = options.fields
        if row.kind == "contextualized":  # the endpoint has no truncation
            fields = {**fields, "truncation": None}
        self.host.require(ENDPOINTS[row.kind], fields)
        if row.retirement is not None:
            today = datetime.fromtimestamp(self.policy.wall_clock(), UTC).date()
            if row.retirement.is_near(today):
                self.warn_retirement(row.name, row.retirement)
        return row, options


def estimate_tokens(text: str) -> float:
    """Return a conservative estimate of a text's tokens, before any response was billed.

    Raises:
        UnicodeEncodeError: The text contains a lone surrogate.
    """
    if text.isascii():
        return 1.0 + len(text) / CHARACTERS_PER_TOKEN
    beyond_ascii = len(text.encode()) - len(text)
    return 1.0 + len(text) / CHARACTERS_PER_TOKEN + beyond_ascii / BYTES_PER_TOKEN_BEYOND_ASCII


class TokenRatio:
    """Billed tokens per estimated token, for one model. Rises immediately, falls slowly."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._lock = lock_for(self)

    def tokens(self, estimated_tokens: float) -> int:
        """Return the expected number of billed tokens for an estimate."""
        return max(1, round(estimated_tokens * self._ratio * MARGIN))

    def max_estimate(self, tokens: int) -> float:
        """Return the maximum estimate of texts with this number of billed tokens."""
        return tokens / (self._ratio * MARGIN)

    def learn(self, estimated_tokens: float, tokens: int) -> None:
        """Adjust the ratio to the tokens billed for texts with this estimate."""
        if estimated_tokens < MIN_TOKENS_TO_LEARN_FROM or tokens <= 0:
            return
        ratio = tokens / estimated_tokens
        with self._lock:
            old = SHARE_OF_OLD_RATIO * self._ratio + (1 - SHARE_OF_OLD_RATIO) * ratio
            self._ratio = max(ratio, old)


class KnownTokens(TokenRatio):
    """For inputs whose tokens are known, such as media. It does not correct them."""

    def tokens(self, estimated_tokens: float) -> int:
        """Return the estimate."""
        return max(1, round(estimated_tokens))

    def max_estimate(self, tokens: int) -> float:
        """Return the number of tokens."""
        return tokens

    def learn(self, estimated_tokens: float, tokens: int) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Budget:
    """The budget of an account for one model.

    Attributes:
        limiter: Decides when a request may be sent.
        ratio: Billed tokens per token estimated from the length of a text.
        exact_ratio: Billed tokens per token counted with a tokenizer.
    """

    limiter: RateLimiter
    ratio: TokenRatio = field(default_factory=TokenRatio)
    exact_ratio: TokenRatio = field(default_factory=TokenRatio)


class Budgets(dict[str, Budget]):
    """The budgets of one account by model, created on first use."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = lock_for(self)

    def __missing__(self, model: str) -> Budget:
        with self._lock:
            return self.setdefault(model, Budget(RateLimiter(self._clock)))

    def share(self, model: str, limiter: RateLimiter) -> None:
        """Use a limiter that other processes share for a model."""
        with self._lock:
            self[model] = Budget(limiter)


BUDGETS: dict[tuple[tuple[str, str], Clock], Budgets] = {}


def budgets_of(account: tuple[str, str], clock: Clock) -> Budgets:
    """Return the budgets of an account, which all clients of this process share.

    Args:
        account: The service's address with its port, and the fingerprint of the key.
        clock: Returns the seconds of a monotonic clock.
    """
    return BUDGETS.setdefault((account, clock), Budgets(clock))  # atomic, unlike functools.cache
