"""Count tokens without a request: with a tokenizer, else by an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from voyage_rag.core.context import TokenRatio, estimate_tokens
from voyage_rag.io.tokenizer import Tokenizer

if TYPE_CHECKING:
    import os

CHARACTERS_PER_TOKEN = 5
"""Of English prose (docs: "Tokenization"); code, numbers and other languages have fewer."""


class TokenRange(NamedTuple):
    """A number of tokens, as far as it is known.

    Attributes:
        low: What it would be for English prose.
        high: What is planned with until the service's bills have taught better; seldom too low.
            The same as `low` where it was counted.
    """

    low: int
    high: int


class TokenCounter:
    """Counts the tokens of a text, or estimates them.

    Args:
        tokenizer: The model's `tokenizer.json` (docs: "Tokenization"); each generation of models
            has its own. None to estimate. Needs `pip install 'voyage-rag[tokenizers]'`.

    Raises:
        ImportError: The extra is not installed.
        ConfigurationError: The file cannot be read.
    """

    def __init__(self, tokenizer: str | os.PathLike[str] | None = None) -> None:
        self._count = None if tokenizer is None else Tokenizer(str(tokenizer))

    @property
    def is_exact(self) -> bool:
        """Whether it counts."""
        return self._count is not None

    def __call__(self, text: str) -> TokenRange:
        """Tokens of one text, without prompt and special tokens."""
        if self._count is not None:
            counted = self._count(text)
            return TokenRange(counted, counted)
        high = TokenRatio().tokens(estimate_tokens(text))
        return TokenRange(min(high, -(-len(text) // CHARACTERS_PER_TOKEN)), high)
