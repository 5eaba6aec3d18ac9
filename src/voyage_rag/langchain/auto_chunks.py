"""Chunks that the service makes of documents: their ids, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid5

from langchain_core.documents import Document

from voyage_rag.auto_chunking import chunk_starts
from voyage_rag.langchain.chunks import Chunks, Entry
from voyage_rag.langchain.documents import EmbeddedDocument
from voyage_rag.langchain.store_calls import Steps, held

START_INDEX = "start_index"
"""Where LangChain's splitters note the position of a chunk in its document, in characters."""

CHUNK_IDS = UUID("8f0c4c6e-5f0e-4b0e-9d53-6f1c1f1c7a11")
"""Namespace of the ids of chunks, which follow from the id of the document and their number."""

CHUNKS_PER_LOOKUP = 32
"""Chunks of one document that are looked for at once, when it is deleted or replaced."""


def chunk_id(document_id: str, number: int) -> str:
    """The id of a document's chunk: a UUID, since some stores take nothing else."""
    return str(uuid5(CHUNK_IDS, f"{document_id}#{number}"))


def chunks_of(
    document: Document, id_: str, text: Chunks, embedded: EmbeddedDocument, *, overlapping: bool
) -> list[Entry]:
    """The chunks of a document, with its metadata and their position in it."""
    starts = chunk_starts(document.page_content, embedded.chunks, overlapping=overlapping)
    entries = []
    for number, (chunk, start) in enumerate(zip(embedded.chunks, starts, strict=True)):
        position = {} if start is None else {START_INDEX: start}
        made = Document(
            page_content=chunk, metadata=document.metadata | position, id=chunk_id(id_, number)
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
