"""The output of a job: its parts and files, how they are written, and what they may replace."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import compress
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from voyage_rag.bulk import writers
from voyage_rag.bulk.journal import Journal
from voyage_rag.bulk.writers import (
    IDS_SUFFIX,
    ROWS_PER_GROUP,
    OutputSchema,
    WriteBatch,
    record_batch,
)
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.files import atomic_write, flush_to_disk
from voyage_rag.jobs.inputs.arrow_files import pa, pq
from voyage_rag.jobs.inputs.rows import Id

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
            f"the format of {str(path)!r} is unknown: end the name in .parquet, .jsonl or .npy, "
            f"omit the suffix for a folder, or pass output_format, one of "
            f"{', '.join(get_args(OutputFormat))}"
        )
    return form


def final_paths(path: Path, form: OutputFormat) -> list[Path]:
    """Return the files or the folder of an output."""
    return [path, path.with_name(path.name + IDS_SUFFIX)] if form == "npy" else [path]


def check_replaceable(path: Path, form: OutputFormat) -> None:
    """Raise a `JobError` for a path of the wrong kind, or with files of other programs."""
    for final in final_paths(path, form):
        if final.is_dir() and form != "dataset":
            raise JobError(f"{str(final)!r} is a folder: choose another output")
        if not final.is_dir() and final.exists() and form == "dataset":
            raise JobError(f"{str(final)!r} is a file, not a folder: choose another output")
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if not _is_ours(file):
                raise JobError(
                    f"{str(path)!r} contains {file.name!r}, which voyage-rag did not write: choose "
                    "another output, or move the file"
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
                digest.update(os.fsencode(f"{file.name.removeprefix(path.name)} {size}\n"))
                with file.open("rb") as opened:
                    digest.update(opened.read(PROBE_BYTES))
                    opened.seek(max(0, size - PROBE_BYTES))
                    digest.update(opened.read(PROBE_BYTES))
    except OSError:
        return None
    return digest.hexdigest()


MISSING, DONE, REFUSED = 0, 1, 2


class OutputPart:
    """Consecutive rows that are written together.

    `ids` and `kept` contain the ids and copied values of the rows that were read; `state` contains
    MISSING, DONE or REFUSED for each row.
    """

    def __init__(self, number: int, first: int, rows: int, journal: Journal) -> None:
        self.number = number
        self.first = first
        self.ids: list[Id] = []
        self.kept: list[tuple[Any, ...]] = []
        self.state: bytearray = bytearray(rows)
        self.journal = journal
        self._is_claimed = False
        self._lock = threading.Lock()
        for record in journal.records:
            self._mark(record.first, record.count, DONE if record.length else REFUSED)

    def add(self, first: int, count: int, tokens: int, vectors: bytes) -> None:
        """Store the vectors of rows; without vectors, mark the rows as rejected."""
        self.journal.add(first, count, tokens, vectors)
        self._mark(first, count, DONE if vectors else REFUSED)

    def is_complete(self) -> bool:
        """Return whether all ids and vectors are stored. True only for the first caller."""
        with self._lock:
            complete = len(self.ids) == len(self.state) and MISSING not in self.state
            if not complete or self._is_claimed:
                return False
            self._is_claimed = True
            return True

    def batches(self, schema: Any, bytes_per_vector: int) -> Iterator[Any]:
        """Yield record batches without the rejected rows."""
        done = [state == DONE for state in self.state]
        ids, kept = list(compress(self.ids, done)), list(compress(self.kept, done))
        start = 0
        for vectors in self.journal.vectors(ROWS_PER_GROUP * bytes_per_vector):
            end = start + ROWS_PER_GROUP
            yield record_batch(schema, ids[start:end], vectors, kept[start:end])
            start = end

    def _mark(self, first: int, count: int, state: int) -> None:
        self.state[first : first + count] = bytes([state]) * count


class FileOutput:
    """All parts in one file, written in order while later parts are embedded.

    The file cannot be continued after an interruption, so the journals are kept until it is
    complete, and it is written again from them. This takes a hundredth of the time of embedding.
    """

    journals_remain = True

    def __init__(self, path: Path, unfinished: Path, schema: OutputSchema, writer: Any) -> None:
        self._path = path
        self._unfinished = unfinished
        self._schema = schema
        self._writer = writer
        self._files = ExitStack()
        self._write_batch: WriteBatch | None = None
        self._waiting: dict[int, OutputPart] = {}
        self._next = 0
        self._lock = threading.Lock()

    def write_part(self, part: OutputPart, length: int) -> None:
        """Write a part from its journal. Can be called from any thread."""
        flush_to_disk(part.journal.path)
        with self._lock:
            self._waiting[part.number] = part
            while self._next in self._waiting:
                self._write(self._waiting[self._next], length)
                del self._waiting[self._next]
                self._next += 1

    def finish(self, length: int) -> None:
        """Move the complete output to its path."""
        self._opened(length)
        self._files.close()
        for made in self._made():
            flush_to_disk(made)
            suffix = made.name.removeprefix(self._unfinished.name)
            made.replace(self._path.with_name(self._path.name + suffix))
        flush_to_disk(self._path.parent)

    def close(self) -> None:
        """Close and delete the unfinished files."""
        self._files.close()
        for made in self._made():
            made.unlink()

    def _made(self) -> list[Path]:
        return sorted(self._unfinished.parent.glob(f"{self._unfinished.name}*"), reverse=True)

    def _write(self, part: OutputPart, length: int) -> None:
        schema = self._schema.arrow(length)
        for batch in part.batches(schema, self._schema.vector_bytes(length)):
            self._opened(length)(batch)
        part.journal.close()

    def _opened(self, length: int) -> WriteBatch:
        if self._write_batch is None:
            opened = self._writer(self._unfinished, self._schema.arrow(length))
            self._write_batch = self._files.enter_context(opened)
        return self._write_batch


class FolderOutput:
    """One Parquet file per part, written once. The journal of the part is then deleted."""

    journals_remain = False

    def __init__(self, path: Path, unfinished: Path, schema: OutputSchema) -> None:
        self._path = path
        self._unfinished = unfinished
        self._schema = schema
        unfinished.mkdir(exist_ok=True)
        for file in unfinished.glob(".*"):  # temporary files of a killed process
            file.unlink()

    def write_part(self, part: OutputPart, length: int) -> None:
        """Write a part to its file. Can be called from any thread."""
        if any(record.length for record in part.journal.records):  # else all rows were rejected
            schema = self._schema.arrow(length)
            with (
                atomic_write(self._unfinished / part_file(part.number)) as temporary,
                writers.parquet_writer(temporary, schema) as write_batch,
            ):
                for batch in part.batches(schema, self._schema.vector_bytes(length)):
                    write_batch(batch)
        part.journal.reduce_to_totals(len(part.state))

    def finish(self, length: int) -> None:  # noqa: ARG002 - as in `FileOutput`
        """Move the complete output to its path."""
        remove_output(self._path)
        self._unfinished.rename(self._path)
        flush_to_disk(self._path.parent)

    def close(self) -> None:
        """Do nothing: no file is open."""


Output: TypeAlias = FileOutput | FolderOutput
"""The destination of a job's parts."""


def open_output(form: OutputFormat, path: Path, unfinished: Path, schema: OutputSchema) -> Output:
    """Open the output of a job in its current state.

    Raises:
        ImportError: The format needs numpy, which is not installed.
    """
    if form == "dataset":
        return FolderOutput(path, unfinished, schema)
    if form == "npy":
        writers.numpy()
    return FileOutput(path, unfinished, schema, writers.WRITERS[form])
