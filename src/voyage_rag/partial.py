"""What had been finished when a call failed; carried by the error as `partial`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voyage_rag.types import compact

if TYPE_CHECKING:
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import ContextualizedEmbeddingsResult, RerankingResult, Row, Vector
    from voyage_rag.usage import Usage


@dataclass(frozen=True)
class PartialRanking:
    """A ranking of the documents that were scored.

    Attributes:
        results: The documents that were scored, by falling relevance, cut to `top_k`.
        missing: Positions of documents that were not ranked, rising.
        usage: What the scores cost.
        model: The model that made them.
    """

    results: list[RerankingResult]
    missing: tuple[int, ...]
    usage: Usage
    model: str


@dataclass(frozen=True)
class PartialEmbeddings:
    """Embeddings that were finished.

    Attributes:
        vectors: Finished vectors by the position of their text.
        missing: Positions that have none, rising.
        usage: What they cost.
        model: The model that made them.
    """

    vectors: dict[int, Vector]
    missing: tuple[int, ...]
    usage: Usage
    model: str

    @classmethod
    def of(
        cls,
        rows: Mapping[Hashable, Row],
        count: int,
        usage: Usage,
        model: str,
        dtype: OutputDtype,
    ) -> PartialEmbeddings:
        """The embeddings of `count` inputs that are among these rows, by position."""
        found = {i: compact(rows[i], dtype) for i in range(count) if i in rows}
        missing = tuple(i for i in range(count) if i not in found)
        return cls(found, missing, usage, model)


@dataclass(frozen=True)
class PartialContextualizedEmbeddings:
    """Documents of chunks that were finished.

    Attributes:
        results: Finished documents by their position.
        missing: Positions of documents of which not every chunk has a vector, rising.
        usage: What was spent, on parts of the missing ones, too.
        model: The model that made them.
    """

    results: dict[int, ContextualizedEmbeddingsResult]
    missing: tuple[int, ...]
    usage: Usage
    model: str
