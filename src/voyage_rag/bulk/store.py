"""The vectors of a job on disk: answers as they come, handed on in parts when these are complete.

A part is so many neighbouring rows. Its answers go to its journal, whatever their order; with the
last one the output takes the part.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.journal import HEADER, Journal, glance
from voyage_rag.bulk.part import MISSING, Part
from voyage_rag.bulk.tables import ROWS_PER_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from voyage_rag.bulk.outputs import Output
    from voyage_rag.bulk.rows import Row
    from voyage_rag.bulk.tables import Shape
    from voyage_rag.types import Vector

ROWS_PER_PART = 4 * ROWS_PER_GROUP


class Store:
    """The vectors of a job's rows.

    Args:
        folder: Where its journals are.
        rows: How many rows there are to embed.
        rows_per_part: How many go into a part.
        shape: What the output holds.
        length: Numbers of a vector, None until the first answer tells.
        output: Takes parts that are complete.

    Attributes:
        length: Numbers of a vector, None until one is there.
        rows_done: Rows that were there, or refused, when it was opened.
        tokens: What these had cost.
    """

    def __init__(
        self,
        folder: Path,
        rows: int,
        rows_per_part: int,
        shape: Shape,
        length: int | None,
        output: Output,
    ) -> None:
        self.length = length
        self._folder = folder
        self._rows = rows
        self._rows_per_part = rows_per_part
        self._shape = shape
        self._output = output
        self._parts: dict[int, Part] = {}
        self._taken: set[int] = set()
        self._sent = Runs()
        self.rows_done = 0
        self.tokens = output.spent.tokens
        folder.mkdir(exist_ok=True)
        for number in range(-(-rows // rows_per_part)):
            path = self._journal_path(number)
            if output.holds(number):
                self._taken.add(number)
                self.rows_done += self._size(number)
                if path.exists():  # killed before it was deleted
                    output.take(self._open(number), self.length or 0)
            elif path.exists():
                done, tokens = glance(path)
                self.rows_done += done
                self.tokens += tokens

    @property
    def first_untaken(self) -> int:
        """The first row of the first part that the output has not; all rows if it has all."""
        number = 0
        while number in self._taken:
            number += 1
        return min(number * self._rows_per_part, self._rows)

    def texts(self, rows: Iterable[Row], first: int) -> Iterator[str]:
        """The texts that have no vector yet, of the rows from position `first` on."""
        for position, row in enumerate(rows, first):
            number = position // self._rows_per_part
            if number in self._taken:
                continue
            part = self._parts.get(number) or self._open(number)
            is_missing = part.state[position - part.first] == MISSING
            if is_missing:
                self._sent.add(position)
            part.ids.append(row.id)
            if is_missing:
                yield row.text
            else:
                self._hand_on_if_complete(part)

    def row_of(self, sent: int) -> int:
        """The row of a text by its position among those that `texts` gave."""
        return self._sent[sent]

    def add(self, positions: Sequence[int], vectors: Sequence[Vector], tokens: int) -> None:
        """Keep the vectors of texts, by their positions among those that `texts` gave.

        Args:
            positions: Rising.
            vectors: One for each.
            tokens: What they cost.
        """
        for start, count in self._runs_in(positions):
            row = self._sent[positions[start]]
            part = self._parts[row // self._rows_per_part]
            numbers = self._joined(vectors[start : start + count])
            part.add(row - part.first, count, 0 if start else tokens, numbers)
            self._hand_on_if_complete(part)

    def refuse(self, row: int) -> None:
        """Leave a row out."""
        part = self._parts[row // self._rows_per_part]
        part.add(row - part.first, 1, 0, b"")
        self._hand_on_if_complete(part)

    def begin_anew(self) -> None:
        """Make ready for another round of `texts`, from `first_untaken` on."""
        self._sent = Runs()
        for part in self._parts.values():
            part.ids.clear()

    def close(self) -> None:
        """Let go of all files."""
        for part in self._parts.values():
            part.journal.close()

    def _runs_in(self, positions: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Start and count of those that are neighbouring rows of one part."""
        rows = [self._sent[position] for position in positions]
        start = 0
        for at in range(1, len(rows) + 1):
            ends = at == len(rows) or rows[at] != rows[at - 1] + 1
            if ends or rows[at] % self._rows_per_part == 0:
                yield start, at - start
                start = at

    def _size(self, number: int) -> int:
        return min(self._rows_per_part, self._rows - number * self._rows_per_part)

    def _journal_path(self, number: int) -> Path:
        return self._folder / f"part-{number:05}.journal"

    def _open(self, number: int) -> Part:
        size = self._size(number)
        room = 0
        if self.length is not None:
            room = size * (self._shape.bytes_of(self.length) + HEADER.size)
        journal = Journal(self._journal_path(number), room)
        for record in journal.records:
            if record.length and self.length is None:
                self.length = record.length // record.count // self._shape.bytes_of(1)
        part = self._parts[number] = Part(number, number * self._rows_per_part, size, journal)
        return part

    def _joined(self, vectors: Sequence[Vector]) -> bytes:
        if self.length is None:
            self.length = len(vectors[0])
        if any(len(vector) != self.length for vector in vectors):
            raise JobError(f"the service sent vectors of other lengths than {self.length}")
        return b"".join(vectors)

    def _hand_on_if_complete(self, part: Part) -> None:
        if part.is_complete():
            self._output.take(part, self.length or 0)
            self._taken.add(part.number)
            self._parts.pop(part.number, None)


class Runs:
    """A rising list of numbers that mostly follow each other, kept as its few jumps."""

    def __init__(self) -> None:
        self._count = 0
        self._starts: list[int] = []
        self._numbers: list[int] = []

    def add(self, number: int) -> None:
        """The next one."""
        if not self._starts or self._numbers[-1] + self._count - self._starts[-1] != number:
            self._numbers.append(number)
            self._starts.append(self._count)
        self._count += 1

    def __getitem__(self, position: int) -> int:
        at = bisect_right(self._starts, position) - 1
        return self._numbers[at] + position - self._starts[at]
