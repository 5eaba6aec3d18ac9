"""JSON Lines: an object a line, or a string a line."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING

from voyage_rag.bulk.rows import Row
from voyage_rag.bulk.sources.packed import opened
from voyage_rag.bulk.sources.source import DEFAULT_ID_COLUMN, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_SHOWN = 5


class JSONLines(Source):
    """A file of JSON values, one a line; blank lines are nothing."""

    unit = "line"

    def __init__(self, path: Path, text_column: str, id_column: str | None) -> None:
        super().__init__(path, text_column, id_column)
        if id_column is None and self._first_has(DEFAULT_ID_COLUMN):
            self.id_column = DEFAULT_ID_COLUMN

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """See `Source`. Skipped lines are not parsed."""
        position = -1
        for number, line in self._lines():
            position += 1
            if position >= skip:
                yield self._row(number, position, line)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with opened(self.path) as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the same line
                if not line.isspace():
                    yield number, line

    def _row(self, number: int, position: int, line: bytes) -> Row:
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError:
            return self._broken(number, line, "the line is not UTF-8")
        except (json.JSONDecodeError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            return self._broken(number, line, f"the line is no JSON: {why}")
        if isinstance(value, str) and self.id_column is None:
            return Row(number, position, value)
        if not isinstance(value, dict):
            return self._broken(number, line, "the line is no JSON object")
        name = position if self.id_column is None else value.get(self.id_column)
        text = value.get(self.text_column)
        if text is None:
            keys = ", ".join(map(repr, list(value)[:LONGEST_SHOWN])) or "nothing"
            return Row(number, name, None, f"no text in {self.text_column!r} (it has {keys})")
        return Row(number, name, text)

    def _broken(self, number: int, line: bytes, flaw: str) -> Row:
        return Row(number, None, line.decode(errors="replace").rstrip("\r\n"), flaw)

    def _first_has(self, column: str) -> bool:
        for _, line in self._lines():
            try:
                value = json.loads(line)
            except ValueError:
                return False
            return isinstance(value, dict) and column in value
        return False
