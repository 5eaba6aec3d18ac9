"""The files of an output: their format, whether they may be replaced, and their digest."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from voyage_rag.bulk.writers import IDS_SUFFIX
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.arrow_files import pa, pq

OutputFormat: TypeAlias = Literal["parquet", "dataset", "jsonl", "npy"]
"""One Parquet file, a folder of them, JSON Lines, or a NumPy matrix."""

FORMATS: dict[str, OutputFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".npy": "npy",
    "": "dataset",
}
PART_FILE = re.compile(r"part-(\d{5,})\.parquet")
PROBE_BYTES = 65_536


def part_file(number: int) -> str:
    """Return the name of the file with a part."""
    return f"part-{number:05}.parquet"


def format_of(path: Path, given: OutputFormat | None) -> OutputFormat:
    """Return the format of the output, from its name unless it is given.

    Raises:
        JobError: The name does not determine the format.
    """
    form = given or FORMATS.get(path.suffix.lower())
    if form is None:
        raise JobError(
            f"{str(path)!r} does not name a format: end it in .parquet, .jsonl or .npy, omit "
            f"the suffix for a folder, or pass output_format, one of "
            f"{', '.join(get_args(OutputFormat))}"
        )
    return form


def final_paths(path: Path, form: OutputFormat) -> list[Path]:
    """Return the files or the folder of an output."""
    return [path, path.with_name(path.name + IDS_SUFFIX)] if form == "npy" else [path]


def check_replaceable(path: Path, form: OutputFormat) -> None:
    """Raise an error for a path that cannot be an older output.

    Raises:
        JobError: The path is a folder instead of a file, or contains foreign files.
    """
    for final in final_paths(path, form):
        if final.is_dir() and form != "dataset":
            raise JobError(f"{str(final)!r} is a folder: choose another output")
        if not final.is_dir() and final.exists() and form == "dataset":
            raise JobError(f"{str(final)!r} is a file, and the output is a folder: choose another")
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if not _is_ours(file):
                raise JobError(
                    f"{str(path)!r} holds {file.name!r}, which voyage-rag did not write: choose "
                    "another output, or move it away"
                )


def _is_ours(file: Path) -> bool:
    if not PART_FILE.fullmatch(file.name) or not file.is_file():
        return False
    try:
        return b"voyage_rag" in (pq.read_schema(file).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def remove_output(path: Path) -> None:
    """Delete an older output that `check_replaceable` accepted."""
    if path.is_dir():
        for file in path.iterdir():
            if PART_FILE.fullmatch(file.name):
                file.unlink()
        path.rmdir()
    path.unlink(missing_ok=True)


def fingerprint(path: Path, form: OutputFormat) -> str | None:
    """Return a digest of an output's file sizes, beginnings and ends; None if a file is missing."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        for final in final_paths(path, form):
            for file in sorted(final.iterdir()) if final.is_dir() else [final]:
                size = file.stat().st_size
                digest.update(os.fsencode(f"{file.name} {size}\n"))
                with file.open("rb") as opened:
                    digest.update(opened.read(PROBE_BYTES))
                    opened.seek(max(0, size - PROBE_BYTES))
                    digest.update(opened.read(PROBE_BYTES))
    except OSError:
        return None
    return digest.hexdigest()
