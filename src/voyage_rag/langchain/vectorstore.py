"""A vector store whose chunks are embedded with the context of their documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from voyage_rag.auto_chunking import check_auto_chunking
from voyage_rag.checks import instances
from voyage_rag.errors import ConfigurationError, InvalidInputError
from voyage_rag.langchain.auto_chunks import chunk_ids_of, chunks_of, held, may_be_chunk
from voyage_rag.langchain.chunks import (
    Announcements,
    Chunks,
    DocumentOf,
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


class ContextualVectorStore(VectorStore):
    """Any vector store, filled with chunks that have the context of their documents.

        embeddings = VoyageAIEmbeddings(model="voyage-context-4")
        store = ContextualVectorStore(Chroma("manuals", embeddings), embeddings)
        store.add_documents(chunks)                        # grouped by metadata["source"]
        store.as_retriever().invoke("How is it cleaned?")

    Chunks that are added in one call are each other's context where they are of one document.
    Announce a document before where it comes in several calls, or only its changed chunks come,
    as from LangChain's `index()`:

        index(store.include(chunks), record_manager, store, cleanup="full", source_id_key="source")

    A chunk's vector follows from its document and its position there, never from its text alone, so
    equal chunks of different documents have different vectors. If the wrapped store fails to write,
    the vectors are kept: the next attempt costs nothing. Searches go to the wrapped store as they
    are; threads and event loops may share one object.

    Args:
        vectorstore: The store, made with the same `embeddings` object.
        embeddings: A `VoyageAIEmbeddings` of a contextualized model.
        by: Which document a chunk is of: a metadata field, or a function of the chunk.
        auto_chunk: Documents are added unsplit, and the service splits them. Their ids are those of
            the documents; a document's chunks are replaced when it is added again, and deleted with
            it. Chunks have `document_id`, `chunk_number` and `start_index` in their metadata. Needs
            a store with `get_by_ids`.
        chunk_size: With `auto_chunk`: tokens of a chunk, 512 unless given.
        chunk_overlap: With `auto_chunk`: tokens that neighbouring chunks share.

    Raises:
        ConfigurationError: The model embeds no chunks in context, or the store was made with other
            embeddings, or lacks what is needed.
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
            raise ConfigurationError("chunk_size and chunk_overlap go with auto_chunk=True only")
        self.vectorstore = vectorstore
        self.auto_chunk = auto_chunk
        self._embeddings = embeddings
        self._announced = Announcements(by)
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
        """The embeddings, with which queries are embedded."""
        return self._embeddings

    @classmethod
    def from_texts(cls, *args: Any, **options: Any) -> NoReturn:  # noqa: ARG003 - LangChain's
        """Not offered, since the store to wrap has to be made first.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "make the store first, then wrap it: ContextualVectorStore(Chroma('name', embeddings), "
            "embeddings).add_documents(chunks)"
        )

    def include(self, documents: Iterable[Document]) -> list[Document]:
        """Announce whole documents, of which only some chunks may be added, or in several calls.

        Args:
            documents: All chunks of each document, in order. Nothing is embedded yet.

        Returns:
            Copies of the chunks to add, with `document_hash` and `chunk_number` in their metadata.
            Because of these LangChain's `index()` adds all chunks of a document again when one has
            changed, so that none keeps a vector of the old context, and keeps equal chunks apart.

        Raises:
            InvalidInputError: A chunk does not say which document it is of.
        """
        if self.auto_chunk:
            raise InvalidInputError("with auto_chunk=True documents are added unsplit, as they are")
        return self._announced.include(instances("documents", documents, Document))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Embed chunks with the context of their documents, and add them to the store.

        Args:
            documents: The chunks, those of a document in order; with `auto_chunk` whole documents.
            kwargs: Those of the wrapped store, such as `ids`.

        Returns:
            The ids of the chunks.

        Raises:
            InvalidInputError: A chunk does not say which document it is of, or is empty.
            VoyageError: See `voyage_rag.Voyage.embed_chunks`. Nothing was written.
        """
        listed, ids = instances("documents", documents, Document), kwargs.pop("ids", None)
        grouped = self._grouped(listed)
        embedded = self._documents.get(grouped.names)
        return run(
            self._add(listed, ids, grouped, embedded, kwargs), self.vectorstore, self._embeddings
        )

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Async variant of `add_documents`."""
        listed, ids = instances("documents", documents, Document), kwargs.pop("ids", None)
        grouped = self._grouped(listed)
        embedded = await self._documents.aget(grouped.names)
        return await arun(
            self._add(listed, ids, grouped, embedded, kwargs), self.vectorstore, self._embeddings
        )

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete chunks by id; with `auto_chunk` documents with all their chunks, too."""
        return run(self._delete(ids, kwargs), self.vectorstore, self._embeddings)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Async variant of `delete`."""
        return await arun(self._delete(ids, kwargs), self.vectorstore, self._embeddings)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search` of the wrapped store."""
        return self.vectorstore.similarity_search(query, k=k, **kwargs)

    if not TYPE_CHECKING:  # type checkers see the base class's signatures
        asimilarity_search = delegated("asimilarity_search")
        similarity_search_with_score = delegated("similarity_search_with_score")
        asimilarity_search_with_score = delegated("asimilarity_search_with_score")
        similarity_search_by_vector = delegated("similarity_search_by_vector")
        asimilarity_search_by_vector = delegated("asimilarity_search_by_vector")
        similarity_search_with_relevance_scores = delegated(
            "similarity_search_with_relevance_scores"
        )
        asimilarity_search_with_relevance_scores = delegated(
            "asimilarity_search_with_relevance_scores"
        )
        max_marginal_relevance_search = delegated("max_marginal_relevance_search")
        amax_marginal_relevance_search = delegated("amax_marginal_relevance_search")
        max_marginal_relevance_search_by_vector = delegated(
            "max_marginal_relevance_search_by_vector"
        )
        amax_marginal_relevance_search_by_vector = delegated(
            "amax_marginal_relevance_search_by_vector"
        )
        search = delegated("search")
        asearch = delegated("asearch")
        get_by_ids = delegated("get_by_ids")
        aget_by_ids = delegated("aget_by_ids")

    def _grouped(self, documents: Sequence[Document]) -> GroupedChunks:
        """What each document is, and where each chunk stands in it."""
        if self._embeddings.empty_text == "error":
            refuse_empty(documents)
        if not self.auto_chunk:
            return self._announced.group(documents)
        texts: list[Chunks] = [(document.page_content,) for document in documents]
        names = dict(zip(texts, map(title, documents), strict=True))
        written = {text: name for text, name in names.items() if text[0].strip()}
        return GroupedChunks(dict(written), [(text, 0) for text in texts])

    def _add(
        self,
        documents: Sequence[Document],
        ids: Sequence[str] | None,
        grouped: GroupedChunks,
        embedded: dict[Chunks, EmbeddedDocument],
        options: dict[str, Any],
    ) -> Steps[list[str]]:
        """Write chunks and their vectors, then forget these."""
        given = [document.id for document in documents] if ids is None else list(ids)
        if len(given) != len(documents):
            raise InvalidInputError(f"there are {len(documents)} documents and {len(given)} ids")
        if self.auto_chunk:
            entries = yield from self._split(documents, given, embedded)
        else:
            entries = list(map(Entry, documents, grouped.places, given))
        added = yield from self._written(entries, embedded, options)
        places = (entry.place for entry in entries)
        self._documents.forget(self._announced.written(places))
        return added

    def _split(
        self,
        documents: Sequence[Document],
        ids: Sequence[str | None],
        embedded: dict[Chunks, EmbeddedDocument],
    ) -> Steps[list[Entry]]:
        """The chunks that the service has made; those that they replace are deleted."""
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
        """Add chunks, in as many calls as keep a text from having two vectors in one of them."""
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
        """Delete chunks, and those of documents that the service has split."""
        if ids and self.auto_chunk:
            parts = yield from chunk_ids_of(ids)
            own = yield from held(list(filter(may_be_chunk, ids)))
            ids = list(dict.fromkeys([*own, *(c for chunks in parts.values() for c in chunks)]))
            if not ids:
                return True
        deleted: bool | None = yield StoreCall("delete", (ids,), options)
        return deleted


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
            f"vectorstore must be a store such as Chroma or Qdrant's, not "
            f"{type(vectorstore).__name__}"
        )
    own = vectorstore.embeddings
    if own is not None and own is not embeddings:
        raise ConfigurationError(
            f"the store was made with another embeddings object ({type(own).__name__}): make it "
            "with the one that ContextualVectorStore gets, which hands it the vectors"
        )
    if auto_chunk and type(vectorstore).get_by_ids is VectorStore.get_by_ids:
        raise ConfigurationError(
            f"auto_chunk=True needs a store with get_by_ids, which {type(vectorstore).__name__} "
            "lacks: split the documents, and add their chunks"
        )
