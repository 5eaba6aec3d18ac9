"""Results that were finished before a call failed; the attribute `partial` of the error."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from voyage_rag.models import OutputDtype
from voyage_rag.types import ContextualizedEmbeddingsResult, RerankingResult, Row, Vector, compact
from voyage_rag.usage import Usage


@dataclass(frozen=True)
class PartialRanking:
    """The documents that were scored before `rerank` failed.

    Attributes:
        results: The scored documents, most relevant first, at most `top_k`.
        missing: Positions of the documents without a score, ascending.
        usage: The usage of the scored documents.
        model: The model.

    Examples:
        >>> from voyage_rag import Voyage, VoyageError
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> documents = [f"Document {number}" for number in range(1500)]
        >>> with Emulator(faults=[None, status(500)]) as url:
        ...     voyage = Voyage(base_url=url, max_retries=0, concurrency=1)
        ...     try:
        ...         voyage.rerank("query", documents, model="rerank-3")
        ...     except VoyageError as error:
        ...         print(len(error.partial.results) + len(error.partial.missing))
        1500
    """

    results: list[RerankingResult]
    missing: tuple[int, ...]
    usage: Usage
    model: str


@dataclass(frozen=True)
class PartialEmbeddings:
    """The vectors that were finished before a call failed.

    Attributes:
        vectors: The vectors by the position of their text.
        missing: Positions of the texts without a vector, ascending.
        usage: The usage of the finished vectors.
        model: The model.

    Examples:
        >>> from voyage_rag import Voyage, VoyageError
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> with Emulator(faults=[None, status(500)]) as url:
        ...     voyage = Voyage(base_url=url, max_retries=0, concurrency=1)
        ...     try:
        ...         voyage.embed(["first", "second"], model="voyage-4", batch_size=1)
        ...     except VoyageError as error:
        ...         print(list(error.partial.vectors), error.partial.missing)
        [0] (1,)
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
        """Return the part of these results that belongs to the first `count` inputs."""
        found = {i: compact(rows[i], dtype) for i in range(count) if i in rows}
        missing = tuple(i for i in range(count) if i not in found)
        return cls(found, missing, usage, model)


@dataclass(frozen=True)
class PartialContextualizedEmbeddings:
    """The documents that were finished before a call failed.

    Attributes:
        results: The finished documents by their position.
        missing: Positions of the documents without a vector for every chunk, ascending.
        usage: The usage, including that of unfinished documents.
        model: The model.

    Examples:
        >>> from voyage_rag import Voyage, VoyageError
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.emulator.faults import status
        >>> with Emulator(faults=[status(500)]) as url:
        ...     voyage = Voyage(base_url=url, max_retries=0)
        ...     try:
        ...         voyage.contextualized_embed([["One", "Two"]], model="voyage-context-4")
        ...     except VoyageError as error:
        ...         print(error.partial.missing)
        (0,)
    """

    results: dict[int, ContextualizedEmbeddingsResult]
    missing: tuple[int, ...]
    usage: Usage
    model: str
