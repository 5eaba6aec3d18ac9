"""The ids of rows seen so far, to find one that is used twice: exact, and in bounded memory."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from voyage_rag.jobs.inputs.rows import Id, Row

MOST_IN_MEMORY = 500_000
"""Some 80 MB. Beyond, ids are in a temporary database on disk."""

CACHE_KIB = 65_536


class IdIndex:
    """Every id with the location of the first row that has it.

    Args:
        path: Where the database is while there is one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_memory: dict[Id, int] = {}
        self._database: sqlite3.Connection | None = None

    def add(self, rows: Mapping[int, Row]) -> dict[int, int]:
        """Add rows by their locations; the locations of those whose id an earlier row has, and its.

        Raises:
            sqlite3.OperationalError: The disk is full.
        """
        if self._database is None and len(self._in_memory) + len(rows) > MOST_IN_MEMORY:
            self._database = self._opened()
            self._insert(self._database, self._in_memory.items())
            self._in_memory.clear()
        if self._database is not None:
            return self._add_to_database(self._database, rows)
        known = self._in_memory
        before = len(known)
        for location, row in rows.items():
            known.setdefault(row.id, location)
        if len(known) - before == len(rows):
            return {}
        return {at: known[row.id] for at, row in rows.items() if known[row.id] != at}

    def close(self) -> None:
        """Remove the database."""
        if self._database is not None:
            self._database.close()
            self._path.unlink(missing_ok=True)

    def _add_to_database(
        self, database: sqlite3.Connection, rows: Mapping[int, Row]
    ) -> dict[int, int]:
        before = database.total_changes
        self._insert(database, ((row.id, location) for location, row in rows.items()))
        if database.total_changes - before == len(rows):
            return {}
        taken = {}
        for location, row in rows.items():
            found = database.execute("SELECT location FROM seen WHERE id = ?", _stored(row.id))
            (first,) = found.fetchone()
            if first != location:
                taken[location] = first
        return taken

    def _insert(self, database: sqlite3.Connection, ids: Iterable[tuple[Id, int]]) -> None:
        database.executemany(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)",
            ((*_stored(name), location) for name, location in ids),
        )

    def _opened(self) -> sqlite3.Connection:
        self._path.unlink(missing_ok=True)
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute("CREATE TABLE seen (id PRIMARY KEY, location) WITHOUT ROWID")
        database.execute("BEGIN")
        return database


def _stored(name: Id) -> tuple[Id]:
    """SQLite's integers have 63 bits; larger ones are stored as what no id can be, a blob."""
    if isinstance(name, int) and name >= 2**63:
        return (name.to_bytes(8, "big"),)  # type: ignore[return-value]
    return (name,)
