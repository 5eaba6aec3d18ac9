"""Write the output of a job: one file, or a folder with one Parquet file per part."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from voyage_rag.bulk import writers
from voyage_rag.bulk.output_files import OutputFormat, part_file, remove_output
from voyage_rag.bulk.output_part import OutputPart
from voyage_rag.bulk.writers import OutputSchema, WriteBatch
from voyage_rag.jobs.files import atomic_write, flush_to_disk


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

    def take(self, part: OutputPart, length: int) -> None:
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
        """Close all files."""
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
        for file in unfinished.glob(".*"):  # of a part, when the process was killed
            file.unlink()

    def take(self, part: OutputPart, length: int) -> None:
        """Write a part to its file. Can be called from any thread."""
        if any(record.length for record in part.journal.records):  # else all rows were rejected
            schema = self._schema.arrow(length)
            with (
                atomic_write(self._unfinished / part_file(part.number)) as temporary,
                writers.parquet_writer(temporary, schema) as write_batch,
            ):
                for batch in part.batches(schema, self._schema.vector_bytes(length)):
                    write_batch(batch)
        part.journal.settle(len(part.state))

    def finish(self, length: int) -> None:  # noqa: ARG002 - its files have theirs
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
