"""The first look at an input: every row is checked and counted before anything is sent."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from voyage_rag.bulk.rows import Row, flaw_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from voyage_rag.bulk.sources.source import Source

IdKind: TypeAlias = Literal["integer", "string"]

ROWS_AT_ONCE = 4_096
CACHE_KIB = 65_536


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do.

    Attributes:
        rows: Rows to embed.
        refused: Rows that cannot be.
        characters: Of all texts to embed.
        tokens: What these are expected to be at most (see `voyage_rag.core.tokens.weigh`).
        ids: What the names are.
        first_refused: The first row that cannot be embedded and why, for a message.
    """

    rows: int
    refused: int
    characters: int
    tokens: int
    ids: IdKind
    first_refused: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not embedded.

    Attributes:
        position: Its position among all rows, good or bad, from 0.
        row: The row.
        reason: Why.
    """

    position: int
    row: Row
    reason: str

    def line(self) -> str:
        """As it is written to the side file."""
        told = {
            "position": self.position,
            "row": self.row.number,
            "id": self.row.id,
            "reason": self.reason,
            "text": self.row.text,
        }
        return json.dumps(told, default=str) + "\n"


def scan(
    source: Source,
    weigh: Callable[[str], float],
    refused_file: Path,
    ids_file: Path,
    on_rows: Callable[[int], None],
) -> Plan:
    """Check and count all rows.

    Args:
        source: The input.
        weigh: Tokens of a text, at most.
        refused_file: Where rows that cannot be embedded are written, in order.
        ids_file: Where the names are kept for the time it takes, so that memory stays flat.
        on_rows: Told how many more rows have been looked at.
    """
    rows = refused = characters = seen = 0
    tokens = 0.0
    first_refused: str | None = None
    looked_at = _Checked(source, ids_file)
    with closing(looked_at), refused_file.open("w", encoding="utf-8") as side:
        for chunk, flaws in looked_at.chunks():
            for offset, row in enumerate(chunk):
                if reason := flaws.get(offset):
                    side.write(Refused(seen + offset, row, reason).line())
                    first_refused = first_refused or f"{source.where(row)}: {reason}"
                else:
                    characters += len(row.text)
                    tokens += weigh(row.text)
            seen += len(chunk)
            refused += len(flaws)
            rows += len(chunk) - len(flaws)
            on_rows(len(chunk))
    return Plan(
        rows, refused, characters, round(tokens), looked_at.kind or "integer", first_refused
    )


class _Checked:
    """Rows in chunks, with what is wrong with some of them.

    Names are compared in a temporary database on disk: exact, and in flat memory.

    Attributes:
        kind: What the names are, None before the first.
    """

    def __init__(self, source: Source, ids_file: Path) -> None:
        self.kind: IdKind | None = None
        self._source = source
        self._file = ids_file
        self._seen: sqlite3.Connection | None = None
        if not source.names_are_unique:
            ids_file.unlink(missing_ok=True)
            self._seen = sqlite3.connect(ids_file, isolation_level=None)
            self._seen.execute("PRAGMA journal_mode = OFF")
            self._seen.execute("PRAGMA synchronous = OFF")
            self._seen.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._seen.execute("CREATE TABLE seen (id PRIMARY KEY, number) WITHOUT ROWID")
            self._seen.execute("BEGIN")

    def chunks(self) -> Iterator[tuple[list[Row], dict[int, str]]]:
        """So many rows at a time, and the flaws of the bad ones by their place in the chunk."""
        rows = self._source.rows()
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            flaws = {at: flaw for at, row in enumerate(chunk) if (flaw := self._flaw_of(row))}
            if self._seen is not None:
                flaws |= self._duplicates(self._seen, chunk, flaws)
            yield chunk, flaws

    def close(self) -> None:
        """Forget the names."""
        if self._seen is not None:
            self._seen.close()
            self._file.unlink(missing_ok=True)

    def _flaw_of(self, row: Row) -> str | None:
        if flaw := flaw_of(row):
            return flaw
        kind: IdKind = "string" if isinstance(row.id, str) else "integer"
        if self.kind is None:
            self.kind = kind
        if kind != self.kind:
            return f"its id {row.id!r} is no {self.kind}, as the ids before it are"
        return None

    def _duplicates(
        self, seen: sqlite3.Connection, chunk: list[Row], flaws: dict[int, str]
    ) -> dict[int, str]:
        named = [(row.id, row.number) for at, row in enumerate(chunk) if at not in flaws]
        before = seen.total_changes
        seen.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", named)
        if seen.total_changes - before == len(named):
            return {}
        found = {}
        for at, row in enumerate(chunk):
            if at not in flaws:
                (first,) = seen.execute(
                    "SELECT number FROM seen WHERE id = ?", (row.id,)
                ).fetchone()
                if first != row.number:
                    unit = self._source.unit
                    found[at] = f"its id {row.id!r} is that of {unit} {first:,}, too"
        return found


def read_refused(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a side file, as they were written; none if there is no such file."""
    if not file.exists():
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def kept_rows(source: Source, refused_file: Path, skip: int) -> Iterator[Row]:
    """The rows to embed, from the one on that has so many of them before it."""
    refused = (entry["position"] for entry in read_refused(refused_file))
    position, coming = skip, next(refused, None)
    while coming is not None and coming <= position:
        position += 1
        coming = next(refused, None)
    for row in source.rows(position):
        if position == coming:
            coming = next(refused, None)
        else:
            yield row
        position += 1
