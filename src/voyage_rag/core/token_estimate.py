"""How many tokens a text has, without a tokenizer: estimate, then learn.

The estimate starts conservative (docs.voyageai.com, "Tokenization": English has about five
characters per token; MongoDB's search server plans with three) and follows what the service bills.
"""

from __future__ import annotations

from collections.abc import Callable

from voyage_rag.locks import lock_for

CHARACTERS_PER_TOKEN = 3.0
BYTES_PER_TOKEN_BEYOND_ASCII = 2.0
MARGIN = 1.05
LEAST_TOKENS_TO_LEARN_FROM = 200.0
SHARE_OF_OLD_RATIO = 0.9

TokenEstimator = Callable[[str], float]


def estimate_tokens(text: str) -> float:
    """Tokens of one text by a guess that errs high, before any response was billed.

    Raises:
        UnicodeEncodeError: The text contains half a character (a lone surrogate).
    """
    if text.isascii():
        return 1.0 + len(text) / CHARACTERS_PER_TOKEN
    beyond_ascii = len(text.encode()) - len(text)
    return 1.0 + len(text) / CHARACTERS_PER_TOKEN + beyond_ascii / BYTES_PER_TOKEN_BEYOND_ASCII


class TokenRatio:
    """Billed tokens per estimated token, for one model. Rises at once, falls slowly."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._lock = lock_for(self)

    def tokens(self, estimated_tokens: float) -> int:
        """Tokens that texts with this estimate are expected to be billed with."""
        return max(1, round(estimated_tokens * self._ratio * MARGIN))

    def max_estimate(self, tokens: int) -> float:
        """The estimate of texts that are billed so many tokens, at most."""
        return tokens / (self._ratio * MARGIN)

    def learn(self, estimated_tokens: float, tokens: int) -> None:
        """Adjust the ratio to what was billed for texts with this estimate."""
        if estimated_tokens < LEAST_TOKENS_TO_LEARN_FROM or tokens <= 0:
            return
        ratio = tokens / estimated_tokens
        with self._lock:
            old = SHARE_OF_OLD_RATIO * self._ratio + (1 - SHARE_OF_OLD_RATIO) * ratio
            self._ratio = max(ratio, old)
