"""CSV and TSV, with a header."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.rows import Row
from voyage_rag.bulk.sources.packed import opened
from voyage_rag.bulk.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_FIELD = 2**24
"""Characters; a quote that is never closed takes the rest of the file for a field."""


class Delimited(Source):
    """A table of text: RFC 4180, quoted fields may hold line breaks.

    Args:
        path: The file.
        text_column: See `Source`.
        id_column: See `Source`.
        delimiter: What is between fields.
    """

    unit = "line"

    def __init__(self, path: Path, text_column: str, id_column: str | None, delimiter: str) -> None:
        super().__init__(path, text_column, id_column)
        self._delimiter = delimiter
        with self._opened() as file:
            try:
                self._header: list[str] = next(self._reader(file), [])
            except csv.Error as error:
                raise JobError(f"the header of {path.name} cannot be read: {error}") from None
        self.settle(self._header)

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """See `Source`."""
        text_at = self._header.index(self.text_column)
        id_at = None if self.id_column is None else self._header.index(self.id_column)
        width, position = len(self._header), -1
        with self._opened() as file:
            reader = self._reader(file)
            next(reader)
            while True:
                line = reader.line_num + 1
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    position += 1
                    if position >= skip:
                        yield Row(line, None, None, f"the line cannot be read: {error}")
                    continue
                if not fields:
                    continue
                position += 1
                if position < skip:
                    continue
                if len(fields) != width:
                    flaw = f"the line has {len(fields)} fields, the header {width}"
                    yield Row(line, None, fields, flaw)
                else:
                    name = position if id_at is None else fields[id_at]
                    yield Row(line, name, fields[text_at])

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        limit = csv.field_size_limit(LONGEST_FIELD)
        try:
            with opened(self.path) as file:
                yield TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        finally:
            csv.field_size_limit(limit)

    def _reader(self, file: TextIO) -> Any:
        return csv.reader(file, delimiter=self._delimiter, strict=True)
