"""A folder of Parquet files, one for each part: what a cluster, DuckDB or Polars reads as one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from voyage_rag.bulk import tables
from voyage_rag.bulk.accounts import Accounts
from voyage_rag.bulk.outputs import Output
from voyage_rag.bulk.tables import whole

if TYPE_CHECKING:
    from pathlib import Path

    from voyage_rag.bulk.accounts import Spent
    from voyage_rag.bulk.folder import JobFolder
    from voyage_rag.bulk.part import Part
    from voyage_rag.bulk.tables import Shape


class PartFiles(Output):
    """A file for each part, written once; its journal is deleted then.

    Args:
        path: The folder to make.
        folder: The job's, where it is made.
        shape: What its columns hold.
    """

    copies = 1

    def __init__(self, path: Path, folder: JobFolder, shape: Shape) -> None:
        self._path = path
        self._making = folder.making
        self._shape = shape
        self._accounts = Accounts(folder.accounts)
        if not self.is_finished():
            self._making.mkdir(exist_ok=True)
        self._held = {
            int(file.stem.partition("-")[2]) for file in self._making.glob("part-*.parquet")
        }
        self._held |= self._accounts.parts

    def holds(self, number: int) -> bool:
        """See `Output`."""
        return number in self._held

    def take(self, part: Part, length: int) -> None:
        """See `Output`."""
        if part.spent.requests and not self.holds(part.number):  # else all its rows were refused
            schema = self._shape.schema(length)
            with (
                whole(self._making / _name(part.number)) as path,
                tables.parquet(path, schema) as table,
            ):
                for batch in part.batches(schema, self._shape.bytes_of(length)):
                    table.write_batch(batch)
        self._held.add(part.number)
        self._accounts.add(part.number, part.spent)
        part.journal.delete()

    @property
    def spent(self) -> Spent:
        """See `Output`."""
        return self._accounts.spent

    def finish(self, length: int) -> None:  # noqa: ARG002 - its files have theirs
        """See `Output`."""
        if self._path.is_dir():
            shutil.rmtree(self._path)
        self._path.unlink(missing_ok=True)
        self._making.rename(self._path)
        tables.keep(self._path.parent)

    def is_finished(self) -> bool:
        """See `Output`."""
        return self._accounts.spent.requests > 0 and not self._making.exists()

    def close(self) -> None:
        """See `Output`."""


def _name(number: int) -> str:
    return f"part-{number:05}.parquet"
