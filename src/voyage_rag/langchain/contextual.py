"""Chunks with the context of their documents, through vector stores that know texts only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from voyage_rag.errors import InvalidInputError
from voyage_rag.locks import Lock

if TYPE_CHECKING:
    from voyage_rag.langchain.embeddings import VoyageAIEmbeddings
    from voyage_rag.types import EmbeddingsObject, Usage, Vector

DocumentOf = str | Callable[[Document], Hashable]
"""What tells documents apart: a metadata field, or a function of a chunk."""


@dataclass(slots=True)
class Source:
    """One document: its chunks, and their vectors from when they are embedded until all are taken.

    Attributes:
        chunks: The chunks, in order.
        vectors: Their vectors, None while there are none.
        taken: Which chunks were handed out since.
    """

    chunks: list[str]
    vectors: Sequence[Vector] | None = None
    taken: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Occurrences:
    """Where a text is a chunk: (document, position) in the order in which they were given."""

    places: list[tuple[Source, int]] = field(default_factory=list)
    next: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """Chunks that a store asks for.

    Attributes:
        places: Document and position of each.
        vectors: Those of the documents that are embedded already, by identity.
    """

    places: list[tuple[Source, int]]
    vectors: dict[int, Sequence[Vector]]

    @property
    def missing(self) -> list[Source]:
        """The documents that are not embedded, each once."""
        sources = {id(source): source for source, _ in self.places}
        return [source for key, source in sources.items() if key not in self.vectors]


class ContextualEmbeddings(Embeddings):
    """Embeddings that know of which documents the texts are chunks.

    A vector store hands over nothing but texts, so the documents are told beforehand:

        embeddings = VoyageAIEmbeddings(model="voyage-context-4")
        contextual = embeddings.for_documents(chunks)          # grouped by metadata["source"]
        store = InMemoryVectorStore.from_documents(chunks, contextual)

        contextual.include(more_chunks)                        # later, before the store gets them
        store.add_documents(more_chunks)

    Each text is looked up among the chunks and given the vector it has in its document. The store
    may ask in batches of any size and order; a document is embedded, whole, when the first of its
    chunks is asked for. A text that occurs several times is handed out in the order of the chunks.
    A text that is no chunk is refused, since it would be embedded without context; but for one by
    itself before any chunk, with which a store tries how long vectors are, as Qdrant's does.
    Queries go to the model as they are, so retrievers need nothing special.

    Made by `VoyageAIEmbeddings.for_documents`; for threads and event loops alike.
    """

    def __init__(self, embeddings: VoyageAIEmbeddings, by: DocumentOf) -> None:
        self.embeddings = embeddings
        self._by = by
        self._known: defaultdict[str, Occurrences] = defaultdict(Occurrences)
        self._has_begun = False
        self._lock = Lock()

    def include(self, documents: Iterable[Document]) -> None:
        """Learn of more chunks. All chunks of a document have to come together, in order.

        Args:
            documents: What a splitter made. Nothing is embedded yet.

        Raises:
            InvalidInputError: A chunk does not say which document it is of.
        """
        sources: defaultdict[Hashable, list[str]] = defaultdict(list)
        for position, document in enumerate(documents):
            sources[self._source_of(document, position)].append(document.page_content)
        with self._lock:
            for chunks in sources.values():
                source = Source(chunks)
                for at, chunk in enumerate(chunks):
                    self._known[chunk].places.append((source, at))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of chunks, each with its document's context, in the order asked for.

        Raises:
            InvalidInputError: A text is none of the chunks.
            VoyageError: See `voyage_rag.Voyage.embed_chunks`.
        """
        if self._is_trial(texts):
            return self.embeddings.embed_documents(texts)
        with self._claimed(texts) as claim:
            wanted = claim.missing
            found = self.embeddings.voyage.embed_chunks(*_flat(wanted), **self._options)
            return self._taken(claim, found)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async twin of `embed_documents`."""
        if self._is_trial(texts):
            return await self.embeddings.aembed_documents(texts)
        with self._claimed(texts) as claim:
            wanted = claim.missing
            found = await self.embeddings.voyage.aembed_chunks(*_flat(wanted), **self._options)
            return self._taken(claim, found)

    def embed_query(self, text: str) -> list[float]:
        """A query, as `VoyageAIEmbeddings` embeds it."""
        return self.embeddings.embed_query(text)

    async def aembed_query(self, text: str) -> list[float]:
        """Async twin of `embed_query`."""
        return await self.embeddings.aembed_query(text)

    @property
    def usage(self) -> Usage:
        """What the client has spent so far."""
        return self.embeddings.usage

    def _source_of(self, document: Document, position: int) -> Hashable:
        by = self._by
        name = by(document) if callable(by) else document.metadata.get(by)
        if name is None or not isinstance(name, Hashable):
            field = "the function" if callable(by) else f"metadata[{by!r}]"
            raise InvalidInputError(
                f"{field} does not say which document chunk {position} is of: name another "
                "metadata field or a function, as in for_documents(chunks, by='title')",
                indices=(position,),
            )
        return name

    def _is_trial(self, texts: Sequence[str]) -> bool:
        """Whether a store only looks what it will get."""
        with self._lock:
            return not self._has_begun and len(texts) == 1 and texts[0] not in self._known

    @contextmanager
    def _claimed(self, texts: Sequence[str]) -> Iterator[Claim]:
        """The chunks that these texts are; free again if they cannot be embedded."""
        places: list[tuple[Source, int]] = []
        with self._lock:
            for position, text in enumerate(texts):
                if text not in self._known:
                    raise InvalidInputError(
                        f"text {position} is no chunk that was announced: call include(chunks) "
                        "before the store is given them, and let the store change nothing",
                        indices=(position,),
                    )
            self._has_begun = True
            for text in texts:
                known = self._known[text]
                places.append(known.places[known.next % len(known.places)])
                known.next += 1
            vectors = {id(source): source.vectors for source, _ in places if source.vectors}
        try:
            yield Claim(places, vectors)
        except BaseException:
            with self._lock:
                for text in texts:
                    self._known[text].next -= 1
            raise

    def _taken(self, claim: Claim, found: EmbeddingsObject) -> list[list[float]]:
        """Keep the new vectors, hand out those asked for, and forget what was all handed out."""
        rows = iter(found.vectors)
        new = {id(source): [next(rows) for _ in source.chunks] for source in claim.missing}
        vectors = claim.vectors | new
        with self._lock:
            for source, at in claim.places:
                source.vectors = vectors[id(source)]
                source.taken.add(at)
            for source, _ in claim.places:
                if len(source.taken) == len(source.chunks):
                    source.vectors, source.taken = None, set()
        return cast("list[list[float]]", [vectors[id(s)][at].tolist() for s, at in claim.places])

    @property
    def _options(self) -> dict[str, Any]:
        return self.embeddings.chunk_options


def _flat(sources: Sequence[Source]) -> tuple[list[str], list[int]]:
    """All chunks, and for each the number of its document."""
    return (
        [chunk for source in sources for chunk in source.chunks],
        [number for number, source in enumerate(sources) for _ in source.chunks],
    )
