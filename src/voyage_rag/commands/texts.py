"""Read the texts of a command from files, folders or stdin."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, TypeAlias

import typer

from voyage_rag.commands.failure import CommandError
from voyage_rag.commands.screen import plural, remark
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputFormat, open_inputs
from voyage_rag.jobs.inputs.discovery import FORMATS, text_files
from voyage_rag.jobs.inputs.rows import ReadOptions, flaw_of_text
from voyage_rag.jobs.inputs.spool import STDIN
from voyage_rag.jobs.lines import uncompressed_suffix

SUFFIXES = (".json", ".jsonl", ".md", ".py", ".rst", ".txt")
"""Suffixes of files in folders that are read, unless the folder has only tables."""


Format: TypeAlias = Literal["lines", "whole", "jsonl", "json", "csv", "tsv", "parquet", "arrow"]
"""Format of a file with texts."""

BY_SUFFIX: dict[str, Format] = {
    suffix: form for suffix, form in FORMATS.items() if form != "lines" if form != "folder"
}
READ_AS: dict[Format, tuple[InputFormat, str]] = {
    "lines": ("lines", ":{line}"),
    "whole": ("folder", ""),
    "jsonl": ("jsonl", ":{line}"),
    "json": ("json", "[{index}]"),
    "csv": ("csv", ":{line}"),
    "tsv": ("tsv", ":{line}"),
    "parquet": ("parquet", "[{index}]"),
    "arrow": ("arrow", "[{index}]"),
}
"""The input format, and the notation of a location, for each format."""

AsFormat: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="Format of a file: one text per line, one text per file, JSON Lines, a JSON list of "
        "strings or objects, or a table.",
        show_default="by the file's suffix",
    ),
]
Field: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="Column or JSON key with the text.")
]


@dataclass(frozen=True, slots=True)
class Text:
    """A text, its file, and its place in the file: `:3` for a line, `[3]` for an item."""

    text: str
    file: str
    place: str = ""

    @property
    def source(self) -> str:
        """The file and the location in it."""
        return self.file + self.place


def read_texts(
    paths: Sequence[Path],
    form: Format | None,
    field: str,
    encoding: str | None,
    *,
    otherwise: Format,
    skip: bool = False,
) -> list[Text]:
    """Read all texts in the order of the paths, without blank ones.

    Without a path, stdin is read, unless it is a terminal.

    Args:
        paths: Files, folders, or `-` for stdin.
        form: The format; None determines it from the suffix.
        field: The column or JSON key with the text.
        encoding: The encoding of all files; None is UTF-8.
        otherwise: The format of files whose suffix does not determine it.
        skip: Report files in folders that cannot be read, and skip them.
    """
    if not paths and sys.stdin is not None and sys.stdin.isatty():
        raise CommandError("no texts: pass files, or pipe texts to stdin")
    paths = paths or [STDIN]
    texts, options = list[Text](), ReadOptions(encoding)
    with TemporaryDirectory() as folder:
        for file, is_in_folder in _files(paths):
            wanted = form or BY_SUFFIX.get(uncompressed_suffix(file)) or otherwise
            if not is_in_folder:
                _check_field(file, wanted, field)
            try:
                texts += _texts(file, wanted, field, options, Path(folder))
            except (CommandError, JobError) as error:
                if not (skip and is_in_folder):
                    raise
                sys.stderr.write(f"skipped: {error}\n")
    if not texts:
        raise CommandError(f"no text in {', '.join(map(_name, paths))}")
    return texts


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file, and whether it was found in a folder."""
    for path in paths:
        is_folder, files = path.is_dir(), [STDIN]
        if path != STDIN:
            files = list(text_files(path, SUFFIXES)) or list(text_files(path, BY_SUFFIX))
            if ignored := sum(1 for _ in text_files(path)) - len(files):
                remark(f"{path}: {plural(ignored, 'file')} of another format ignored")
        for file in files:
            yield file, is_folder


def _check_field(file: Path, form: Format, field: str) -> None:
    if field != "text" and form in {"lines", "whole"}:
        raise CommandError(
            f"{file} is read as plain text, which has no field {field!r}: omit --field, or pass "
            "--format jsonl"
        )


def _name(path: Path) -> str:
    return "stdin" if path == STDIN else str(path)


def _texts(
    file: Path, form: Format, field: str, options: ReadOptions, folder: Path
) -> Iterator[Text]:
    name = _name(file)
    read_as, places = READ_AS[form]
    try:
        reader = open_inputs(
            [file],
            read_as,
            text_columns=(field,),
            has_ids=False,
            options=options,
            spool_folder=folder,
        )
        for row in reader.rows():
            place = places.format(line=row.number, index=row.number - 1)
            flaw = row.flaw or (row.text not in ("", None) and flaw_of_text(row.text))
            if flaw:
                remedy = ": pass --field" if "(it has" in flaw else ""
                raise CommandError(f"{name}{place}: {flaw}{remedy}")
            if row.text and row.text.strip():
                yield Text(row.text, name, place)
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from None
    except JobError as error:
        if "has no column" not in error.message:
            raise
        found = re.split("; if |: pass ", error.message)[0]  # without options of `embed`
        raise CommandError(f"{found}: pass --field, or --format lines to read it as text") from None
