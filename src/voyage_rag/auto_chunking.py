"""Options for chunking by the service, and the positions of the chunks that it returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from voyage_rag.errors import ConfigurationError
from voyage_rag.models import kind_of


def check_auto_chunking(model: str, size: int | None, overlap: int | None) -> dict[str, Any]:
    """Check the options for chunking by the service.

    Args:
        model: The model.
        size: Tokens per chunk. None uses the service's default.
        overlap: Tokens that adjacent chunks share. None means no overlap.

    Returns:
        The corresponding arguments of `Voyage.contextualized_embed`.

    Raises:
        ConfigurationError: The model is not a contextualized one.
        InvalidInputError: A number is out of range.
    """
    if kind_of(model) != "contextualized":
        raise ConfigurationError(f"{model!r} does not split documents: use voyage-context-4")
    from voyage_rag.core.documents import check_chunking  # noqa: PLC0415 - rarely needed

    check_chunking("document", None, enabled=True, size=size, overlap=overlap)
    return {"enable_auto_chunking": True, "chunk_size": size, "chunk_overlap": overlap}


def chunk_starts(text: str, chunks: Iterable[str], *, overlapping: bool) -> list[int | None]:
    """Find the position of each chunk in the text, in characters.

    Args:
        text: The document.
        chunks: Its chunks, in order.
        overlapping: Whether a chunk may begin before the previous one ends.

    Returns:
        One position per chunk; None for a chunk that does not occur in the text.
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
