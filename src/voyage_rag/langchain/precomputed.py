"""Vectors that a vector store is to be given for the texts of one call.

LangChain's stores take no vectors: they ask their embeddings object for them. Within
`handed_over`, that object answers with vectors that are known already. They are bound to the call
by a context variable, which LangChain's executors, tasks and threads started by `asyncio` carry on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from voyage_rag.errors import InvalidInputError


@dataclass(slots=True, eq=False)
class PrecomputedVectors:
    """What an embeddings object answers during one call of a store.

    Attributes:
        embeddings: The object.
        by_text: The texts of the call, each with its vector.
        is_open: Whether the call is still running.
        is_used: Whether the store has asked for any of them.
    """

    embeddings: object
    by_text: Mapping[str, list[float]]
    is_open: bool = True
    is_used: bool = field(default=False, init=False)

    def are_of(self, embeddings: object) -> bool:
        """Whether this object is to answer with them, as long as the call runs."""
        return self.is_open and self.embeddings is embeddings

    def take(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of these texts.

        Raises:
            InvalidInputError: The store asks for a text that is not of this call.
        """
        try:
            vectors = [self.by_text[text] for text in texts]
        except KeyError as unknown:
            raise InvalidInputError(
                f"the vector store asks for a vector of {str(unknown.args[0])[:60]!r}, which is "
                "none of the chunks of this call: a store that changes texts before it embeds "
                "them cannot hold chunks with context"
            ) from None
        self.is_used = self.is_used or bool(texts)
        return vectors


CURRENT_VECTORS: ContextVar[PrecomputedVectors | None] = ContextVar("vectors", default=None)
"""None where no store is being filled, so that looking costs next to nothing."""


@contextmanager
def handed_over(
    embeddings: object, by_text: Mapping[str, list[float]]
) -> Iterator[PrecomputedVectors]:
    """Have an embeddings object answer with these vectors within the context."""
    vectors = PrecomputedVectors(embeddings, by_text)
    token = CURRENT_VECTORS.set(vectors)
    try:
        yield vectors
    finally:
        vectors.is_open = False
        CURRENT_VECTORS.reset(token)
