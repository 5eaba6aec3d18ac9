"""Texts that a command takes: from files, folders or stdin, always UTF-8."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO, TypeAlias

import typer

from voyage_rag.commands.failure import CommandError
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.rows import is_utf8, pick
from voyage_rag.jobs.inputs.spool import STDIN, spool
from voyage_rag.jobs.lines import (
    open_bytes,
    parse_json,
    read_json_values,
    read_lines,
    uncompressed_suffix,
)

SUFFIXES = (".json", ".jsonl", ".md", ".py", ".rst", ".txt")
"""What is read of a folder."""


class Format(StrEnum):
    """How texts lie in a file."""

    LINES = "lines"
    WHOLE = "whole"
    JSONL = "jsonl"
    JSON = "json"


BY_SUFFIX = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".json": Format.JSON}

SkipUnreadable: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Report files of a folder that cannot be read, and go on."
    ),
]
AsFormat: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="How texts lie in a file: one a line, the whole file one text, JSON lines or a JSON "
        "list of strings or objects.",
        show_default="by the file's suffix",
    ),
]
Field: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="Where the text is in a JSON object.")
]


@dataclass(frozen=True, slots=True)
class Text:
    """A text and where it comes from.

    Attributes:
        text: The text.
        file: The file it is in.
        place: Where in it: `:3` in lines, `[3]` in a list, nothing where it is the whole file.
    """

    text: str
    file: str
    place: str = ""

    @property
    def source(self) -> str:
        """The file and the place in it."""
        return self.file + self.place


def read_texts(
    paths: Sequence[Path], form: Format | None, field: str, otherwise: Format, *, skip: bool = False
) -> list[Text]:
    """Read all texts, in the order of the paths; blank ones are left out.

    Args:
        paths: Files, folders, or `-` for stdin; none at all is stdin, unless that is a terminal.
        form: How texts lie in them, None to go by the suffix.
        field: Where the text is in a JSON object.
        otherwise: How texts lie in a file whose suffix does not say it.
        skip: Report files of a folder that cannot be read, and leave them out.

    Raises:
        CommandError: A file cannot be read as that, or there is no text.
    """
    if not paths and sys.stdin is not None and sys.stdin.isatty():
        raise CommandError("no texts: name files, or pipe texts to stdin")
    texts = list[Text]()
    with TemporaryDirectory() as folder:
        for path in paths or [STDIN]:
            for file in _files(path):
                try:
                    texts += _texts(file, form, field, otherwise, Path(folder))
                except (CommandError, JobError) as error:
                    if not skip or not path.is_dir():
                        raise
                    sys.stderr.write(f"left out: {error}\n")
    if not texts:
        names = ("stdin" if path == STDIN else str(path) for path in paths or [STDIN])
        raise CommandError(f"no text in {', '.join(names)}")
    return texts


def _files(path: Path) -> Iterator[Path]:
    if path == STDIN or not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        if file.suffix.lower() in SUFFIXES and not hidden and file.is_file():
            yield file


def _texts(
    file: Path, form: Format | None, field: str, otherwise: Format, folder: Path
) -> Iterator[Text]:
    (path,), _ = spool([file], folder)
    name = "stdin" if file == STDIN else str(file)
    form = form or BY_SUFFIX.get(uncompressed_suffix(file)) or otherwise
    try:
        with open_bytes(path) as opened:
            for place, value in _values(opened, form, name):
                text = _picked(value, field, name + place)
                if text.strip():
                    yield Text(text, name, place)
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from None


def _values(opened: BinaryIO, form: Format, name: str) -> Iterator[tuple[str, Any]]:
    """Where each value is, and the value."""
    match form:
        case Format.WHOLE:
            yield "", _decoded(opened.read(), name)
        case Format.JSON:
            for number, value in read_json_values(opened, name):
                yield f"[{number - 1}]", value
        case Format.LINES | Format.JSONL:
            for number, content, flaw in read_lines(opened, name):
                where = f"{name}:{number}"
                if flaw is not None:
                    raise CommandError(f"{where}: {flaw}")
                if form is Format.LINES:
                    yield f":{number}", _decoded(content, where).rstrip("\r\n")
                    continue
                try:
                    yield f":{number}", parse_json(content)
                except ValueError as error:
                    raise CommandError(f"{where} is {error}") from None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 text (byte {error.start})") from None


def _picked(value: object, field: str, where: str) -> str:
    text = pick(value, field) if isinstance(value, dict) else value
    if not isinstance(text, str):
        wanted = f"no text in {field!r}: say --field" if isinstance(value, dict) else "no text"
        raise CommandError(f"{where} holds {wanted}")
    if not is_utf8(text):
        raise CommandError(f"{where} holds half a character (a lone surrogate)")
    return text
