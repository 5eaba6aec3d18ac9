"""Texts that a command takes: from files, folders or stdin, always UTF-8."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from voyage_rag.commands.failure import CommandError

STDIN = Path("-")
SUFFIXES = (".json", ".jsonl", ".md", ".py", ".rst", ".txt")
"""What is read of a folder."""


class Format(StrEnum):
    """How texts lie in a file."""

    LINES = "lines"
    WHOLE = "whole"
    JSONL = "jsonl"
    JSON = "json"


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
    paths: Sequence[Path], form: Format | None, field: str, otherwise: Format
) -> list[Text]:
    """Read all texts, in the order of the paths; blank ones are left out.

    Args:
        paths: Files, folders, or `-` for stdin; none at all is stdin, unless that is a terminal.
        form: How texts lie in them, None to go by the suffix.
        field: Where the text is in a JSON object.
        otherwise: How texts lie in a file whose suffix does not tell.

    Raises:
        CommandError: A file cannot be read as that, or there is no text.
    """
    if not paths and sys.stdin.isatty():
        raise CommandError("no texts: name files, or pipe texts to stdin")
    files = [file for path in paths or [STDIN] for file in _files(path)]
    texts = [text for file in files for text in _texts(file, form, field, otherwise)]
    if not texts:
        raise CommandError(f"no text in {', '.join(_name(path) for path in paths or [STDIN])}")
    return texts


def _files(path: Path) -> Iterator[Path]:
    if path == STDIN or not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix.lower() in SUFFIXES and not hidden and file.is_file():
            yield file


def _texts(file: Path, form: Format | None, field: str, otherwise: Format) -> Iterator[Text]:
    content, name = _content(file), _name(file)
    match form or _by_suffix(file) or otherwise:
        case Format.WHOLE:
            texts = [Text(content, name)]
        case Format.LINES:
            lines = enumerate(content.splitlines(), start=1)
            texts = [Text(line, name, f":{number}") for number, line in lines]
        case Format.JSONL:
            texts = list(_records(content, name, field))
        case Format.JSON:
            texts = list(_listed(content, name, field))
    yield from (text for text in texts if text.text.strip())


def _records(content: str, name: str, field: str) -> Iterator[Text]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            place = f":{number}"
            yield Text(_picked(_parsed(line, name + place), field, name + place), name, place)


def _listed(content: str, name: str, field: str) -> Iterator[Text]:
    values = _parsed(content, name)
    if not isinstance(values, list):
        raise CommandError(f"{name} is not a JSON list of texts")
    for position, value in enumerate(values):
        place = f"[{position}]"
        yield Text(_picked(value, field, name + place), name, place)


def _by_suffix(file: Path) -> Format | None:
    return {".jsonl": Format.JSONL, ".json": Format.JSON}.get(file.suffix.lower())


def _content(file: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{_name(file)} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise CommandError(f"cannot read {_name(file)}: {error.strerror}") from None


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandError(f"{where} is not JSON: {error.msg}") from None


def _picked(value: object, field: str, where: str) -> str:
    text = value.get(field) if isinstance(value, dict) else value
    if not isinstance(text, str):
        wanted = f"no text in {field!r}: say --field" if isinstance(value, dict) else "no text"
        raise CommandError(f"{where} holds {wanted}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CommandError(f"{where} holds half a character (a lone surrogate)") from None
    return text


def _name(file: Path) -> str:
    return "stdin" if file == STDIN else str(file)
