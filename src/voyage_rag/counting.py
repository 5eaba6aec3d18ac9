"""Count the tokens of texts with a tokenizer, or estimate them, without sending anything."""

from __future__ import annotations

import os
from typing import NamedTuple

from voyage_rag.core.context import TokenRatio, estimate_tokens
from voyage_rag.io.tokenizer import Tokenizer

CHARACTERS_PER_TOKEN = 5
"""For English prose (docs: "Tokenization"). Code, numbers and other languages have fewer."""


class TokenRange(NamedTuple):
    """A token count, or the bounds of an estimate.

    Attributes:
        low: The estimate for English prose.
        high: A conservative estimate, which is seldom too low. The client plans with it until the
            service has reported usage. Equal to `low` for an exact count.
    """

    low: int
    high: int


class TokenCounter:
    """Counts or estimates the tokens of a text.

    Args:
        tokenizer: Path of the model's `tokenizer.json` (docs: "Tokenization"); each model
            generation has its own. None estimates. Requires `pip install 'voyage-rag[tokenizers]'`.

    Raises:
        ImportError: The extra is not installed.
        ConfigurationError: The file cannot be read.
    """

    def __init__(self, tokenizer: str | os.PathLike[str] | None = None) -> None:
        self._count = None if tokenizer is None else Tokenizer(str(tokenizer))

    @property
    def is_exact(self) -> bool:
        """Whether counts are exact."""
        return self._count is not None

    def __call__(self, text: str) -> TokenRange:
        """Return the tokens of one text, without prompt and special tokens."""
        if self._count is not None:
            counted = self._count(text)
            return TokenRange(counted, counted)
        high = TokenRatio().tokens(estimate_tokens(text))
        return TokenRange(min(high, -(-len(text) // CHARACTERS_PER_TOKEN)), high)
