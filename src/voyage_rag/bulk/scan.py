"""The first pass over an input: check and count every row before anything is sent."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from voyage_rag.bulk.id_index import IdIndex
from voyage_rag.bulk.job_folder import InputSummary, JobFolder
from voyage_rag.bulk.progress import JobReporter
from voyage_rag.bulk.refused import refused_line
from voyage_rag.bulk.repeats import HASHES, write_repeated
from voyage_rag.bulk.writers import json_field, python_values, schema_to_text
from voyage_rag.core.context import MARGIN, estimate_tokens
from voyage_rag.io.tokenizer import Tokenizer
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputReader, Row, flaw_of
from voyage_rag.jobs.inputs.arrow_files import pa
from voyage_rag.jobs.inputs.rows import is_utf8

ROWS_PER_CHUNK = 4_096
FILE_BITS = 40
MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1


def scan(
    reader: InputReader, tokenizer: str | None, folder: JobFolder, reporter: JobReporter
) -> InputSummary:
    """Check and count all rows, and list in the folder those that cannot be embedded.

    Tokens are counted with a `tokenizer.json`, or estimated if there is none.
    """
    count = estimate_tokens if tokenizer is None else Tokenizer(tokenizer)
    rows = refused = characters = seen = 0
    tokens = 0.0
    first_refused: str | None = None
    reporter.begin("reading", None)
    hashes, digest = array(HASHES), hashlib.blake2b(digest_size=16)
    checker, types = RowChecker(reader, folder.ids), KeptTypes(reader)
    with closing(checker), folder.refused_while_scanning.open("w", encoding="utf-8") as side:
        for chunk, flaws in checker.chunks():
            for at in sorted(flaws):
                side.write(refused_line(seen + at, chunk[at], flaws[at]))
                digest.update(repr((seen + at, chunk[at].id, chunk[at].text)).encode())
                first_refused = first_refused or f"{reader.where(chunk[at])}: {flaws[at]}"
            good = [row for at, row in enumerate(chunk) if at not in flaws] if flaws else chunk
            texts = [row.text for row in good]
            characters += sum(map(len, texts))
            tokens += sum(map(count, texts))
            hashes.extend(map(hash, texts))
            if reader.columns.keep:
                types.add(good)
            digest.update(_facts(good, reader.columns.keep).encode())
            digest.update("".join(texts).encode())
            seen += len(chunk)
            refused += len(flaws)
            rows += len(good)
            reporter.add(len(chunk))
    write_repeated(hashes, folder.repeats_while_scanning)
    kept = schema_to_text(types.schema())
    digest.update(f"{checker.id_type} {kept}".encode())
    return InputSummary(
        rows=rows,
        refused=refused,
        files=len(reader.files),
        unread=reader.unread,
        characters=characters,
        tokens=round(tokens * (MARGIN if tokenizer is None else 1)),
        id_type=checker.id_type,
        kept=kept,
        digest=digest.hexdigest(),
        first_refused=first_refused,
        damaged=reader.damaged,
    )


def _facts(rows: Sequence[Row], keep: Sequence[str]) -> str:
    """Return everything about rows that the output depends on, except their texts."""
    facts = repr([(row.id, len(row.text)) for row in rows])
    return facts + repr([list(map(_plain, row.kept)) for row in rows]) if keep else facts


def _plain(value: Any) -> Any:
    """Convert a time that `datetime` cannot represent, which therefore has no `repr`."""
    return value.cast(pa.string()).as_py() if isinstance(value, pa.Scalar) else value


class RowChecker:
    """Divides rows into chunks and finds bad rows."""

    def __init__(self, reader: InputReader, ids_file: Path) -> None:
        self._reader = reader
        self._index = None if reader.columns.id is None else IdIndex(ids_file)
        self._files = {file.label: at << FILE_BITS for at, file in enumerate(reader.files)}
        declared = None if reader.columns.id is None else reader.type_of(reader.columns.id)
        self._declared = str(declared) if declared and pa.types.is_integer(declared) else None
        self._type: type[str | int] | None = None

    @property
    def id_type(self) -> str:
        """The Arrow type of the ids: that of the input for integers."""
        if self._type is str:
            return "string"
        return self._declared or "int64"

    def chunks(self) -> Iterator[tuple[list[Row], dict[int, str]]]:
        """Yield chunks of rows, and the flaws of bad rows by their position in the chunk."""
        rows = self._reader.rows()
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            flaws = {at: flaw for at, row in enumerate(chunk) if (flaw := self._flaw_of(row))}
            if self._index is not None:
                good = [row for at, row in enumerate(chunk) if at not in flaws] if flaws else chunk
                locations = self._locations(good)
                known = self._index.add([row.id for row in good], locations)
                places = zip(chunk, self._locations(chunk), strict=True) if known else ()
                for at, (row, location) in enumerate(places):
                    first = known.get(location)
                    if first is not None and at not in flaws:
                        flaws[at] = f"its id {row.id!r} is also that of {self._place(first)}"
            yield chunk, flaws

    def close(self) -> None:
        """Delete the ids."""
        if self._index is not None:
            self._index.close()

    def _locations(self, rows: Sequence[Row]) -> list[int]:
        """Return row numbers, with the numbers of their files in the higher bits."""
        if len(self._files) == 1:
            return [row.number for row in rows]  # shares the objects to save memory
        return [self._files[row.file] | row.number for row in rows]

    def _place(self, location: int) -> str:
        file = self._reader.files[location >> FILE_BITS]
        number = location & ((1 << FILE_BITS) - 1)
        return f"{file.unit} {number:,}" + (f" of {file.label}" if len(self._files) > 1 else "")

    def _flaw_of(self, row: Row) -> str | None:
        _, name, text, unreadable, _, kept = row
        is_plain = unreadable is None and not kept and type(text) is str and text and text.isascii()
        if is_plain and type(name) is str and self._type is str and name and name.isascii():
            return None  # the fast path of most rows
        if flaw := flaw_of(row) or _flaw_of_kept(row):
            return flaw
        if self._type is None:
            self._type = type(name)
        if type(name) is not self._type:
            kind = "a string" if self._type is str else "an integer"
            return f"its id {name!r} is not {kind} like the previous ids"
        if isinstance(name, int) and name > MAX_INT64 and self._declared != "uint64":
            return f"its id {name} is too large for int64, the type of the ids"
        return None


class KeptTypes:
    """The types of the columns to copy: declared by the files, or inferred from the rows.

    Values without a common simple type are stored as JSON.
    """

    def __init__(self, reader: InputReader) -> None:
        names = reader.columns.keep
        self._declared = {name: _buildable(reader.type_of(name)) for name in names}
        self._found: list[set[type]] = [set() for _ in names]

    def add(self, rows: Sequence[Row]) -> None:
        """Infer types from rows."""
        for at, (name, declared) in enumerate(self._declared.items()):
            values = [row.kept[at] for row in rows]
            if declared is None:
                self._found[at].update(map(_type_of, values))
                continue
            try:
                column = pa.array(values, declared)
                if any(isinstance(value, pa.Scalar) for value in values):
                    python_values(column)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise JobError(
                    f"column {name!r} contains a value that is not {declared}: {error}"
                ) from None

    def schema(self) -> Any:
        """Return the Arrow schema."""
        return pa.schema(
            [
                _field(name, self._declared[name], found - {type(None)})
                for name, found in zip(self._declared, self._found, strict=True)
            ]
        )


def _buildable(kind: Any) -> Any:
    """Return a type, or None to infer it, if Arrow cannot build arrays of this type from values."""
    try:
        pa.array([], kind)
    except pa.ArrowNotImplementedError:  # such as Polars' categories
        return None
    return kind


def _field(name: str, declared: Any, found: set[type]) -> Any:
    for known, kind in (
        ({str}, pa.string()),
        ({bool}, pa.bool_()),
        ({int}, pa.int64()),
        ({int, float}, pa.float64()),
    ):
        if declared is None and found <= known:
            return pa.field(name, kind)
    return json_field(name) if declared is None else pa.field(name, declared)


def _type_of(value: object) -> type:
    """Return the type of a value; that of objects for an integer of more than 64 bits."""
    too_large = type(value) is int and not MIN_INT64 <= value <= MAX_INT64
    return dict if too_large else type(value)


def _flaw_of_kept(row: Row) -> str | None:
    for value in row.kept:
        if isinstance(value, str | list | dict):
            shown = (
                value
                if isinstance(value, str)
                else json.dumps(value, ensure_ascii=False, default=str)
            )
            if not is_utf8(shown):
                return "one of its copied columns is not UTF-8, or contains a lone surrogate"
    return None
