"""Group chunks by document, and prepare what a store receives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeAlias

from langchain_core.documents import Document

from voyage_rag.checks import is_hashable, is_missing
from voyage_rag.errors import InvalidInputError
from voyage_rag.locks import lock_for

LOG = logging.getLogger("voyage_rag")

DOCUMENT_HASH = "document_hash"
CHUNK_NUMBER = "chunk_number"
"""Metadata field by which `DocumentRegistry` identifies a chunk."""

DocumentOf: TypeAlias = str | Callable[[Document], Hashable]
"""Identifies the document of a chunk: the name of a metadata field, or a function of the chunk."""

Chunks: TypeAlias = tuple[str, ...]
"""The chunks of a document in order. The vector of each chunk depends on all of them."""

ChunkPosition: TypeAlias = tuple[Chunks, int]
"""The chunks of a document, and the index of one of them."""


@dataclass(slots=True)
class GroupedChunks:
    """The chunks of several documents.

    Attributes:
        names: The name of each document.
        places: The document and position of each chunk.
    """

    names: dict[Chunks, Hashable] = field(default_factory=dict)
    places: list[ChunkPosition] = field(default_factory=list)


def group(documents: Sequence[Document], by: DocumentOf) -> GroupedChunks:
    """Group chunks by document, in their order. Raises what `name_of` raises."""
    sources = [name_of(document, by, position) for position, document in enumerate(documents)]
    chunks: dict[Hashable, list[str]] = {}
    at: list[int] = []
    for document, source in zip(documents, sources, strict=True):
        known = chunks.setdefault(source, [])
        at.append(len(known))
        known.append(document.page_content)
    whole = {source: tuple(known) for source, known in chunks.items()}
    places = [(whole[source], number) for source, number in zip(sources, at, strict=True)]
    return GroupedChunks({whole[source]: source for source in whole}, places)


def name_of(document: Document, by: DocumentOf, position: int) -> Hashable:
    """Return the name of the document of a chunk, or raise an `InvalidInputError`."""
    if not (callable(by) or isinstance(by, str)):
        raise InvalidInputError(
            f"by must be the name of a metadata field or a function, not {type(by).__name__}"
        )
    name = by(document) if callable(by) else document.metadata.get(by)
    if is_missing(name) or not is_hashable(name):
        field_name = "the function" if callable(by) else f"metadata[{by!r}]"
        raise InvalidInputError(
            f"{field_name} does not identify the document of chunk {position}: pass another "
            "metadata field, as in by='title', or a function",
            indices=(position,),
        )
    return name


def hash_of(chunks: Chunks) -> str:
    """Return a hash of a document, which changes with any of its chunks and their boundaries."""
    lengths = ",".join(str(len(chunk)) for chunk in chunks)
    text = f"{lengths}:{''.join(chunks)}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class DocumentRegistry:
    """Complete documents whose chunks can be added to a store in several calls.

    The metadata of a chunk identify it by the hash of its document and its number.
    """

    def __init__(self, by: DocumentOf) -> None:
        self._by = by
        self._whole: dict[str, Chunks] = {}
        self._announced: set[Chunks] = set()
        self._unwritten: dict[Chunks, set[int]] = {}
        self._seen: dict[Hashable, int] = {}
        self._has_warned = False
        self._lock = lock_for(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the lock, because each copy has its own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=lock_for(self))

    def include(self, documents: Sequence[Document]) -> list[Document]:
        """Register complete documents.

        Returns:
            Copies of their chunks, with hash and number in the metadata.
        """
        grouped = group(documents, self._by)
        hashes = {chunks: hash_of(chunks) for chunks in grouped.names}
        with self._lock:
            self._whole |= {hash_: chunks for chunks, hash_ in hashes.items()}
            self._announced |= hashes.keys()
        copies = []
        for document, (chunks, number) in zip(documents, grouped.places, strict=True):
            added = {DOCUMENT_HASH: hashes[chunks], CHUNK_NUMBER: number}
            copies.append(document.model_copy(update={"metadata": document.metadata | added}))
        return copies

    def group(self, documents: Sequence[Document]) -> GroupedChunks:
        """Return the registered documents of these chunks.

        Raises:
            InvalidInputError: A chunk does not identify its document, or the document is not
                registered and some of its chunks are missing.
        """
        unknown = [at for at, one in enumerate(documents) if DOCUMENT_HASH not in one.metadata]
        others = group([documents[at] for at in unknown], self._by)
        self._warn_of_parts(others.names)
        places, names = dict(zip(unknown, others.places, strict=True)), others.names
        together = _texts_by_hash(documents)
        for at, document in enumerate(documents):
            if at not in places:
                places[at] = self._registered(at, document, together)
                names[places[at][0]] = name_of(document, self._by, at)
        return GroupedChunks(names, [places[at] for at in range(len(documents))])

    def written(self, places: Iterable[ChunkPosition]) -> list[Chunks]:
        """Record chunks that a store has written.

        Returns:
            The documents whose chunks have all been written.
        """
        done: dict[Chunks, None] = {}
        with self._lock:
            for chunks, at in places:
                if chunks in self._announced:
                    awaited = self._unwritten.setdefault(chunks, {*range(len(chunks))})
                    awaited.discard(at)
                    if awaited:
                        continue
                    del self._unwritten[chunks]
                done[chunks] = None
        return list(done)

    def _registered(
        self, at: int, document: Document, together: dict[str, dict[int, str]]
    ) -> ChunkPosition:
        hash_ = document.metadata[DOCUMENT_HASH]
        number = document.metadata.get(CHUNK_NUMBER, -1)
        with self._lock:
            whole = self._whole.get(hash_)
        if whole is None:
            numbered = together[hash_]
            whole = tuple(numbered[position] for position in sorted(numbered))
            if hash_of(whole) != hash_:
                raise InvalidInputError(
                    f"chunk {at} was added without the other chunks of its document: call "
                    "include(chunks) with all of them first",
                    indices=(at,),
                )
        if not 0 <= number < len(whole) or whole[number] != document.page_content:
            raise InvalidInputError(
                f"chunk {at} has changed since include() was called: include all chunks of its "
                "document again",
                indices=(at,),
            )
        return whole, number

    def _warn_of_parts(self, names: dict[Chunks, Hashable]) -> None:
        """Warn once that the chunks of a document came in several calls."""
        with self._lock:
            seen = {name: hash(chunks) for chunks, name in names.items()}
            parts = [name for name in seen if self._seen.get(name, seen[name]) != seen[name]]
            self._seen |= seen
            if not parts or self._has_warned:
                return
            self._has_warned = True
        LOG.warning(
            "chunks of %r were already added in another call: only chunks that are added in one "
            "call are context for each other; to embed each chunk in its whole document, add what "
            "store.include(chunks) returns for all chunks of the document",
            parts[0],
        )


def _texts_by_hash(documents: Iterable[Document]) -> dict[str, dict[int, str]]:
    """Return the texts of registered chunks by the hash of their document and their number."""
    together: dict[str, dict[int, str]] = {}
    for document in documents:
        if hash_ := document.metadata.get(DOCUMENT_HASH):
            number = document.metadata.get(CHUNK_NUMBER, -1)
            together.setdefault(hash_, {})[number] = document.page_content
    return together


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk to write to the store.

    Attributes:
        document: The document that the store receives.
        place: The document and position of the chunk, which determine its vector.
        id: The id of the chunk; None if the store creates one.
    """

    document: Document
    place: ChunkPosition
    id: str | None


def rounds(entries: Sequence[Entry]) -> list[list[int]]:
    """Divide entries into rounds in which equal texts have equal vectors."""
    made: list[list[int]] = []
    places: dict[str, dict[ChunkPosition, int]] = {}
    for position, entry in enumerate(entries):
        known = places.setdefault(entry.document.page_content, {})
        number = known.setdefault(entry.place, len(known))
        if number == len(made):
            made.append([])
        made[number].append(position)
    return made


def refuse_empty(documents: Sequence[Document]) -> None:
    """Raise an `InvalidInputError` for a document without text, with its position and title."""
    for position, document in enumerate(documents):
        if not document.page_content:
            raise InvalidInputError(
                f"documents[{position}] ({title(document)}) is empty: omit it, or create the "
                "embeddings with another empty_text",
                indices=(position,),
            )


def title(document: Document) -> str:
    """Return the name of a document for messages."""
    source = document.metadata.get("source", document.id)
    return "without source and id" if source is None else repr(source)
