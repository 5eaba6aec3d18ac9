"""Chunks that the service makes of documents: their ids, and where they stand."""

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
"""Metadata of a chunk: the id of its document, which deletes all its chunks."""

START_INDEX = "start_index"
"""Where LangChain's splitters note the position of a chunk in its document, in characters."""

CHUNK_IDS = UUID("8f0c4c6e-5f0e-4b0e-9d53-6f1c1f1c7a11")
"""Namespace of the ids of chunks, which follow from the id of the document and their number."""

UUID_OF_NAMES = 5
"""The version of UUID that `uuid5` makes."""

CHUNKS_PER_LOOKUP = 32
"""Chunks of one document that are looked for at once, when it is deleted or replaced."""

IDS_PER_LOOKUP = 1_000


def chunk_id(document_id: str, number: int) -> str:
    """The id of a document's chunk: a UUID, since some stores take nothing else."""
    return str(uuid5(CHUNK_IDS, f"{document_id}#{number}"))


def may_be_chunk(id_: str) -> bool:
    """Whether an id may be one of these; stores with ids of another type refuse to look it up."""
    try:
        return UUID(id_).version == UUID_OF_NAMES
    except ValueError:
        return False


def chunks_of(
    document: Document, id_: str, text: Chunks, embedded: EmbeddedDocument, *, overlapping: bool
) -> list[Entry]:
    """The chunks of a document, with its metadata and their position in it."""
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
    """For the ids of documents, the ids of their chunks that the store holds."""
    found: dict[str, list[str]] = {id_: [] for id_ in documents}
    start, open_ = 0, list(found)
    while open_:
        numbers = range(start, start + CHUNKS_PER_LOOKUP)
        wanted = {chunk_id(id_, number): id_ for id_ in open_ for number in numbers}
        known = yield from held(list(wanted))
        for chunk in known:
            found[wanted[chunk]].append(chunk)
        hit = {wanted[chunk] for chunk in known}
        start, open_ = numbers.stop, [id_ for id_ in open_ if id_ in hit]
    return found


def held(ids: Sequence[str]) -> Steps[list[str]]:
    """Which of these ids of chunks the store holds."""
    found: list[str] = []
    for first in range(0, len(ids), IDS_PER_LOOKUP):
        some = yield StoreCall("get_by_ids", (ids[first : first + IDS_PER_LOOKUP],))
        found += map(_id_of, some)
    return found


def _id_of(chunk: Document) -> str:
    """The id of a chunk, which Qdrant's class does not return."""
    return chunk.id or chunk_id(chunk.metadata[DOCUMENT_ID], chunk.metadata[CHUNK_NUMBER])
