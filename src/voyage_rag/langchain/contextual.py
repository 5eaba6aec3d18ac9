"""Embeddings that look up chunks by their texts among registered documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from voyage_rag.checks import instances
from voyage_rag.errors import InvalidInputError
from voyage_rag.langchain.chunks import ChunkPosition, Chunks, DocumentOf, group
from voyage_rag.langchain.documents import (
    ContextualModel,
    DocumentVectors,
    EmbeddedDocument,
    SplitDocuments,
)
from voyage_rag.locks import lock_for
from voyage_rag.usage import Usage


class ContextualEmbeddings(Embeddings):
    """Embeddings that know which documents the texts are chunks of.

    `VoyageAIEmbeddings.for_documents` creates this object, for code that accepts embeddings but no
    documents. For a vector store use `ContextualVectorStore`, which receives the documents
    themselves.

    Each text is looked up among the registered chunks. Its vector is the one it has in its
    document, which is embedded as a whole when the first of its chunks is requested. If a text
    occurs in several documents, adjacent texts in the same call determine which one is meant; if
    they do not, an error is raised. A text that is not a registered chunk raises an error, except a
    single text before any chunk, with which a store may determine the length of vectors. Queries
    need no documents. Threads and event loops can share one object.

    Examples:
        >>> from langchain_core.documents import Document
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from voyage_rag.langchain import VoyageAIEmbeddings
        >>> texts = ["The tenant pays monthly.", "The landlord repairs the roof."]
        >>> chunks = [Document(text, metadata={"source": "lease.txt"}) for text in texts]
        >>> embeddings = VoyageAIEmbeddings(model="voyage-context-4").for_documents(chunks)
        >>> store = InMemoryVectorStore.from_documents(chunks, embeddings)
        >>> store.similarity_search("Who repairs the roof?", k=1)[0].page_content
        'The landlord repairs the roof.'

        Register more documents before you add them to the store:

        >>> more = [Document("Peel the onions.", metadata={"source": "soup.txt"})]
        >>> embeddings.include(more)
        >>> ids = store.add_documents(more)
    """

    def __init__(self, embeddings: ContextualModel, by: DocumentOf) -> None:
        self.embeddings = embeddings
        self._by = by
        self._names: dict[Chunks, Hashable] = {}
        self._places: defaultdict[str, dict[ChunkPosition, None]] = defaultdict(dict)
        self._taken: defaultdict[Chunks, set[int]] = defaultdict(set)
        self._has_begun = False
        self._lock = lock_for(self)
        self._documents = DocumentVectors(SplitDocuments(embeddings))

    def include(self, documents: Iterable[Document]) -> None:
        """Register more chunks. All chunks of a document must be registered together, in order.

        Args:
            documents: The output of a text splitter. Nothing is embedded yet.

        Raises:
            InvalidInputError: A chunk does not identify its document.
        """
        grouped = group(instances("documents", documents, Document), self._by)
        with self._lock:
            self._names |= grouped.names
            for chunks, at in grouped.places:
                self._places[chunks[at]][chunks, at] = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of chunks, each in the context of its document.

        Raises:
            InvalidInputError: A text is not a registered chunk, or occurs in several documents.
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
        """Embed a query, as `VoyageAIEmbeddings.embed_query` does."""
        return self.embeddings.embed_query(text)

    async def aembed_query(self, text: str) -> list[float]:
        """Async variant of `embed_query`."""
        return await self.embeddings.aembed_query(text)

    @property
    def usage(self) -> Usage:
        """The usage of the client so far."""
        return self.embeddings.voyage.usage

    def _is_trial(self, texts: Sequence[str]) -> bool:
        """Whether a store embeds a text only to determine the length of vectors."""
        with self._lock:
            return not self._has_begun and len(texts) == 1 and texts[0] not in self._places

    def _find(self, texts: Sequence[str]) -> list[ChunkPosition]:
        with self._lock:
            candidates: list[list[ChunkPosition]] = []
            for position, text in enumerate(texts):
                if text not in self._places:
                    raise InvalidInputError(
                        f"text {position} is not a registered chunk: call include(chunks) before "
                        "you add the chunks, and use a store that does not change texts",
                        indices=(position,),
                    )
                candidates.append(list(self._places[text]))
            self._has_begun = True
        return [_chosen(candidates, position) for position in range(len(texts))]

    def _named(self, places: Iterable[ChunkPosition]) -> dict[Chunks, Hashable]:
        return {chunks: self._names[chunks] for chunks, _ in places}

    def _vectors(
        self, places: Sequence[ChunkPosition], embedded: dict[Chunks, EmbeddedDocument]
    ) -> list[list[float]]:
        """Return the vectors of chunks, and remove documents whose chunks were all requested."""
        with self._lock:
            for chunks, at in places:
                self._taken[chunks].add(at)
            done = [chunks for chunks in embedded if len(self._taken[chunks]) == len(chunks)]
            for chunks in done:
                del self._taken[chunks]
        self._documents.forget(done)
        return self.embeddings.as_numbers(embedded[c].vectors[at] for c, at in places)


def _chosen(candidates: Sequence[Sequence[ChunkPosition]], position: int) -> ChunkPosition:
    """Return the chunk at this position; adjacent texts decide between several candidates."""
    if len(candidates[position]) == 1:
        return candidates[position][0]
    fitting = {place for step in (-1, 1) for place in _adjacent(candidates, position, step)}
    if len(fitting) == 1:
        return fitting.pop()
    raise InvalidInputError(
        f"text {position} occurs several times in the registered documents, and adjacent texts do "
        "not determine which occurrence is meant: use ContextualVectorStore(vectorstore, "
        "embeddings), which receives the documents themselves",
        indices=(position,),
    )


def _adjacent(
    candidates: Sequence[Sequence[ChunkPosition]], position: int, step: int
) -> Iterator[ChunkPosition]:
    """Return the candidate that follows the nearest certain chunk on one side, if any."""
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
