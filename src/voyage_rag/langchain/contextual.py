"""Embeddings that find chunks among documents that were announced, by their texts alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from voyage_rag.checks import instances
from voyage_rag.errors import InvalidInputError
from voyage_rag.langchain.chunks import Chunks, DocumentOf, Place, group
from voyage_rag.langchain.documents import (
    ContextualModel,
    DocumentVectors,
    EmbeddedDocument,
    SplitDocuments,
)
from voyage_rag.locks import lock_for

if TYPE_CHECKING:
    from collections.abc import Hashable

    from voyage_rag.usage import Usage


class ContextualEmbeddings(Embeddings):
    """Embeddings that know of which documents the texts are chunks.

    For what takes embeddings and no documents. Where there is a vector store, use
    `ContextualVectorStore`, which sees the documents themselves:

        embeddings = VoyageAIEmbeddings(model="voyage-context-4")
        contextual = embeddings.for_documents(chunks)          # grouped by metadata["source"]
        store = InMemoryVectorStore.from_documents(chunks, contextual)

        contextual.include(more_chunks)                        # later, before the store gets them
        store.add_documents(more_chunks)

    Each text is looked up among the chunks and given the vector it has in its document, which is
    embedded as a whole when the first of its chunks is asked for. A text that occurs in several
    documents is taken for the neighbour of the texts beside it in the same call, where one of these
    occurs in one document only; otherwise it is refused, and so is a text that is no chunk, except
    for one by itself before any chunk, with which a store may find out the length of vectors.
    Queries need no documents.

    Made by `VoyageAIEmbeddings.for_documents`; for threads and event loops alike.
    """

    def __init__(self, embeddings: ContextualModel, by: DocumentOf) -> None:
        self.embeddings = embeddings
        self._by = by
        self._names: dict[Chunks, Hashable] = {}
        self._places: defaultdict[str, dict[Place, None]] = defaultdict(dict)
        self._taken: defaultdict[Chunks, set[int]] = defaultdict(set)
        self._has_begun = False
        self._lock = lock_for(self)
        self._documents = DocumentVectors(SplitDocuments(embeddings))

    def include(self, documents: Iterable[Document]) -> None:
        """Learn of more chunks. All chunks of a document have to come together, in order.

        Args:
            documents: What a splitter made. Nothing is embedded yet.

        Raises:
            InvalidInputError: A chunk does not say which document it is of.
        """
        grouped = group(instances("documents", documents, Document), self._by)
        with self._lock:
            self._names |= grouped.names
            for chunks, at in grouped.places:
                self._places[chunks[at]][chunks, at] = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of chunks, each with its document's context, in the order asked for.

        Raises:
            InvalidInputError: A text is none of the chunks, or may be one of several.
            VoyageError: See `voyage_rag.Voyage.embed_chunks`.
        """
        if self._is_trial(texts):
            return self.embeddings.embed_documents(texts)
        places = self._find(texts)
        return self._vectors(places, self._documents.get(self._named(places)))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async variant of `embed_documents`."""
        if self._is_trial(texts):
            return await self.embeddings.aembed_documents(texts)
        places = self._find(texts)
        return self._vectors(places, await self._documents.aget(self._named(places)))

    def embed_query(self, text: str) -> list[float]:
        """A query, as `VoyageAIEmbeddings` embeds it."""
        return self.embeddings.embed_query(text)

    async def aembed_query(self, text: str) -> list[float]:
        """Async variant of `embed_query`."""
        return await self.embeddings.aembed_query(text)

    @property
    def usage(self) -> Usage:
        """Usage of the client so far."""
        return self.embeddings.voyage.usage

    def _is_trial(self, texts: Sequence[str]) -> bool:
        """Whether a store only looks what it will get."""
        with self._lock:
            return not self._has_begun and len(texts) == 1 and texts[0] not in self._places

    def _find(self, texts: Sequence[str]) -> list[Place]:
        """The chunks that these texts are."""
        with self._lock:
            candidates: list[list[Place]] = []
            for position, text in enumerate(texts):
                if text not in self._places:
                    raise InvalidInputError(
                        f"text {position} is no chunk that was announced: call include(chunks) "
                        "before the store is given them, and let the store change nothing",
                        indices=(position,),
                    )
                candidates.append(list(self._places[text]))
            self._has_begun = True
        return [_chosen(candidates, position) for position in range(len(texts))]

    def _named(self, places: Iterable[Place]) -> dict[Chunks, Hashable]:
        return {chunks: self._names[chunks] for chunks, _ in places}

    def _vectors(
        self, places: Sequence[Place], embedded: dict[Chunks, EmbeddedDocument]
    ) -> list[list[float]]:
        """Vectors of chunks; documents of which all chunks were asked for are forgotten."""
        with self._lock:
            for chunks, at in places:
                self._taken[chunks].add(at)
            done = [chunks for chunks in embedded if len(self._taken[chunks]) == len(chunks)]
            for chunks in done:
                del self._taken[chunks]
        self._documents.forget(done)
        return self.embeddings.as_numbers(embedded[c].vectors[at] for c, at in places)


def _chosen(candidates: Sequence[Sequence[Place]], position: int) -> Place:
    """The chunk that the text at this position is, by the texts beside it if there are several."""
    if len(candidates[position]) == 1:
        return candidates[position][0]
    fitting = {place for step in (-1, 1) for place in _beside(candidates, position, step)}
    if len(fitting) == 1:
        return fitting.pop()
    raise InvalidInputError(
        f"text {position} is a chunk of several documents, or several times of one, and the other "
        "texts of the call do not say which of these is meant: use ContextualVectorStore("
        "vectorstore, embeddings), which is given documents and not only their texts",
        indices=(position,),
    )


def _beside(candidates: Sequence[Sequence[Place]], position: int, step: int) -> Iterator[Place]:
    """The candidate that continues the nearest certain chunk on one side, if one does."""
    at = position + step
    while 0 <= at < len(candidates) and len(candidates[at]) > 1:
        at += step
    if not 0 <= at < len(candidates):
        return
    ((chunks, number),) = candidates[at]
    between = range(at, position, -step)
    places = [(chunks, number + other - at) for other in between] + [
        (chunks, number + position - at)
    ]
    if all(place in candidates[place[1] - number + at] for place in places):
        yield places[-1]
