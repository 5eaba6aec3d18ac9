"""CSV and TSV files."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from io import TextIOWrapper
from itertools import islice, pairwise
from typing import Any, ClassVar, TypeAlias

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.rows import Columns, InputFile, Row, joined, row_of
from voyage_rag.jobs.lines import CARRIAGE_RETURN, MAX_SHOWN, open_bytes

MAX_FIELD_CHARS = 2**23
"""Maximum characters of a field. An unclosed quote makes the rest of the file one field."""

MAX_LINE_CHARS = 2 * MAX_FIELD_CHARS
"""Maximum characters of a line. Only the beginning of a longer one is kept."""

TOO_LONG = f"the line is longer than {MAX_LINE_CHARS:,} characters"

Record: TypeAlias = tuple[int, list[str], str | None, list[str]]
"""The number of a record's first line, its fields, its flaw or None, and its lines."""

MAX_PREAMBLE = 20
"""Number of records at the beginning that are searched for the header of a table."""

OTHER_DELIMITERS = {";": "a CSV with semicolons", "\t": "a TSV", "|": "a CSV with vertical bars"}


class CSVFile(InputFile):
    """A text file with a table, whose quoted fields can contain line breaks."""

    unit = "line"
    has_nested_values: ClassVar[bool] = False
    usual_delimiter: ClassVar[str] = ","
    quoted: ClassVar[bool] = True

    @property
    def _delimiter(self) -> str:
        return self.options.delimiter or self.usual_delimiter

    @cached_property
    def _header(self) -> list[str]:
        """The names of the columns; without a header, their numbers from 1."""
        with self._records() as records:
            _, fields, flaw, lines = next(records, (0, [], None, []))
        if flaw is not None:
            hint = self._hint_of_delimiter(lines[0], '"')
            raise JobError(f"the first line of {self.label} cannot be read: {flaw}{hint}")
        if not self.options.header:
            return [str(number) for number in range(1, len(fields) + 1)]
        return [name.strip() for name in fields]

    @property
    def columns(self) -> list[str] | None:
        """See `InputFile`. None for an empty file, such as a part without rows."""
        return [*self._header, *self.constants] if self._header else None

    @property
    def hint(self) -> str:
        """See `InputFile`."""
        if self._header and "\0" in self._header[0]:
            return "; if it is UTF-16, pass encoding='utf-16-le' or 'utf-16-be'"
        if self._header[:1] and self._header[0].startswith("sep="):
            return "; if the first line is not part of the table, pass skip_lines=1"
        if len(self._header) == 1 and (hint := self._hint_of_delimiter(self._header[0])):
            return hint
        if self.options.header and self._header and self._header[0].isdigit():
            return "; if it has no header, pass header=False"
        return self._hint_of_preamble()

    def _hint_of_preamble(self) -> str:
        """Suggest skipping the lines before a wider table, such as the title of a report."""
        with self._records() as records:
            first = [(line, len(fields)) for line, fields, _, _ in islice(records, MAX_PREAMBLE)]
        for (line, width), (_, following) in pairwise(first[1:]):
            if width == following > len(self._header):
                return f"; if the table begins in line {line}, pass skip_lines={line - 1}"
        return ""

    def _hint_of_delimiter(self, line: str, before: str = "") -> str:
        for mark, what in OTHER_DELIMITERS.items() if self.options.delimiter is None else ():
            if before + mark in line and mark != self._delimiter:
                return f"; if it is {what}, pass delimiter={mark!r}"
        return ""

    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """See `InputFile`."""
        width, label, keep = len(self._header), self.label, columns.keep
        at = {name: place for place, name in enumerate(self._header)}
        only = at.get(columns.text[0]) if len(columns.text) == 1 else None
        text_at = [at[name] for name in columns.text if name in at]
        id_at = None if columns.id is None else at.get(columns.id)
        seen = 0
        with self._records() as records:
            if self.options.header:
                next(records, None)
            for line, fields, flaw, lines in records:
                if flaw is not None or len(fields) != width:
                    counts = f"the line has {len(fields)} fields, the header {width}"
                    for row in self._flawed(line, lines, flaw or counts):
                        seen += 1
                        if seen > skip:
                            yield row
                    continue
                seen += 1
                if seen > skip:
                    name = position + seen - 1 if id_at is None else fields[id_at]
                    text = joined([fields[n] for n in text_at]) if only is None else fields[only]
                    kept = self._kept(fields, keep, at) if keep else ()
                    yield row_of((line, name, text, None, label, kept))
        return seen

    def _kept(
        self, fields: list[str], keep: tuple[str, ...], at: dict[str, int]
    ) -> tuple[Any, ...]:
        return tuple([fields[at[n]] if n in at else self.constants.get(n) for n in keep])

    def _flawed(self, number: int, lines: list[str], flaw: str) -> Iterator[Row]:
        """Yield one row for each line of a record that cannot be read."""
        if not self.quoted and '"' in lines[0]:
            flaw += " (are fields quoted? input_format='csv' with delimiter='\\t')"
        for offset, content in enumerate(lines):
            shown = content if len(content) < MAX_FIELD_CHARS else content[:MAX_SHOWN]
            yield Row(number + offset, None, shown.rstrip("\r\n"), flaw, self.label)

    @contextmanager
    def _records(self) -> Iterator[Iterator[Record]]:
        limit = csv.field_size_limit(MAX_FIELD_CHARS)
        try:
            with open_bytes(self.path, self.options.encoding) as file:
                text = TextIOWrapper(
                    file, "utf-8-sig", "surrogateescape", newline="" if self.quoted else "\n"
                )
                yield self._read(text)
                text.detach()
        finally:
            csv.field_size_limit(limit)

    def _read(self, file: TextIOWrapper) -> Iterator[Record]:
        number = sum(1 for _ in islice(file, self.options.skip_lines))
        lines = list[str]()  # of the current record
        quoting: Any = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        while True:  # a reader cannot continue after an error
            reader = csv.reader(
                _recorded(file, lines), delimiter=self._delimiter, strict=True, quoting=quoting
            )
            try:
                for fields in reader:
                    if fields:
                        yield number + 1, fields, None, lines
                    number += len(lines)
                    lines.clear()
            except csv.Error as error:
                yield number + 1, [], _flaw_of(lines, number + 1, error), lines
                number += len(lines)
                lines.clear()
            else:
                return


def _recorded(file: TextIOWrapper, lines: list[str]) -> Iterator[str]:
    """Yield lines, and add them to a list; raise a `csv.Error` for one that is too long."""
    for line in iter(partial(file.readline, MAX_LINE_CHARS), ""):
        lines.append(line)
        if len(line) == MAX_LINE_CHARS and _is_piece(line):
            while _is_piece(file.readline(MAX_LINE_CHARS)):
                pass
            raise csv.Error
        yield line


def _is_piece(line: str) -> bool:
    return len(line) == MAX_LINE_CHARS and not line.endswith(("\n", "\r"))


def _flaw_of(lines: list[str], first: int, error: csv.Error) -> str:
    if _is_piece(lines[-1]):
        return TOO_LONG
    if len(lines) > 1:
        return (
            f"a quote that is not closed properly: lines {first:,} to "
            f"{first + len(lines) - 1:,} cannot be separated ({error})"
        )
    if "\r" in lines[-1].rstrip("\r\n"):
        return CARRIAGE_RETURN
    return f"the line cannot be read: {error}"


class TSVFile(CSVFile):
    """A table whose fields are separated by tabs. Quotes have no meaning."""

    usual_delimiter = "\t"
    quoted = False
