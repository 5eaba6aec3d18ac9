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
    weights: tuple[float, ...]

    @property
    def place(self) -> tuple[int, int, int]:
        """Document, first chunk, and how many."""
        return self.position, self.first, len(self.chunks)

    @property
    def weight(self) -> float:
        """Of all chunks together."""
        return sum(self.weights)

    def part(self, start: int, end: int) -> Window:
        """Some of its chunks."""
        return Window(
            self.position, self.first + start, self.chunks[start:end], self.weights[start:end]
        )

    def halves(self) -> list[Window]:
        """Two windows that weigh about the same."""
        before, half = 0.0, self.weight / 2
        middle = 1
        for count, weight in enumerate(self.weights[:-1], 1):
            before += weight
            middle = count
            if before >= half:
                # The boundary nearest the middle may be the one before this chunk.
                middle -= int(count > 1 and before - half > half - (before - weight))
                break
        return [self.part(0, middle), self.part(middle, len(self.chunks))]
