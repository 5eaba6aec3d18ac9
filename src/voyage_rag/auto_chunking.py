"""Chunks that the service makes of a document: how they are asked for, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from voyage_rag.errors import ConfigurationError
from voyage_rag.models import kind_of


def check_auto_chunking(model: str, size: int | None, overlap: int | None) -> dict[str, Any]:
    """Check how the service is to split documents.

    Args:
        model: The model.
        size: Tokens of a chunk, None for the service's default.
        overlap: Tokens that neighbouring chunks share, None for none.

    Returns:
        The arguments of `Voyage.contextualized_embed` that ask for it.

    Raises:
        ConfigurationError: The model embeds no chunks in context.
        InvalidInputError: A number is out of range.
    """
    if kind_of(model) != "contextualized":
        raise ConfigurationError(f"{model!r} does not split documents: use voyage-context-4")
    from voyage_rag.core.documents import check_chunking  # noqa: PLC0415 - classes are made without

    check_chunking("document", None, enabled=True, size=size, overlap=overlap)
    return {"enable_auto_chunking": True, "chunk_size": size, "chunk_overlap": overlap}


def chunk_starts(text: str, chunks: Iterable[str], *, overlapping: bool) -> list[int | None]:
    """The position of each chunk in the text, in characters.

    Args:
        text: The document.
        chunks: Its chunks, in order.
        overlapping: Whether a chunk may begin before the one before it has ended.

    Returns:
        One position per chunk, None where a chunk is no slice of the text.
    """
    starts: list[int | None] = []
    last_start, last_end = -1, 0
    for chunk in chunks:
        shared = text.rfind(chunk, last_start + 1, last_end + len(chunk)) if overlapping else -1
        start = shared if shared >= 0 else text.find(chunk, last_end)
        starts.append(start if start >= 0 else None)
        if start >= 0:
            last_start, last_end = start, start + len(chunk)
    return starts
