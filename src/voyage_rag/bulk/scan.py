"""The first look at an input: every row is checked and counted before anything is sent."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from voyage_rag.bulk.names import Names
from voyage_rag.bulk.rows import Row, flaw_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from voyage_rag.bulk.sources.source import Source

IdKind: TypeAlias = Literal["integer", "string"]

ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do.

    Attributes:
        rows: Rows to embed.
        refused: Rows that cannot be.
        characters: Of all texts to embed.
        tokens: What these are expected to be at most (see `voyage_rag.core.token_estimate.weigh`).
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
    estimate_tokens: Callable[[str], float],
    refused_file: Path,
    ids_file: Path,
    on_rows: Callable[[int], None],
) -> Plan:
    """Check and count all rows.

    Args:
        source: The input.
        estimate_tokens: Tokens of a text, at most.
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
                    tokens += estimate_tokens(row.text)
            seen += len(chunk)
            refused += len(flaws)
            rows += len(chunk) - len(flaws)
            on_rows(len(chunk))
    return Plan(
        rows, refused, characters, round(tokens), looked_at.kind or "integer", first_refused
    )


class _Checked:
    """Rows in chunks, with what is wrong with some of them.

    Attributes:
        kind: What the names are, None before the first.
    """

    def __init__(self, source: Source, ids_file: Path) -> None:
        self.kind: IdKind | None = None
        self._type: type[str | int] | None = None
        self._source = source
        self._names = None if source.names_are_unique else Names(ids_file)

    def chunks(self) -> Iterator[tuple[list[Row], dict[int, str]]]:
        """So many rows at a time, and the flaws of the bad ones by their place in the chunk."""
        rows = self._source.rows()
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            flaws = {at: flaw for at, row in enumerate(chunk) if (flaw := self._flaw_of(row))}
            if self._names is not None:
                named = {at: row for at, row in enumerate(chunk) if at not in flaws}
                for at, first in self._names.taken(named).items():
                    unit, name = self._source.unit, named[at].id
                    flaws[at] = f"its id {name!r} is that of {unit} {first:,}, too"
            yield chunk, flaws

    def close(self) -> None:
        """Forget the names."""
        if self._names is not None:
            self._names.close()

    def _flaw_of(self, row: Row) -> str | None:
        text, name = row.text, row.id
        is_plain = row.flaw is None and type(text) is str and text and text.isascii()
        if is_plain and type(name) is str and self._type is str and name and name.isascii():
            return None  # most rows, quickly
        if flaw := flaw_of(row):
            return flaw
        kind: IdKind = "string" if isinstance(name, str) else "integer"
        if self.kind is None:
            self.kind, self._type = kind, type(name)
        if kind != self.kind:
            return f"its id {name!r} is no {self.kind}, as the ids before it are"
        return None


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
