"""Chunks that the service splits documents into: their ids and positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid5

from langchain_core.documents import Document

from voyage_rag.auto_chunking import chunk_starts
from voyage_rag.langchain.chunks import CHUNK_NUMBER, Chunks, Entry
from voyage_rag.langchain.documents import EmbeddedDocument
from voyage_rag.langchain.store_calls import Steps, StoreCall

DOCUMENT_ID = "document_id"
"""Metadata field with the id of the document. Deleting this id deletes all chunks of the document.
"""

START_INDEX = "start_index"
"""Metadata field in which LangChain's splitters store the position of a chunk, in characters."""

CHUNK_IDS = UUID("8f0c4c6e-5f0e-4b0e-9d53-6f1c1f1c7a11")
"""Namespace of chunk ids, which are derived from the document id and the chunk number."""

UUID_OF_NAMES = 5
"""The UUID version of `uuid5`."""

CHUNKS_PER_LOOKUP = 32
"""Number of chunks per lookup when a document is deleted or replaced."""

IDS_PER_LOOKUP = 1_000


def chunk_id(document_id: str, number: int) -> str:
    """Return the id of a chunk. It is a UUID because some stores require one."""
    return str(uuid5(CHUNK_IDS, f"{document_id}#{number}"))


def may_be_chunk(id_: str) -> bool:
    """Whether an id can be a chunk id. Stores with other id types reject a lookup of other ids."""
    try:
        return UUID(id_).version == UUID_OF_NAMES
    except ValueError:
        return False


def chunks_of(
    document: Document, id_: str, text: Chunks, embedded: EmbeddedDocument, *, overlapping: bool
) -> list[Entry]:
    """Return the chunks of a document, with its metadata and their positions."""
    starts = chunk_starts(document.page_content, embedded.chunks, overlapping=overlapping)
    entries = []
    for number, (chunk, start) in enumerate(zip(embedded.chunks, starts, strict=True)):
        known: dict[str, Any] = {DOCUMENT_ID: id_, CHUNK_NUMBER: number}
        if start is not None:
            known[START_INDEX] = start
        made = Document(
            page_content=chunk, metadata=document.metadata | known, id=chunk_id(id_, number)
        )
        entries.append(Entry(made, (text, number), made.id))
    return entries


def chunk_ids_of(documents: Iterable[str]) -> Steps[dict[str, list[str]]]:
    """Return the ids of the chunks that the store contains for these documents."""
    found: dict[str, list[str]] = {id_: [] for id_ in documents}
    start, open_ = 0, list(found)
    while open_:
        numbers = range(start, start + CHUNKS_PER_LOOKUP)
        wanted = {chunk_id(id_, number): id_ for id_ in open_ for number in numbers}
        known = yield from stored_ids(list(wanted))
        for chunk in known:
            found[wanted[chunk]].append(chunk)
        hit = {wanted[chunk] for chunk in known}
        start, open_ = numbers.stop, [id_ for id_ in open_ if id_ in hit]
    return found


def stored_ids(ids: Sequence[str]) -> Steps[list[str]]:
    """Return the chunk ids that the store contains."""
    found: list[str] = []
    for first in range(0, len(ids), IDS_PER_LOOKUP):
        some = yield StoreCall("get_by_ids", (ids[first : first + IDS_PER_LOOKUP],))
        found += map(_id_of, some)
    return found


def _id_of(chunk: Document) -> str:
    """Return the id of a chunk; the Qdrant class omits it from the document."""
    return chunk.id or chunk_id(chunk.metadata[DOCUMENT_ID], chunk.metadata[CHUNK_NUMBER])
