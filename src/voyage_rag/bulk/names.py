"""The names of rows seen so far, to find one that is used twice: exact, and in bounded memory."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from voyage_rag.bulk.rows import Id, Row

MOST_IN_MEMORY = 500_000
"""Some 80 MB. Beyond, names are in a temporary database on disk."""

CACHE_KIB = 65_536


class Names:
    """Every name with the number of the row that has it.

    Args:
        path: Where the database is while there is one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._few: dict[Id, int] = {}
        self._many: sqlite3.Connection | None = None

    def taken(self, rows: Mapping[int, Row]) -> dict[int, int]:
        """Take note of rows, by any key: the keys of those whose name another row has, and which.

        Raises:
            sqlite3.OperationalError: The disk is full.
        """
        if self._many is None and len(self._few) + len(rows) > MOST_IN_MEMORY:
            self._many = self._opened()
            self._insert(self._many, self._few.items())
            self._few.clear()
        if self._many is not None:
            return self._taken_of_many(self._many, rows)
        before, few = len(self._few), self._few
        for row in rows.values():
            few.setdefault(row.id, row.number)
        if len(few) - before == len(rows):
            return {}
        return {key: few[row.id] for key, row in rows.items() if few[row.id] != row.number}

    def close(self) -> None:
        """Forget all."""
        if self._many is not None:
            self._many.close()
            self._path.unlink(missing_ok=True)

    def _taken_of_many(self, many: sqlite3.Connection, rows: Mapping[int, Row]) -> dict[int, int]:
        before = many.total_changes
        self._insert(many, ((row.id, row.number) for row in rows.values()))
        if many.total_changes - before == len(rows):
            return {}
        taken = {}
        for key, row in rows.items():
            query = many.execute("SELECT number FROM seen WHERE id = ?", (row.id,))
            (first,) = query.fetchone()
            if first != row.number:
                taken[key] = first
        return taken

    def _insert(self, many: sqlite3.Connection, named: Iterable[tuple[Id, int]]) -> None:
        many.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", named)

    def _opened(self) -> sqlite3.Connection:
        self._path.unlink(missing_ok=True)
        many = sqlite3.connect(self._path, isolation_level=None)
        many.execute("PRAGMA journal_mode = OFF")
        many.execute("PRAGMA synchronous = OFF")
        many.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        many.execute("CREATE TABLE seen (id PRIMARY KEY, number) WITHOUT ROWID")
        many.execute("BEGIN")
        return many
