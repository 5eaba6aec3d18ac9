"""Plain text: a text a line, or a text a file."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.rows import Row
from voyage_rag.bulk.sources.packed import opened
from voyage_rag.bulk.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SUFFIXES = (".md", ".rst", ".txt")
"""What is read of a folder."""


class Lines(Source):
    """A file with a text on each line; blank lines are nothing."""

    unit = "line"

    def __init__(self, path: Path, text_column: str, id_column: str | None) -> None:
        super().__init__(path, text_column, id_column)
        _refuse_ids(id_column, path)

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """See `Source`."""
        position = -1
        with opened(self.path) as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.isspace() or not text:
                    continue
                position += 1
                if position >= skip:
                    yield Row(
                        number, position, text.decode(errors="surrogateescape").rstrip("\r\n")
                    )


class Folder(Source):
    """Files of text, each named by its path below the folder, in the order of these."""

    def __init__(self, path: Path, text_column: str, id_column: str | None) -> None:
        super().__init__(path, text_column, id_column)
        _refuse_ids(id_column, path)
        if not path.is_dir():
            raise JobError(f"{str(path)!r} is no folder")
        self._files = sorted(
            (file for file in path.rglob("*") if self._is_text(file)), key=self.name_of
        )
        if not self._files:
            raise JobError(f"there is no {', '.join(SUFFIXES)} file in {str(path)!r}")

    @property
    def files(self) -> Sequence[Path]:
        """See `Source`."""
        return self._files

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """See `Source`."""
        for number, file in enumerate(self._files[skip:], start=skip + 1):
            name = self.name_of(file)
            try:
                yield Row(number, name, file.read_text("utf-8-sig"))
            except UnicodeDecodeError as error:
                yield Row(number, name, None, f"not UTF-8 (byte {error.start})")
            except OSError as error:
                yield Row(number, name, None, f"cannot be read: {error.strerror}")

    def where(self, row: Row) -> str:
        """See `Source`."""
        return f"{self.path.name}/{row.id}"

    def name_of(self, file: Path) -> str:
        """Its path below the folder, which names its row, too."""
        return file.relative_to(self.path).as_posix()

    def _is_text(self, file: Path) -> bool:
        hidden = any(part.startswith(".") for part in file.relative_to(self.path).parts)
        return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


def _refuse_ids(id_column: str | None, path: Path) -> None:
    if id_column is not None:
        raise JobError(f"{str(path)!r} has no columns, and so no id column {id_column!r}")
