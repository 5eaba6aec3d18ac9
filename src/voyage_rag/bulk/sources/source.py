"""What all forms of input have in common."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from voyage_rag.bulk.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from voyage_rag.bulk.rows import Row

DEFAULT_ID_COLUMN = "id"


class Source(ABC):
    """Rows of an input, the same ones in the same order each time.

    Attributes:
        path: The file or folder.
        text_column: Where the text is.
        id_column: Where the name of a row is, None if rows are named by their position.
    """

    unit: ClassVar[str] = "row"
    """What `Row.number` counts."""

    def __init__(self, path: Path, text_column: str, id_column: str | None) -> None:
        self.path = path
        self.text_column = text_column
        self.id_column = id_column

    @abstractmethod
    def rows(self, skip: int = 0) -> Iterator[Row]:
        """All rows but the first `skip`, good or bad."""

    @property
    def files(self) -> Sequence[Path]:
        """What it reads."""
        return [self.path]

    @property
    def names_are_unique(self) -> bool:
        """Whether no two rows can have the same name."""
        return self.id_column is None

    def name_of(self, file: Path) -> str:
        """What tells one of its files from another."""
        return file.name

    def identity(self) -> str:
        """What changes when the input does: of names, sizes and times of its files."""
        facts = []
        for file in self.files:
            told = file.stat()
            facts.append((self.name_of(file), told.st_size, told.st_mtime_ns))
        return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()

    def where(self, row: Row) -> str:
        """A row as a message names it."""
        return f"{self.unit} {row.number:,} of {self.path.name}"

    def settle(self, columns: Iterable[str]) -> None:
        """Check that the columns are there, and choose one for the names if none was given.

        Raises:
            JobError: One is not there.
        """
        there = list(columns)
        for wanted in (self.text_column, self.id_column):
            if wanted is not None and wanted not in there:
                raise JobError(
                    f"there is no column {wanted!r} in {self.path.name}; it has "
                    f"{', '.join(map(repr, there)) or 'none'}"
                )
        if self.id_column is None and DEFAULT_ID_COLUMN in there:
            self.id_column = DEFAULT_ID_COLUMN
