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


Weigh = Callable[[str], float]


def weigh(text: str) -> float:
    """Tokens of one text at a guess that errs high, before anything was learnt.

    Raises:
        UnicodeEncodeError: The text holds half a character (a lone surrogate).
    """
    weight = 1.0 + len(text) / CHARACTERS_PER_TOKEN
    if not text.isascii():
        weight += (len(text.encode()) - len(text)) / BYTES_PER_TOKEN_BEYOND_ASCII
    return weight


class TokenRatio:
    """Billed tokens per unit of weight, for one model. Rises at once, falls slowly."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._lock = Lock()

    def tokens(self, weight: float) -> int:
        """Expected tokens of texts that weigh this much together."""
        return max(1, round(weight * self._ratio * MARGIN))

    def weight(self, tokens: int) -> float:
        """How much texts may weigh to stay within so many tokens."""
        return tokens / (self._ratio * MARGIN)

    def learn(self, weight: float, tokens: int) -> None:
        """Take note of what was billed for texts that weighed `weight`."""
        if weight < ENOUGH_TO_LEARN or tokens <= 0:
            return
        seen = tokens / weight
        with self._lock:
            self._ratio = max(seen, FORGETTING * self._ratio + (1 - FORGETTING) * seen)
