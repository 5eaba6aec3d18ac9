"""What a run costs at list price, foreseen and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voyage_rag.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.demo.corpus import Passage

CHARACTERS_PER_TOKEN = 4
"""For a forecast only: docstrings hold more punctuation than prose, which has about five."""


PIXELS_PER_TOKEN = 560
"""Of images. They are billed by the pixel, and counted among the tokens all the same."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill.

    Attributes:
        what: What the tokens were for.
        model: The model that took them.
        tokens: How many there were.
        requests: In how many requests; 0 in a forecast.
        pixels: Of images, that are among the tokens.
    """

    what: str
    model: str
    tokens: int
    requests: int = 0
    pixels: int = 0

    @property
    def dollars(self) -> float | None:
        """The list price, None for a model whose price is not known."""
        model = MODELS.get(self.model)
        words = self.tokens - self.pixels // PIXELS_PER_TOKEN
        return None if model is None else model.cost(words, self.pixels)


@dataclass(frozen=True, slots=True)
class Bill:
    """Items and their sums."""

    items: tuple[Item, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all items."""
        return sum(item.tokens for item in self.items)

    @property
    def requests(self) -> int:
        """Requests of all items."""
        return sum(item.requests for item in self.items)

    @property
    def pixels(self) -> int:
        """Pixels of all items."""
        return sum(item.pixels for item in self.items)

    @property
    def dollars(self) -> float | None:
        """The list price of all items, None if one has none."""
        known = [item.dollars for item in self.items if item.dollars is not None]
        return sum(known) if len(known) == len(self.items) else None


def foresee(
    passages: Sequence[Passage], searches: int, candidates: int, model: str, rerank_model: str
) -> Bill:
    """Guess what embedding the passages and answering will take, before anything is spent.

    Args:
        passages: What will be embedded.
        searches: How many times a question will be asked, over both frameworks.
        candidates: How many passages each search reranks.
        model: The embedding model.
        rerank_model: The reranker.
    """
    tokens = sum(len(passage.text) for passage in passages) // CHARACTERS_PER_TOKEN
    reranked = tokens * min(candidates, len(passages)) * searches // max(len(passages), 1)
    return Bill((Item("passages", model, tokens), Item("reranking", rerank_model, reranked)))
