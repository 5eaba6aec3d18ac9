"""Options that several commands share."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from voyage_rag.jobs.inputs.discovery import InputFormat


def listed(names: str | None) -> tuple[str, ...]:
    """Split names at commas. A name that contains a comma is quoted, as in CSV.

    Raises:
        BadParameter: A name is empty, for example because a shell variable is not set.
    """
    if names is None:
        return ()
    found = tuple(next(csv.reader([names], skipinitialspace=True), ()))
    if not found or not all(found):
        raise typer.BadParameter("the name of a column is empty")
    return found


def input_path(given: str) -> Path:
    """Convert an argument to a path.

    Raises:
        BadParameter: The argument is empty, for example because a shell variable is not set.
            `Path` would treat it as the current folder.
    """
    if not given:
        raise typer.BadParameter("a path is empty")
    return Path(os.path.expanduser(given))  # noqa: PTH111 - pathlib's raises without a home


AsJSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]

BaseURL: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Address of the API.",
        show_default="VOYAGE_BASE_URL, then the host of the key",
    ),
]

Emulated: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--emulator",
        help="Use an emulator on this machine, which compares words, instead of a key.",
    ),
]

SkipUnreadable: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Report files in folders that cannot be read, and continue."
    ),
]

InputFormatOption: TypeAlias = Annotated[
    InputFormat | None,
    typer.Option("--input-format", help="Format of the input.", show_default="by its name"),
]

Delimiter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="Field delimiter of a CSV or TSV file.",
        callback=lambda given: "\t" if given == "\\t" else given,
    ),
]

Encoding: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encoding of text files, such as latin-1 or utf-16.",
        show_default="UTF-8",
    ),
]

Header: TypeAlias = Annotated[
    bool,
    typer.Option(
        help="Whether a CSV or TSV file has a header. Columns are otherwise named 1, 2, ..."
    ),
]

SkipLines: TypeAlias = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Number of lines before the header or first row."),
]
