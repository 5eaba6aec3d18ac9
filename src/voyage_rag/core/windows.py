"""Windows: adjacent chunks of a document that are embedded together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Chunks = tuple[str, ...]

MAX_CHUNKS = 16_000
"""Maximum number of chunks per request (docs: "Contextualized Chunk Embeddings")."""


@dataclass(frozen=True, slots=True)
class Window:
    """Chunks of one document that are embedded together.

    Attributes:
        position: Position of the document in the caller's list.
        first: Position of the first chunk in the document.
    """

    position: int
    first: int
    chunks: Chunks
    estimated_tokens_per_chunk: tuple[float, ...]

    @property
    def key(self) -> tuple[int, int, int]:
        """The document, the first chunk, and the number of chunks."""
        return self.position, self.first, len(self.chunks)

    @property
    def estimated_tokens(self) -> float:
        """The estimated tokens of all chunks."""
        return sum(self.estimated_tokens_per_chunk)

    def part(self, start: int, end: int) -> Window:
        """Return a window of some of its chunks."""
        return Window(
            self.position,
            self.first + start,
            self.chunks[start:end],
            self.estimated_tokens_per_chunk[start:end],
        )

    def halves(self) -> list[Window]:
        """Return two windows with about the same number of tokens."""
        before, half = 0.0, self.estimated_tokens / 2
        middle = 1
        for count, estimated_tokens in enumerate(self.estimated_tokens_per_chunk[:-1], 1):
            before += estimated_tokens
            middle = count
            if before >= half:
                # The boundary nearest the middle may be the one before this chunk.
                middle -= int(count > 1 and before - half > half - (before - estimated_tokens))
                break
        return [self.part(0, middle), self.part(middle, len(self.chunks))]


def windows_of(
    documents: Sequence[Chunks], count_tokens: Callable[[str], float], longest: float
) -> Iterator[Window]:
    """Return the windows of documents: as many chunks per window as fit.

    Args:
        documents: The chunks of each document.
        count_tokens: Counts or estimates the tokens of a chunk.
        longest: Maximum tokens of a window; infinite for documents that are not divided.
    """
    for position, chunks in enumerate(documents):
        tokens_per_chunk = tuple(map(count_tokens, chunks))
        whole = Window(position, 0, chunks, tokens_per_chunk)
        start, tokens = 0, 0.0
        for at, more in enumerate(tokens_per_chunk):
            if at > start and (tokens + more > longest or at - start >= MAX_CHUNKS):
                yield whole.part(start, at)
                start, tokens = at, 0.0
            tokens += more
        yield whole.part(start, len(chunks))
