"""JSON Lines, and JSON files with an array of objects or strings."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from voyage_rag.jobs.errors import DamagedFileError, JobError
from voyage_rag.jobs.inputs.rows import Columns, InputFile, Row, joined, pick, row_of
from voyage_rag.jobs.lines import open_bytes, parse_json, read_json_values, read_lines

MAX_LISTED_KEYS = 5
NOT_ONE_VALUE = re.compile(rb"\s*+([\]{}\s]*+$|\[|\{.*\}\s*\{)")
"""A line of a JSON array or of an indented value, or several values."""

NOT_LINES = " (for a JSON array, or values over several lines, pass input_format='json')"


class JSONRows(InputFile):
    """Rows that are JSON values: objects, or strings for inputs without ids."""

    has_fixed_columns: ClassVar[bool] = False

    @abstractmethod
    def _values(self, skip: int) -> Iterator[tuple[int, Any, str | None]]:
        """Yield the number and value of each row; for an invalid row, its line and the flaw.

        The values of the first `skip` rows may be None.
        """

    @property
    def columns(self) -> list[str] | None:
        """See `InputFile`."""
        for _, value, flaw in self._values(0):
            if flaw is None:
                return [*value, *self.constants] if isinstance(value, dict) else None
        return None

    @property
    def all_columns(self) -> list[str]:
        """See `InputFile`."""
        names = dict[str, None]()
        with suppress(DamagedFileError):  # `rows` reports the damage
            for _, value, flaw in self._values(0):
                if flaw is None and isinstance(value, dict):
                    names.update(dict.fromkeys(value))
        return [*names, *self.constants]

    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """See `InputFile`."""
        at = -1
        for at, (number, value, flaw) in enumerate(self._values(skip)):
            if at < skip:
                continue
            if flaw is not None:
                yield Row(number, None, value, flaw, self.label)
            elif isinstance(value, dict):
                yield self._row(number, value, columns, position + at)
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                hint = NOT_LINES if self.unit == "line" else ""
                why = f"the {self.unit} is an array of objects{hint}"
                yield Row(number, None, json.dumps(value), why, self.label)
            elif isinstance(value, str | list) and columns.id is None:
                yield Row(
                    number, position + at, value, None, self.label, (None,) * len(columns.keep)
                )
            else:
                shown = value if isinstance(value, str) else json.dumps(value)
                yield Row(number, None, shown, f"the {self.unit} is not a JSON object", self.label)
        return at + 1

    def _row(self, number: int, value: dict[str, Any], columns: Columns, position: int) -> Row:
        name = position if columns.id is None else pick(value, columns.id)
        for late in columns.refused:
            if value.get(late) is not None:
                raise JobError(
                    f"{self.unit} {number:,} of {self.label} has {late!r}, but the first row of "
                    f"the input does not: add it to all rows, or pass id_column={late!r}, which "
                    "rejects rows without it; nothing was sent"
                )
        record = {**value, **self.constants} if self.constants else value
        kept = tuple([pick(record, path) for path in columns.keep]) if columns.keep else ()
        if len(columns.text) == 1:
            text = pick(record, columns.text[0])
        else:
            text = joined([pick(record, path) for path in columns.text])
        if text is not None:
            return row_of((number, name, text, None, self.label, kept))
        keys = ", ".join(map(repr, list(value)[:MAX_LISTED_KEYS])) or "nothing"
        there = "it is null" if value.keys() & set(columns.text) else f"it has {keys}"
        wanted = " or ".join(map(repr, columns.text))
        return Row(number, name, None, f"no text in {wanted} ({there})", self.label, kept)


class JSONLinesFile(JSONRows):
    """One object or string per line. Blank lines are ignored."""

    unit = "line"

    def _values(self, skip: int) -> Iterator[tuple[int, Any, str | None]]:
        with open_bytes(self.path, self.options.encoding) as file:
            left = skip
            for number, content, flaw in read_lines(file):
                if number <= self.options.skip_lines:
                    continue
                left -= 1
                if left >= 0:
                    yield number, None, None
                    continue
                reason = flaw
                if reason is None:
                    try:
                        yield number, parse_json(content), None
                        continue
                    except ValueError as error:
                        reason = f"the line is {error}"
                        if NOT_ONE_VALUE.match(content):
                            reason += NOT_LINES
                yield number, content.decode(errors="replace").rstrip("\r\n"), reason


class JSONArrayFile(JSONRows):
    """A JSON array of objects or strings, or a sequence of concatenated objects."""

    unit = "value"

    def _values(self, skip: int) -> Iterator[tuple[int, Any, str | None]]:  # noqa: ARG002
        with open_bytes(self.path, self.options.encoding) as file:
            for number, value in read_json_values(file, self.label):
                yield number, value, None
