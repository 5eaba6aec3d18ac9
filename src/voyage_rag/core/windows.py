"""Windows: the neighbouring chunks of a document that are embedded together."""

from __future__ import annotations

from dataclasses import dataclass

Chunks = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Chunks of one document that are embedded together.

    Attributes:
        position: The document's position in the caller's list.
        first: The position of the first chunk in the document.
        chunks: The chunks, in order.
        weights: What each weighs.
    """

    position: int
    first: int
    chunks: Chunks
    estimated_tokens_per_chunk: tuple[float, ...]

    @property
    def key_of(self) -> tuple[int, int, int]:
        """Document, first chunk, and how many."""
        return self.position, self.first, len(self.chunks)

    @property
    def estimated_tokens(self) -> float:
        """Of all chunks together."""
        return sum(self.estimated_tokens_per_chunk)

    def part(self, start: int, end: int) -> Window:
        """Some of its chunks."""
        return Window(
            self.position,
            self.first + start,
            self.chunks[start:end],
            self.estimated_tokens_per_chunk[start:end],
        )

    def halves(self) -> list[Window]:
        """Two windows that weigh about the same."""
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
