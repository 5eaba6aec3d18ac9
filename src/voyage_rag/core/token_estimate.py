"""How many tokens a text is, without a tokenizer: estimate, then learn.

The estimate starts conservative (docs.voyageai.com, "Tokenization": English has about five
characters per token; MongoDB's search server plans with three) and follows what the service bills.
"""

from __future__ import annotations

from collections.abc import Callable

from voyage_rag.locks import Lock

CHARACTERS_PER_TOKEN = 3.0
BYTES_PER_TOKEN_BEYOND_ASCII = 2.0
MARGIN = 1.05
ENOUGH_TO_LEARN = 200.0
FORGETTING = 0.9


TokenEstimator = Callable[[str], float]


def estimate_tokens(text: str) -> float:
    """Tokens of one text at a guess that errs high, before anything was learnt.

    Raises:
        UnicodeEncodeError: The text holds half a character (a lone surrogate).
    """
    estimated_tokens = 1.0 + len(text) / CHARACTERS_PER_TOKEN
    if not text.isascii():
        estimated_tokens += (len(text.encode()) - len(text)) / BYTES_PER_TOKEN_BEYOND_ASCII
    return estimated_tokens


class TokenRatio:
    """Billed tokens per unit of weight, for one model. Rises at once, falls slowly."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._lock = Lock()

    def tokens(self, estimated_tokens: float) -> int:
        """Expected tokens of texts that weigh this much together."""
        return max(1, round(estimated_tokens * self._ratio * MARGIN))

    def estimated_tokens(self, tokens: int) -> float:
        """How much texts may weigh to stay within so many tokens."""
        return tokens / (self._ratio * MARGIN)

    def learn(self, estimated_tokens: float, tokens: int) -> None:
        """Take note of what was billed for texts that weighed `estimated_tokens`."""
        if estimated_tokens < ENOUGH_TO_LEARN or tokens <= 0:
            return
        seen = tokens / estimated_tokens
        with self._lock:
            self._ratio = max(seen, FORGETTING * self._ratio + (1 - FORGETTING) * seen)
