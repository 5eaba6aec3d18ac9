"""A part of a job: so many neighbouring rows, their names, and their vectors as they come."""

from __future__ import annotations

import threading
from itertools import compress
from typing import TYPE_CHECKING, Any

from voyage_rag.bulk.accounts import Spent
from voyage_rag.bulk.tables import ROWS_PER_GROUP, batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voyage_rag.bulk.journal import Journal
    from voyage_rag.bulk.rows import Id

MISSING, THERE, REFUSED = 0, 1, 2


class Part:
    """Neighbouring rows that are written together.

    Attributes:
        number: 0 for the first part.
        first: The first row.
        ids: The names of its rows, as far as they were read.
        state: Of each row: missing, there or refused.
        journal: Its answers.
    """

    def __init__(self, number: int, first: int, rows: int, journal: Journal) -> None:
        self.number = number
        self.first = first
        self.ids: list[Id] = []
        self.state = bytearray(rows)
        self.journal = journal
        self._is_taken = False
        self._lock = threading.Lock()
        for record in journal.records:
            self._mark(record.first, record.count, THERE if record.length else REFUSED)

    def add(self, first: int, count: int, tokens: int, vectors: bytes) -> None:
        """Keep vectors of so many rows, or that they were refused."""
        self.journal.add(first, count, tokens, vectors)
        self._mark(first, count, THERE if vectors else REFUSED)

    def is_complete(self) -> bool:
        """Whether all names and vectors are there: true once, for the first who asks then."""
        with self._lock:
            complete = len(self.ids) == len(self.state) and MISSING not in self.state
            if not complete or self._is_taken:
                return False
            self._is_taken = True
            return True

    def batches(self, schema: Any, bytes_per_vector: int) -> Iterator[Any]:
        """Names and vectors as record batches, without the rows that were refused."""
        ids = list(compress(self.ids, (state == THERE for state in self.state)))
        start = 0
        for vectors in self.journal.vectors(ROWS_PER_GROUP * bytes_per_vector):
            yield batch_of(schema, ids[start : start + ROWS_PER_GROUP], vectors)
            start += ROWS_PER_GROUP

    @property
    def spent(self) -> Spent:
        """What its vectors have cost."""
        records = [record for record in self.journal.records if record.length]
        return Spent(sum(record.tokens for record in records), len(records))

    def _mark(self, first: int, count: int, state: int) -> None:
        self.state[first : first + count] = bytes([state]) * count
