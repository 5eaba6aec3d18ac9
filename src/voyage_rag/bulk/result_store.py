"""Store the vectors of a job on disk as they arrive, and pass them to the output part by part.

A part consists of consecutive rows. Its results are written to its journal in any order; after the
last one, the output receives the part.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from voyage_rag.bulk.journal import HEADER, Journal, read_totals
from voyage_rag.bulk.outputs import MISSING, Output, OutputPart
from voyage_rag.bulk.repeats import RepeatedTexts
from voyage_rag.bulk.writers import ROWS_PER_GROUP, OutputSchema
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.rows import Row
from voyage_rag.types import Vector

ROWS_PER_PART = 4 * ROWS_PER_GROUP


class ResultStore:
    """The vectors of a job's rows.

    Attributes:
        length: Numbers per vector; None before the first result.
        rows_done: Rows that were done or rejected when the store was opened.
        tokens: Tokens of these rows.
        has_new_vectors: Whether vectors were added after that.
    """

    def __init__(
        self,
        folder: Path,
        rows: int,
        rows_per_part: int,
        schema: OutputSchema,
        length: int | None,
        output: Output,
        repeats: RepeatedTexts,
    ) -> None:
        self.length = length
        self._folder = folder
        self._rows = rows
        self._rows_per_part = rows_per_part
        self._schema = schema
        self._output = output
        self._repeats = repeats
        self._stored = 0
        self._parts: dict[int, OutputPart] = {}
        self._written: set[int] = set()
        self._sent = array("Q")
        self.rows_done: int = 0
        self.tokens: int = 0
        self.requests: int = 0
        self.has_new_vectors: bool = False
        folder.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        for number in range(-(-rows // rows_per_part)):
            if (path := self._journal_path(number)).exists():
                done, tokens, requests, is_reduced = read_totals(path)
                self.rows_done += done
                self.tokens += tokens
                self.requests += requests
                if is_reduced:
                    self._written.add(number)

    @property
    def first_unwritten(self) -> int:
        """The first row of the first part that is not in the output, or the number of rows."""
        number = 0
        while number in self._written:
            number += 1
        return min(number * self._rows_per_part, self._rows)

    def texts(self, rows: Iterable[Row], first: int) -> Iterator[str]:
        """Yield the texts without a vector, from row `first` on.

        Raises:
            JobError: There are more rows than were counted.
        """
        for position, row in enumerate(rows, first):
            if position >= self._rows:
                raise JobError("the input changed while it was read: it has more rows than before")
            number = position // self._rows_per_part
            if number in self._written:
                continue
            part = self._parts.get(number) or self._open(number)
            is_missing = part.state[position - part.first] == MISSING
            vector = self._repeats.find(position, row.text) if is_missing else b""
            if vector is None:
                self._sent.append(position)
            if row.kept:
                part.kept.append(row.kept)
            part.ids.append(row.id)
            if vector is None:
                yield row.text
            else:
                self._repeat([position] if vector else (), vector)
                self._write_if_complete(part)

    def row_of(self, sent: int) -> int:
        """Return the row of a text by its position in the output of `texts`."""
        return self._sent[sent]

    def add(self, positions: Sequence[int], vectors: Sequence[Vector], tokens: int) -> int:
        """Store the vectors of texts by their ascending positions in the output of `texts`.

        Returns:
            Number of rows whose vectors were stored since the last call.
        """
        for start, count in self._runs_in(positions):
            row = self._sent[positions[start]]
            part = self._parts[row // self._rows_per_part]
            numbers = self._joined(vectors[start : start + count])
            cost = 0 if start else tokens
            part.add(row - part.first, count, cost, numbers)
            self.has_new_vectors = True
            with self._lock:
                self._stored += count
                self.tokens += cost
                self.requests += cost > 0
            self._write_if_complete(part)
        pairs = zip(positions, vectors, strict=True) if self._repeats.expects_vectors else ()
        for position, vector in pairs:
            if rows := self._repeats.store(self._sent[position], vector):
                self._repeat(rows, vector.tobytes())
        with self._lock:
            stored, self._stored = self._stored, 0
        return stored

    def _repeat(self, rows: Iterable[int], vector: bytes) -> None:
        """Store the vector of rows with the same text."""
        for row in rows:
            part = self._parts[row // self._rows_per_part]
            part.add(row - part.first, 1, 0, vector)
            with self._lock:
                self._stored += 1
            self._write_if_complete(part)

    def refuse(self, row: int) -> None:
        """Mark a row as rejected."""
        part = self._parts[row // self._rows_per_part]
        part.add(row - part.first, 1, 0, b"")
        self._write_if_complete(part)

    def restart(self) -> None:
        """Prepare for another round of `texts`, from `first_unwritten` on."""
        self._sent = array("Q")
        self._repeats.restart()
        for part in self._parts.values():
            part.ids.clear()
            part.kept.clear()

    def close(self) -> None:
        """Close all files."""
        self._repeats.close()
        for part in self._parts.values():
            part.journal.close()

    def _runs_in(self, positions: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield start and count of each run of consecutive rows in one part."""
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

    def _open(self, number: int) -> OutputPart:
        size = self._size(number)
        reserved = 0
        if self.length is not None:
            reserved = size * (self._schema.vector_bytes(self.length) + HEADER.size)
        journal = Journal(self._journal_path(number), reserved)
        for record in journal.records:
            if record.length and self.length is None:
                self.length = record.length // record.count // self._schema.vector_bytes(1)
        part = OutputPart(number, number * self._rows_per_part, size, journal)
        self._parts[number] = part
        return part

    def _joined(self, vectors: Sequence[Vector]) -> bytes:
        if self.length is None:
            self.length = len(vectors[0])
        if any(len(vector) != self.length for vector in vectors):
            raise JobError(
                f"the service returned vectors of different lengths: expected {self.length:,} "
                "numbers each; discard the job with overwrite=True if the model has changed"
            )
        return b"".join(vectors)

    def _write_if_complete(self, part: OutputPart) -> None:
        if part.is_complete():
            self._output.write_part(part, self.length or 0)
            self._written.add(part.number)
            self._parts.pop(part.number, None)
