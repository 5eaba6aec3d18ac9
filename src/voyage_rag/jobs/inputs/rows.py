"""A row of an input, how it is picked from a record, and what is wrong with one that is bad."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from voyage_rag.jobs.inputs.discovery import FoundFile

Id: TypeAlias = str | int

SMALLEST_ID, LARGEST_ID = -(2**63), 2**64 - 1
DEFAULT_ID_COLUMNS = ("id", "_id")
JOINT = "\n"
"""Between the texts of several columns."""


class Row(NamedTuple):
    """One text and its id.

    Attributes:
        number: Where it is in its file: the line of a file of lines, else the row, from 1.
        id: Its id, None where it has none; its position, from 0, where the input has no ids.
        text: What to embed: whatever the input holds there.
        flaw: Why it could not be read, None where it could.
        file: What messages call its file.
        kept: Its other columns that go into the output.
    """

    number: int
    id: Any
    text: Any
    flaw: str | None = None
    file: str = ""
    kept: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of an input are read; a name may be a dotted path into nested values.

    Attributes:
        text: Where the text is; several are joined by line breaks.
        id: Where the id is, None where rows are numbered.
        keep: What goes into the output besides.
        refused: What no row may have: ids, where the first row has none.
    """

    text: tuple[str, ...]
    id: str | None
    keep: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """All of them, each once."""
        ids = [] if self.id is None else [self.id]
        return list(dict.fromkeys([*self.text, *ids, *self.keep]))


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read (see `voyage_rag.bulk.JobOptions`)."""

    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    skip_lines: int = 0


class InputFile(ABC):
    """One file of an input.

    Attributes:
        path: The file.
        label: What messages call it.
        constants: Columns that are the same in all rows, from the names of its folders.
        digest: Of its content, if its modification time cannot show a change.
    """

    unit: ClassVar[str] = "row"
    """What `Row.number` counts."""

    def __init__(self, found: FoundFile, options: ReadOptions) -> None:
        self.path, self.label, _, self.constants = found
        self.options = options
        self.digest: str | None = None

    has_fixed_columns: ClassVar[bool] = True
    """Whether all of its rows have the same columns."""

    @property
    @abstractmethod
    def columns(self) -> list[str] | None:
        """Its columns; those of its first readable row where rows may differ; None without any."""

    @property
    def all_columns(self) -> list[str]:
        """Those of all rows together."""
        return self.columns or []

    @abstractmethod
    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """All rows but the first `skip`, good or bad; returns how many there are in all.

        Args:
            columns: What to read.
            position: Of the first row of the file among all rows of the input.
            skip: How many rows to leave out.
        """

    def check(self, columns: Columns) -> None:  # noqa: B027 - most files need none
        """Refuse columns that cannot be used."""

    def row_count(self) -> int | None:
        """How many rows there are, None where that is not known without reading them."""
        return None

    def type_of(self, path: str) -> Any:  # noqa: ARG002 - only some files know
        """The Arrow type of a column, None where its values have no declared type."""
        return None

    @property
    def hint(self) -> str:
        """What the file may be instead, as the end of an error; empty where that is not known."""
        return ""


def pick(record: Mapping[str, Any], path: str) -> Any:
    """A value by its key, or by a dotted path; None if it is not there."""
    if path in record or "." not in path:
        return record.get(path)
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def joined(values: Sequence[Any]) -> Any:
    """The texts of several columns as one, without those that are missing or empty."""
    if len(values) == 1:
        return values[0]
    for value in values:
        if value is not None and not isinstance(value, str):
            return value
    there = [value for value in values if value]
    return JOINT.join(there) if there else next((v for v in values if v is not None), None)


def flaw_of(row: Row) -> str | None:
    """Why a row cannot be embedded, None if it can."""
    return row.flaw or flaw_of_text(row.text) or flaw_of_id(row.id)


def flaw_of_text(text: object) -> str | None:
    """Why a text cannot be embedded, None if it can."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"its text is no string but {_kind(text)}"
    if not text:
        return "its text is empty"
    return None if is_utf8(text) else "its text is not UTF-8, or holds half a character"


def flaw_of_id(name: object) -> str | None:
    """Why an id cannot be one, None if it can."""
    if name is None or name == "":
        return "no id"
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        return f"its id is no string or whole number but {_kind(name)}"
    if isinstance(name, int):
        in_range = SMALLEST_ID <= name <= LARGEST_ID
        return None if in_range else "its id is a number of more than 64 bits"
    return None if is_utf8(name) else "its id is not UTF-8, or holds half a character"


def is_utf8(text: str) -> bool:
    """Whether a string can be written in UTF-8: it holds no half characters."""
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
