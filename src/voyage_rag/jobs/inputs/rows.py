"""Rows of an input: their extraction from records, and their validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.discovery import FoundFile

Id: TypeAlias = str | int

MIN_ID, MAX_ID = -(2**63), 2**64 - 1
DEFAULT_ID_COLUMNS = ("id", "_id")
TEXT_SEPARATOR = "\n"
"""Separates the texts of several columns."""


class Row(NamedTuple):
    """One text and its id.

    Attributes:
        number: Position in its file, from 1: the line for files of lines, otherwise the row.
        id: The id; None if it is missing; the position, from 0, if the input has no ids.
        text: The value of the text column, of any type.
        flaw: Why the row could not be read, or None.
        file: Name of its file in messages.
        kept: Its other columns for the output.
    """

    number: int
    id: Any
    text: Any
    flaw: str | None = None
    file: str = ""
    kept: tuple[Any, ...] = ()


row_of: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)
"""Creates a row from a tuple of its values in half the time of `Row(...)`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read. A name may be a dotted path to a nested value.

    Attributes:
        text: Columns with the text; several are joined by line breaks.
        id: Column with the id; None if rows are numbered.
        keep: Other columns for the output.
        refused: Default id columns that the first row does not have, so no other row may have them.
    """

    text: tuple[str, ...]
    id: str | None
    keep: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """All of these columns without duplicates."""
        ids = [] if self.id is None else [self.id]
        return list(dict.fromkeys([*self.text, *ids, *self.keep]))


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options for reading files (see `voyage_rag.bulk.JobOptions`)."""

    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    skip_lines: int = 0

    def __post_init__(self) -> None:
        """Raise an error for an unknown encoding or a delimiter of several characters."""
        try:
            "".encode(self.encoding or "utf-8")
        except LookupError:
            raise JobError(
                f"unknown encoding {self.encoding!r}: pass one of Python's, such as 'latin-1'"
            ) from None
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise JobError(f"delimiter must be one character, not {self.delimiter!r}")


class InputFile(ABC):
    """One file of an input.

    Attributes:
        path: Path of the file.
        label: Its name in messages.
        constants: Columns with the same value in all rows, from the names of its folders.
        digest: Content digest, if its time does not show whether it has changed.
    """

    unit: ClassVar[str] = "row"
    """The unit of `Row.number`."""

    def __init__(self, found: FoundFile, options: ReadOptions) -> None:
        self.path: Path = found.path
        self.label: str = found.label
        self.constants: dict[str, Any] = found.constants
        self.options = options
        self.digest: str | None = None

    has_fixed_columns: ClassVar[bool] = True
    """Whether all rows have the same columns."""

    has_nested_values: ClassVar[bool] = True
    """Whether a dotted path can select a part of a value."""

    @property
    def columns(self) -> list[str] | None:
        """The columns, or those of the first valid row if rows differ; None if there are none."""
        return None

    @property
    def all_columns(self) -> list[str]:
        """Return the columns of all rows."""
        return self.columns or []

    @abstractmethod
    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """Yield all rows except the first `skip`, good or bad, and return the total number.

        Args:
            columns: The columns to read.
            position: Position of the first row of the file in the input.
            skip: Number of rows to skip.
        """

    def check(self, columns: Columns) -> None:
        """Raise a `JobError` for columns with equal names, and for columns of the wrong type."""
        names = self.columns if self.has_fixed_columns else None
        for path in columns.wanted:
            if names and names.count(path) - (path in self.constants) > 1:
                raise JobError(f"{self.label} has two columns {path!r}: rename one")

    def row_count(self) -> int | None:
        """Return the number of rows; None if they have to be read to count them."""
        return None

    def type_of(self, path: str) -> Any:  # noqa: ARG002 - used by subclasses
        """Return the Arrow type of a column; None if its values have no declared type."""
        return None

    @property
    def hint(self) -> str:
        """A suggestion of the likely format, to append to an error; empty if unknown."""
        return ""


def pick(record: Mapping[str, Any], path: str) -> Any:
    """Return a value by its key or dotted path; None if it does not exist."""
    if path in record or "." not in path:
        return record.get(path)
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def joined(values: Sequence[Any]) -> Any:
    """Join the texts of several columns, except missing and empty ones."""
    if len(values) == 1:
        return values[0]
    for value in values:
        if value is not None and not isinstance(value, str):
            return value
    there = [value for value in values if value]
    return TEXT_SEPARATOR.join(there) if there else next((v for v in values if v is not None), None)


def flaw_of(row: Row) -> str | None:
    """Return why a row cannot be embedded, or None."""
    return row.flaw or flaw_of_text(row.text) or flaw_of_id(row.id)


def flaw_of_text(text: object) -> str | None:
    """Return why a text cannot be embedded, or None."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"its text is {_kind(text)}, not a string"
    if not text:
        return "its text is empty"
    return None if is_utf8(text) else f"its text {_flaw_of_encoding(text)}"


def flaw_of_id(name: object) -> str | None:
    """Return why an id is invalid, or None."""
    if name is None or name == "":
        return "no id"
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        return f"its id is {_kind(name)}, not a string or integer"
    if isinstance(name, int):
        in_range = MIN_ID <= name <= MAX_ID
        return None if in_range else "its id is a number of more than 64 bits"
    return None if is_utf8(name) else f"its id {_flaw_of_encoding(name)}"


def _flaw_of_encoding(text: str) -> str:
    """Distinguish bytes that were decoded with `surrogateescape` from escapes in JSON."""
    is_escaped = any("\udc80" <= character <= "\udcff" for character in text)
    return "is not UTF-8" if is_escaped else "contains a lone surrogate"


def is_utf8(text: str) -> bool:
    """Whether a string can be encoded in UTF-8: it contains no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    kinds = {
        "dict": "an object", "list": "a list", "bool": "true or false",
        "float": "a number", "int": "a number",
    }  # fmt: skip
    name = type(value).__name__
    return kinds.get(name, name)
