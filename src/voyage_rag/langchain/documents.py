"""Embed documents of chunks. Concurrent callers share the request for a document."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from voyage_rag.client import Voyage
from voyage_rag.errors import VoyageError
from voyage_rag.langchain.chunks import Chunks
from voyage_rag.single_flight import SingleFlight
from voyage_rag.types import Vector

MAX_UNWRITTEN_VECTORS = 65_536
"""Maximum number of vectors that wait for a store to write them: 256 MiB at 1,024 floats each."""


class ContextualModel(Protocol):
    """An embedder of documents: `VoyageAIEmbeddings` with a contextualized model."""

    model: str

    @property
    def voyage(self) -> Voyage:
        """The client."""

    @property
    def chunk_options(self) -> dict[str, Any]:
        """The options of `Voyage.embed_chunks`."""

    def as_numbers(self, vectors: Iterable[Vector]) -> list[list[float]]:
        """Convert vectors to LangChain's lists."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts without documents."""

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async variant of `embed_documents`."""

    def embed_query(self, text: str) -> list[float]:
        """Embed a query."""

    async def aembed_query(self, text: str) -> list[float]:
        """Async variant of `embed_query`."""


@dataclass(frozen=True, slots=True)
class EmbeddedDocument:
    """The chunks of a document and their vectors."""

    chunks: Chunks
    vectors: Sequence[Vector]


class SplitDocuments:
    """Embeds documents that are split into chunks."""

    def __init__(self, model: ContextualModel) -> None:
        self.model = model

    def embed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Return one result per document, in order."""
        found = self.model.voyage.embed_chunks(*self._flat(documents), **self.model.chunk_options)
        return list(self._results(documents, dict(enumerate(found.vectors))).values())

    async def aembed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Async variant of `embed`."""
        call = self.model.voyage.aembed_chunks(*self._flat(documents), **self.model.chunk_options)
        return list(self._results(documents, dict(enumerate((await call).vectors))).values())

    def finished(self, documents: Iterable[Chunks], partial: Any) -> dict[int, EmbeddedDocument]:
        """Return the results that a failed call has completed, by position."""
        return self._results(documents, partial.vectors)

    def _flat(self, documents: Mapping[Chunks, Hashable]) -> tuple[list[str], list[Hashable]]:
        """Return all chunks, and the name of the document of each."""
        names: list[Hashable] = list(documents.values())
        if len(set(names)) < len(names):
            names = list(enumerate(names))
        return (
            [chunk for chunks in documents for chunk in chunks],
            [name for name, chunks in zip(names, documents, strict=True) for _ in chunks],
        )

    def _results(
        self, documents: Iterable[Chunks], vectors: Mapping[int, Vector]
    ) -> dict[int, EmbeddedDocument]:
        results, start = {}, 0
        for number, chunks in enumerate(documents):
            positions = range(start, start + len(chunks))
            if all(position in vectors for position in positions):
                results[number] = EmbeddedDocument(chunks, [vectors[at] for at in positions])
            start = positions.stop
        return results


class UnsplitDocuments:
    """Embeds documents that the service splits; each is given as one text."""

    def __init__(self, model: ContextualModel, chunking: Mapping[str, Any]) -> None:
        self.model = model
        self._chunking = chunking

    def embed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Return one result per document, in order."""
        texts = [text for (text,) in documents]
        found = self.model.voyage.contextualized_embed(texts, **self._options)
        return list(map(_split_by_service, found.results))

    async def aembed(self, documents: Mapping[Chunks, Hashable]) -> list[EmbeddedDocument]:
        """Async variant of `embed`."""
        texts = [text for (text,) in documents]
        found = await self.model.voyage.acontextualized_embed(texts, **self._options)
        return list(map(_split_by_service, found.results))

    def finished(
        self,
        documents: Iterable[Chunks],  # noqa: ARG002 - as in `SplitDocuments`
        partial: Any,
    ) -> dict[int, EmbeddedDocument]:
        """Return the results that a failed call has completed, by position."""
        return {number: _split_by_service(result) for number, result in partial.results.items()}

    @property
    def _options(self) -> dict[str, Any]:
        return {
            **{k: v for k, v in self.model.chunk_options.items() if k != "empty_text"},
            **self._chunking,
        }


def _split_by_service(result: Any) -> EmbeddedDocument:
    return EmbeddedDocument(tuple(result.chunk_texts or ()), result.vectors)


class DocumentVectors:
    """Stores embedded documents by their chunks until a vector store has written them.

    A document that several threads or tasks request concurrently is sent once.
    """

    def __init__(self, embedder: SplitDocuments | UnsplitDocuments) -> None:
        self._embedder = embedder
        self._flights: SingleFlight[Chunks, EmbeddedDocument] = SingleFlight()

    def get(self, documents: Mapping[Chunks, Hashable]) -> dict[Chunks, EmbeddedDocument]:
        """Return the vectors of documents, which are given with their names for warnings."""

        def embed(own: list[Chunks]) -> list[EmbeddedDocument]:
            return self._embedder.embed({chunks: documents[chunks] for chunks in own})

        return self._flights.get(documents, embed, self._finished)

    async def aget(self, documents: Mapping[Chunks, Hashable]) -> dict[Chunks, EmbeddedDocument]:
        """Async variant of `get`."""

        async def embed(own: list[Chunks]) -> list[EmbeddedDocument]:
            return await self._embedder.aembed({chunks: documents[chunks] for chunks in own})

        return await self._flights.aget(documents, embed, self._finished)

    def forget(self, documents: Sequence[Chunks]) -> None:
        """Remove documents that a store has written, and the oldest others beyond the maximum."""
        self._flights.forget(documents, MAX_UNWRITTEN_VECTORS)

    def _finished(self, own: list[Chunks], error: VoyageError) -> dict[Chunks, EmbeddedDocument]:
        if error.partial is None:
            return {}
        finished = self._embedder.finished(own, error.partial)
        return {own[number]: one for number, one in finished.items()}
