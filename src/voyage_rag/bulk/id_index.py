"""Find duplicate ids among all rows, exactly and in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from voyage_rag.jobs.inputs.rows import Id

MAX_IDS_IN_MEMORY = 500_000
"""About 80 MB. More ids are stored in a temporary database on disk."""

CACHE_KIB = 65_536


class IdIndex:
    """Every id with the location of its first row.

    Args:
        path: Path of the database, if one is needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_memory: dict[Id, int] = {}
        self._database: sqlite3.Connection | None = None

    def add(self, ids: Sequence[Id], locations: Sequence[int]) -> dict[int, int]:
        """Add ids with their locations; return the duplicates with the location of the earlier row.

        Raises:
            sqlite3.OperationalError: The disk is full.
        """
        if self._database is None and len(self._in_memory) + len(ids) > MAX_IDS_IN_MEMORY:
            self._database = self._opened()
            self._insert(self._database, self._in_memory.items())
            self._in_memory.clear()
        if self._database is not None:
            return self._add_to_database(self._database, ids, locations)
        known = self._in_memory
        before = len(known)
        for name, location in zip(ids, locations, strict=True):
            known.setdefault(name, location)
        if len(known) - before == len(ids):
            return {}
        found = zip(ids, locations, strict=True)
        return {location: known[name] for name, location in found if known[name] != location}

    def close(self) -> None:
        """Delete the database."""
        if self._database is not None:
            self._database.close()
            self._path.unlink(missing_ok=True)

    def _add_to_database(
        self, database: sqlite3.Connection, ids: Sequence[Id], locations: Sequence[int]
    ) -> dict[int, int]:
        before = database.total_changes
        self._insert(database, zip(ids, locations, strict=True))
        if database.total_changes - before == len(ids):
            return {}
        taken = {}
        for name, location in zip(ids, locations, strict=True):
            found = database.execute("SELECT location FROM seen WHERE id = ?", _stored(name))
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
    """Return an id for SQLite. Integers of 64 bits are stored as blobs, because they are signed."""
    if isinstance(name, int) and name >= 2**63:
        return (name.to_bytes(8, "big"),)  # type: ignore[return-value]
    return (name,)
