"""Where texts come from: one file for each form they lie in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.sources.packed import unpacked_suffix

if TYPE_CHECKING:
    from voyage_rag.bulk.sources.source import Source

InputFormat: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet", "lines", "folder"]
"""Objects or strings, one a line; tables with a header; a text a line; a text a file."""

BY_SUFFIX: dict[str, InputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "lines",
}


def open_source(
    path: Path, form: InputFormat | None, text_column: str, id_column: str | None
) -> Source:
    """The rows of a file or folder.

    Args:
        path: A file, a folder of Parquet files, or a folder of texts.
        form: How texts lie in it, None to go by what it is.
        text_column: Where the text is.
        id_column: Where the name of a row is, None for `id` if there is one.

    Raises:
        JobError: It cannot be read as that, or has no such column.
    """
    if not path.exists():
        raise JobError(f"there is no {str(path)!r}")
    match form or form_of(path):
        case "jsonl":
            from voyage_rag.bulk.sources.jsonl import JSONLines  # noqa: PLC0415 - what is asked for

            return JSONLines(path, text_column, id_column)
        case "csv":
            from voyage_rag.bulk.sources.delimited import Delimited  # noqa: PLC0415 - as above

            return Delimited(path, text_column, id_column, ",")
        case "tsv":
            from voyage_rag.bulk.sources.delimited import Delimited  # noqa: PLC0415 - as above

            return Delimited(path, text_column, id_column, "\t")
        case "parquet":
            from voyage_rag.bulk.sources.parquet import Parquet  # noqa: PLC0415 - as above

            return Parquet(path, text_column, id_column)
        case "lines":
            from voyage_rag.bulk.sources.texts import Lines  # noqa: PLC0415 - as above

            return Lines(path, text_column, id_column)
        case "folder":
            from voyage_rag.bulk.sources.texts import Folder  # noqa: PLC0415 - as above

            return Folder(path, text_column, id_column)


def form_of(path: Path) -> InputFormat:
    """How texts lie in a file or folder, by its name and what is in it.

    Raises:
        JobError: That does not tell.
    """
    if path.is_dir():
        return "parquet" if any(path.glob("*.parquet")) else "folder"
    if form := BY_SUFFIX.get(unpacked_suffix(path)):
        return form
    raise JobError(
        f"{str(path)!r} does not say how texts lie in it: name the format, one of "
        f"{', '.join(get_args(InputFormat))}"
    )
