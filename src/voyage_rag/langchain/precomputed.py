"""Pass precomputed vectors to a vector store for the duration of one call.

LangChain's stores accept no vectors: they request them from their embeddings object. Within
`precomputed`, that object returns vectors that are already known. A context variable binds them to
the call; LangChain's executors, tasks and threads started by `asyncio` inherit it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from voyage_rag.errors import InvalidInputError


@dataclass(slots=True, eq=False)
class PrecomputedVectors:
    """The vectors that an embeddings object returns during one call of a store.

    Attributes:
        embeddings: The embeddings object.
        by_text: The vector of each text of the call.
        is_open: Whether the call is still running.
        is_used: Whether the store has requested any of them.
    """

    embeddings: object
    by_text: Mapping[str, list[float]]
    is_open: bool = True
    is_used: bool = field(default=False, init=False)

    def are_of(self, embeddings: object) -> bool:
        """Whether this object must return these vectors, because the call is still running."""
        return self.is_open and self.embeddings is embeddings

    def take(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of these texts.

        Raises:
            InvalidInputError: The store requests a text that is not part of this call.
        """
        try:
            vectors = [self.by_text[text] for text in texts]
        except KeyError as unknown:
            raise InvalidInputError(
                f"the vector store requested a vector for {str(unknown.args[0])[:60]!r}, which is "
                "not a chunk of this call: stores that change texts before they embed them are "
                "not supported"
            ) from None
        self.is_used = self.is_used or bool(texts)
        return vectors


CURRENT_VECTORS: ContextVar[PrecomputedVectors | None] = ContextVar("vectors", default=None)
"""None unless a call of a store is running."""


@contextmanager
def precomputed(
    embeddings: object, by_text: Mapping[str, list[float]]
) -> Iterator[PrecomputedVectors]:
    """Make an embeddings object return these vectors within the `with` block."""
    vectors = PrecomputedVectors(embeddings, by_text)
    token = CURRENT_VECTORS.set(vectors)
    try:
        yield vectors
    finally:
        vectors.is_open = False
        CURRENT_VECTORS.reset(token)
