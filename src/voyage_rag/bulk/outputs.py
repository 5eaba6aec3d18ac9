"""What a job writes: one file, or a folder of Parquet files with one for each part."""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from voyage_rag.bulk import writers
from voyage_rag.bulk.output_files import PART_FILE, OutputFormat, remove_output
from voyage_rag.bulk.output_part import Cost
from voyage_rag.bulk.writers import JSON_BYTES
from voyage_rag.jobs.files import atomic_write, flush_to_disk

if TYPE_CHECKING:
    from pathlib import Path

    from voyage_rag.bulk.job_folder import JobFolder
    from voyage_rag.bulk.output_part import OutputPart
    from voyage_rag.bulk.writers import OutputSchema, TableWriter


class FileOutput:
    """All parts in one file, written in order while later ones are embedded.

    It cannot be resumed after a kill, so the journals are kept until it is complete, and it is
    written again from them. That takes a hundredth of the time that embedding does.
    """

    journals_remain = True

    def __init__(self, path: Path, folder: JobFolder, schema: OutputSchema, writer: Any) -> None:
        self._path = path
        self._unfinished = folder.unfinished
        self._schema = schema
        self._writer = writer
        self._files = ExitStack()
        self._table: TableWriter | None = None
        self._waiting: dict[int, OutputPart] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._cost = Cost()

    def holds(self, number: int) -> bool:  # noqa: ARG002 - none
        """Whether it has a part, and still will after the process was killed: never."""
        return False

    def take(self, part: OutputPart, length: int) -> None:
        """Take a part whose vectors, of so many numbers, are in its journal; from any thread."""
        flush_to_disk(part.journal.path)
        with self._lock:
            self._cost += part.cost
            self._waiting[part.number] = part
            while self._next in self._waiting:
                self._write(self._waiting[self._next], length)
                del self._waiting[self._next]
                self._next += 1

    @property
    def cost(self) -> Cost:
        """What the parts have cost that were taken."""
        return self._cost

    def finish(self, length: int) -> None:
        """All parts were taken: put the output in its place, complete."""
        self._table_for(length)
        self._files.close()
        for made in self._made():
            flush_to_disk(made)
            suffix = made.name.removeprefix(self._unfinished.name)
            made.replace(self._path.with_name(self._path.name + suffix))
        flush_to_disk(self._path.parent)

    def is_finished(self) -> bool:
        """Whether it is in its place though that is not recorded: never, as it is written again."""
        return False

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
            self._table_for(length).write_batch(batch)
        part.journal.close()

    def _table_for(self, length: int) -> TableWriter:
        if self._table is None:
            opened = self._writer(self._unfinished, self._schema.arrow(length))
            self._table = self._files.enter_context(opened)
        return self._table


class FolderOutput:
    """A Parquet file for each part, written once; its journal is deleted then."""

    journals_remain = False

    def __init__(self, path: Path, folder: JobFolder, schema: OutputSchema) -> None:
        self._path = path
        self._unfinished = folder.unfinished
        self._schema = schema
        self._costs = CostLog(folder.costs)
        if not self.is_finished():
            self._unfinished.mkdir(exist_ok=True)
        self._held = self._costs.parts
        for file in list(self._unfinished.iterdir()) if self._unfinished.exists() else ():
            if found := PART_FILE.fullmatch(file.name):
                self._held.add(int(found[1]))
            else:
                file.unlink()  # a part that was being written when the process was killed

    def holds(self, number: int) -> bool:
        """Whether it has a part, and still will after the process was killed."""
        return number in self._held

    def take(self, part: OutputPart, length: int) -> None:
        """Write a part to its file; from any thread."""
        if part.cost.requests and not self.holds(part.number):  # else all its rows were refused
            schema = self._schema.arrow(length)
            path = self._unfinished / f"part-{part.number:05}.parquet"
            with (
                atomic_write(path) as temporary,
                writers.parquet_writer(temporary, schema) as table,
            ):
                for batch in part.batches(schema, self._schema.vector_bytes(length)):
                    table.write_batch(batch)
        self._held.add(part.number)
        self._costs.add(part.number, part.cost)
        part.journal.delete()

    @property
    def cost(self) -> Cost:
        """What the parts have cost that were taken."""
        return self._costs.total

    def finish(self, length: int) -> None:  # noqa: ARG002 - its files have theirs
        """All parts were taken: put the output in its place, complete."""
        remove_output(self._path)
        self._unfinished.rename(self._path)
        flush_to_disk(self._path.parent)

    def is_finished(self) -> bool:
        """Whether it is in its place, though the process was killed before it was recorded."""
        return self._costs.total.requests > 0 and not self._unfinished.exists()

    def close(self) -> None:
        """No file is open."""


Output: TypeAlias = FileOutput | FolderOutput
"""Where the parts of a job go."""


class CostLog:
    """The costs of parts that are written, a line for each.

    Args:
        path: The file; made when the first part is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._costs: dict[int, Cost] = {}
        self._lock = threading.Lock()
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                number, tokens, requests = json.loads(line)
                self._costs[number] = Cost(tokens, requests)

    @property
    def parts(self) -> set[int]:
        """Those that are written."""
        return set(self._costs)

    @property
    def total(self) -> Cost:
        """Of all parts."""
        return sum(self._costs.values(), Cost())

    def add(self, number: int, cost: Cost) -> None:
        """Record that a part is written; once more changes nothing."""
        with self._lock:
            if number in self._costs:
                return
            self._costs[number] = cost
            line = json.dumps([number, cost.tokens, cost.requests]) + "\n"
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)


def open_output(form: OutputFormat, path: Path, folder: JobFolder, schema: OutputSchema) -> Output:
    """The output of a job, as far as it is written.

    Raises:
        ImportError: It needs numpy, and that is not installed.
    """
    match form:
        case "dataset":
            return FolderOutput(path, folder, schema)
        case "parquet":
            return FileOutput(path, folder, schema, writers.parquet_writer)
        case "jsonl":
            return FileOutput(path, folder, schema, writers.json_lines_writer)
        case "npy":
            writers.numpy()
            return FileOutput(path, folder, schema, writers.matrix_writer)


def bytes_per_vector(form: OutputFormat, schema: OutputSchema, length: int) -> float:
    """What a vector takes in the output."""
    return length * JSON_BYTES[schema.dtype] if form == "jsonl" else schema.vector_bytes(length)
