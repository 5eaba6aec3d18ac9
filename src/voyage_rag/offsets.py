"""Where chunks that the service has made stand in their document."""

from __future__ import annotations

from collections.abc import Iterable


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
