"""A wrapper for vector stores whose chunks are embedded in the context of their documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from voyage_rag.auto_chunking import check_auto_chunking
from voyage_rag.checks import instances
from voyage_rag.errors import ConfigurationError, InvalidInputError
from voyage_rag.langchain.auto_chunks import chunk_ids_of, chunks_of, may_be_chunk, stored_ids
from voyage_rag.langchain.chunks import (
    Chunks,
    DocumentOf,
    DocumentRegistry,
    Entry,
    GroupedChunks,
    refuse_empty,
    rounds,
    title,
)
from voyage_rag.langchain.documents import (
    DocumentVectors,
    EmbeddedDocument,
    SplitDocuments,
    UnsplitDocuments,
)
from voyage_rag.langchain.embeddings import VoyageAIEmbeddings
from voyage_rag.langchain.store_calls import Steps, StoreCall, arun, delegated, run
from voyage_rag.models import kind_of

SEARCHES = (
    "similarity_search_with_score",
    "similarity_search_by_vector",
    "similarity_search_with_relevance_scores",
    "max_marginal_relevance_search",
    "max_marginal_relevance_search_by_vector",
    "search",
    "get_by_ids",
)
DELEGATED = ("asimilarity_search", *SEARCHES, *(f"a{name}" for name in SEARCHES))
"""Methods of the wrapped store."""


class ContextualVectorStore(VectorStore):
    """Wraps any vector store, and embeds chunks in the context of their documents.

    Chunks of one document that are added in one call provide context for each other. If the chunks
    of a document are added in several calls, or only the modified ones (as by LangChain's
    `index()`), register the complete document first with `include`.

    The vector of a chunk depends on its document and its position in it, so equal chunks of
    different documents have different vectors. If the wrapped store fails to write, the vectors are
    kept, and the next attempt costs nothing. Searches are passed to the wrapped store unchanged.
    Threads and event loops can share one object.

    Args:
        vectorstore: The store, created with the same `embeddings` object.
        embeddings: A `VoyageAIEmbeddings` with a contextualized model.
        by: Identifies the document of a chunk: the name of a metadata field, or a function of the
            chunk.
        auto_chunk: Add complete documents, which the service splits. Ids then refer to documents:
            adding a document again replaces its chunks, deleting it deletes them. The metadata of
            chunks contain `document_id`, `chunk_number` and `start_index`. Requires a store with
            `get_by_ids`.
        chunk_size: Tokens per chunk with `auto_chunk`. Default: 512.
        chunk_overlap: Tokens that adjacent chunks share with `auto_chunk`.

    Raises:
        ConfigurationError: The model is not a contextualized one, the store has another embeddings
            object, or it does not support the options.

    Setup:
        Run `pip install 'voyage-rag[langchain]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from langchain_core.documents import Document
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from voyage_rag.langchain import ContextualVectorStore, VoyageAIEmbeddings
        >>> embeddings = VoyageAIEmbeddings(model="voyage-context-4")
        >>> store = ContextualVectorStore(InMemoryVectorStore(embeddings), embeddings)
        >>> texts = ["The tenant pays monthly.", "The landlord repairs the roof."]
        >>> chunks = [Document(text, metadata={"source": "lease.txt"}) for text in texts]
        >>> ids = store.add_documents(chunks)
        >>> store.similarity_search("Who repairs the roof?", k=1)[0].page_content
        'The landlord repairs the roof.'
    """

    def __init__(
        self,
        vectorstore: VectorStore,
        embeddings: VoyageAIEmbeddings,
        by: DocumentOf = "source",
        *,
        auto_chunk: bool = False,
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
    ) -> None:
        _check(vectorstore, embeddings, auto_chunk=auto_chunk)
        if not auto_chunk and (chunk_size is not None or chunk_overlap is not None):
            raise ConfigurationError("chunk_size and chunk_overlap require auto_chunk=True")
        self.vectorstore = vectorstore
        self.auto_chunk = auto_chunk
        self._embeddings = embeddings
        self._registry = DocumentRegistry(by)
        self._overlapping = bool(chunk_overlap)
        self._documents = DocumentVectors(
            UnsplitDocuments(
                embeddings, check_auto_chunking(embeddings.model, chunk_size, chunk_overlap)
            )
            if auto_chunk
            else SplitDocuments(embeddings)
        )

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings object, which also embeds queries."""
        return self._embeddings

    @classmethod
    def from_texts(cls, *args: Any, **options: Any) -> NoReturn:  # noqa: ARG003 - LangChain's
        """Not supported, because the wrapped store must exist first.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "create the store first, then wrap it: ContextualVectorStore(Chroma('name', "
            "embeddings), embeddings).add_documents(chunks)"
        )

    def include(self, documents: Iterable[Document]) -> list[Document]:
        """Register complete documents whose chunks are added partly or in several calls.

        Args:
            documents: All chunks of each document, in order. Nothing is embedded yet.

        Returns:
            Copies of the chunks to add, with `document_hash` and `chunk_number` in their metadata.
            These fields make LangChain's `index()` add all chunks of a document again when one has
            changed, so that no chunk keeps a vector of the old context, and distinguish equal
            chunks.

        Raises:
            InvalidInputError: A chunk does not identify its document.
        """
        if self.auto_chunk:
            raise InvalidInputError(
                "include() is not supported with auto_chunk=True: pass complete documents to "
                "add_documents"
            )
        return self._registry.include(instances("documents", documents, Document))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Embed chunks in the context of their documents, and add them to the store.

        Args:
            documents: The chunks; those of one document must be in order. With `auto_chunk`,
                complete documents.
            kwargs: Arguments of the wrapped store, such as `ids`.

        Returns:
            The ids of the chunks.

        Raises:
            InvalidInputError: A chunk does not identify its document, or is empty.
            VoyageError: See `voyage_rag.Voyage.embed_chunks`. Nothing was written.
        """
        listed = instances("documents", documents, Document)
        ids = self._ids_of(listed, kwargs.pop("ids", None))
        grouped = self._grouped(listed)
        embedded = self._documents.get(grouped.names)
        return run(
            self._add(listed, ids, grouped, embedded, kwargs), self.vectorstore, self._embeddings
        )

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Async variant of `add_documents`."""
        listed = instances("documents", documents, Document)
        ids = self._ids_of(listed, kwargs.pop("ids", None))
        grouped = self._grouped(listed)
        embedded = await self._documents.aget(grouped.names)
        return await arun(
            self._add(listed, ids, grouped, embedded, kwargs), self.vectorstore, self._embeddings
        )

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete chunks by id; with `auto_chunk`, delete documents with all their chunks."""
        return run(self._delete(ids, kwargs), self.vectorstore, self._embeddings)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Async variant of `delete`."""
        return await arun(self._delete(ids, kwargs), self.vectorstore, self._embeddings)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Call `similarity_search` of the wrapped store."""
        return self.vectorstore.similarity_search(query, k=k, **kwargs)

    def _grouped(self, documents: Sequence[Document]) -> GroupedChunks:
        if self._embeddings.empty_text == "error":
            refuse_empty(documents)
        if not self.auto_chunk:
            return self._registry.group(documents)
        texts: list[Chunks] = [(document.page_content,) for document in documents]
        names = dict(zip(texts, map(title, documents), strict=True))
        written = {text: name for text, name in names.items() if text[0].strip()}
        return GroupedChunks(dict(written), [(text, 0) for text in texts])

    def _ids_of(self, documents: Sequence[Document], ids: Sequence[str] | None) -> list[str | None]:
        """Return one id per document, or raise an `InvalidInputError`."""
        given: list[str | None] = (
            [*ids] if ids is not None else [document.id for document in documents]
        )
        if len(given) != len(documents):
            raise InvalidInputError(
                f"there are {len(documents)} documents and {len(given)} ids: pass one id per "
                "document"
            )
        if self.auto_chunk:
            first: dict[str | None, int] = {}
            for position, id_ in enumerate(given):
                if id_ and first.setdefault(id_, position) != position:
                    raise InvalidInputError(
                        f"documents[{first[id_]}] and documents[{position}] have the same id "
                        f"{id_!r}, so that their chunks would overwrite each other: pass "
                        "different ids",
                        indices=(position,),
                    )
        return given

    def _add(
        self,
        documents: Sequence[Document],
        ids: Sequence[str | None],
        grouped: GroupedChunks,
        embedded: dict[Chunks, EmbeddedDocument],
        options: dict[str, Any],
    ) -> Steps[list[str]]:
        """Write chunks and their vectors, then remove the vectors from memory."""
        if self.auto_chunk:
            entries = yield from self._split(documents, ids, embedded)
        else:
            entries = list(map(Entry, documents, grouped.places, ids))
        added = yield from self._written(entries, embedded, options)
        places = (entry.place for entry in entries)
        self._documents.forget(self._registry.written(places))
        return added

    def _split(
        self,
        documents: Sequence[Document],
        ids: Sequence[str | None],
        embedded: dict[Chunks, EmbeddedDocument],
    ) -> Steps[list[Entry]]:
        """Return the chunks that the service created, and delete those that they replace."""
        entries: list[Entry] = []
        for document, id_ in zip(documents, ids, strict=True):
            text = (document.page_content,)
            if text in embedded:
                known, is_overlapping = id_ or str(uuid4()), self._overlapping
                entries += chunks_of(
                    document, known, text, embedded[text], overlapping=is_overlapping
                )
        parts = yield from chunk_ids_of(id_ for id_ in ids if id_)
        if old := [chunk for chunks in parts.values() for chunk in chunks]:
            yield StoreCall("delete", (old,))
        return entries

    def _written(
        self,
        entries: Sequence[Entry],
        embedded: dict[Chunks, EmbeddedDocument],
        options: dict[str, Any],
    ) -> Steps[list[str]]:
        """Add chunks in as many calls as needed for each text to have one vector per call."""
        added: dict[int, str] = {}
        for positions in rounds(entries):
            some = [entries[position] for position in positions]
            places = {entry.document.page_content: entry.place for entry in some}
            rows = self._embeddings.as_numbers(embedded[c].vectors[at] for c, at in places.values())
            vectors = dict(zip(places, rows, strict=True))
            ids = [entry.id for entry in some]
            documents = [entry.document for entry in some]
            named = {"ids": ids, **options} if any(ids) else options
            returned = yield StoreCall("add_documents", (documents,), named, vectors)
            known: list[Any] = returned or ids
            added |= zip(positions, known, strict=False)
        return [added[position] for position in sorted(added)]

    def _delete(self, ids: Sequence[str] | None, options: dict[str, Any]) -> Steps[bool | None]:
        """Delete chunks, and the chunks of documents that the service split."""
        if ids and self.auto_chunk:
            parts = yield from chunk_ids_of(ids)
            own = yield from stored_ids(list(filter(may_be_chunk, ids)))
            ids = list(dict.fromkeys([*own, *(c for chunks in parts.values() for c in chunks)]))
            if not ids:
                return True
        deleted: bool | None = yield StoreCall("delete", (ids,), options)
        return deleted


for _method in DELEGATED:  # type checkers see the base class's signatures
    setattr(ContextualVectorStore, _method, delegated(_method))


def _check(vectorstore: object, embeddings: object, *, auto_chunk: bool) -> None:
    if not isinstance(embeddings, VoyageAIEmbeddings):
        raise ConfigurationError(
            f"embeddings must be a VoyageAIEmbeddings, not {type(embeddings).__name__}"
        )
    if kind_of(embeddings.model) != "contextualized":
        raise ConfigurationError(
            f"{embeddings.model!r} does not embed chunks in context: use voyage-context-4, or use "
            "the store without ContextualVectorStore"
        )
    if not isinstance(vectorstore, VectorStore) or isinstance(vectorstore, ContextualVectorStore):
        raise ConfigurationError(
            "vectorstore must be a LangChain vector store that is not wrapped yet, not "
            f"{type(vectorstore).__name__}"
        )
    own = vectorstore.embeddings
    if own is not None and own is not embeddings:
        raise ConfigurationError(
            f"the store was created with another embeddings object ({type(own).__name__}): create "
            "it with the one that you pass to ContextualVectorStore"
        )
    if auto_chunk and type(vectorstore).get_by_ids is VectorStore.get_by_ids:
        raise ConfigurationError(
            f"auto_chunk=True requires a store with get_by_ids, which {type(vectorstore).__name__} "
            "does not have: split the documents, and add their chunks"
        )
