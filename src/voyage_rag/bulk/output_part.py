"""Consecutive rows of a job that are written together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import compress
from typing import Any

from voyage_rag.bulk.journal import Journal
from voyage_rag.bulk.writers import ROWS_PER_GROUP, record_batch
from voyage_rag.jobs.inputs.rows import Id

MISSING, DONE, REFUSED = 0, 1, 2


class OutputPart:
    """Consecutive rows that are written together.

    `ids` and `kept` are those of the rows that were read; `state` says for each row whether it is
    missing, done or rejected.
    """

    def __init__(self, number: int, first: int, rows: int, journal: Journal) -> None:
        self.number = number
        self.first = first
        self.ids: list[Id] = []
        self.kept: list[tuple[Any, ...]] = []
        self.state: bytearray = bytearray(rows)
        self.journal = journal
        self._is_taken = False
        self._lock = threading.Lock()
        for record in journal.records:
            self._mark(record.first, record.count, DONE if record.length else REFUSED)

    def add(self, first: int, count: int, tokens: int, vectors: bytes) -> None:
        """Store the vectors of rows; without vectors, mark the rows as rejected."""
        self.journal.add(first, count, tokens, vectors)
        self._mark(first, count, DONE if vectors else REFUSED)

    def is_complete(self) -> bool:
        """Return whether all ids and vectors are stored. True only for the first caller."""
        with self._lock:
            complete = len(self.ids) == len(self.state) and MISSING not in self.state
            if not complete or self._is_taken:
                return False
            self._is_taken = True
            return True

    def batches(self, schema: Any, bytes_per_vector: int) -> Iterator[Any]:
        """Yield record batches without the rejected rows."""
        done = [state == DONE for state in self.state]
        ids, kept = list(compress(self.ids, done)), list(compress(self.kept, done))
        start = 0
        for vectors in self.journal.vectors(ROWS_PER_GROUP * bytes_per_vector):
            end = start + ROWS_PER_GROUP
            yield record_batch(schema, ids[start:end], vectors, kept[start:end])
            start = end

    def _mark(self, first: int, count: int, state: int) -> None:
        self.state[first : first + count] = bytes([state]) * count
