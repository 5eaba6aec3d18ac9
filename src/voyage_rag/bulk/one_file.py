"""One file: written part by part in order, while later ones are embedded.

It cannot be gone on with after a kill, so the journals are kept until it is complete, and it is
written anew from them. That takes a hundredth of the time that embedding does.
"""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from voyage_rag.bulk import tables
from voyage_rag.bulk.accounts import Spent
from voyage_rag.bulk.arrow import pa, pc
from voyage_rag.bulk.outputs import Output
from voyage_rag.bulk.tables import EMBEDDING, ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from voyage_rag.bulk.folder import JobFolder
    from voyage_rag.bulk.part import Part
    from voyage_rag.bulk.tables import Shape, TableWriter

    Opened = Callable[[Path, Any], AbstractContextManager[TableWriter]]


class OneFile(Output):
    """All parts in one file.

    Args:
        path: The file to make.
        folder: The job's, where it is made.
        shape: What its columns hold.
        opened: Opens such a file for writing.
    """

    copies = 2

    def __init__(self, path: Path, folder: JobFolder, shape: Shape, opened: Opened) -> None:
        self._path = path
        self._making = folder.making
        self._shape = shape
        self._opened = opened
        self._open = ExitStack()
        self._table: TableWriter | None = None
        self._waiting: dict[int, Part] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._spent = Spent()

    def holds(self, number: int) -> bool:  # noqa: ARG002 - none
        """See `Output`."""
        return False

    def take(self, part: Part, length: int) -> None:
        """See `Output`."""
        tables.keep(part.journal.path)
        with self._lock:
            self._spent += part.spent
            self._waiting[part.number] = part
            while self._next in self._waiting:
                self._write(self._waiting[self._next], length)
                del self._waiting[self._next]
                self._next += 1

    @property
    def spent(self) -> Spent:
        """See `Output`."""
        return self._spent

    def finish(self, length: int) -> None:
        """See `Output`."""
        self._table_for(length)
        self._open.close()
        for made in sorted(self._making.parent.glob(f"{self._making.name}*"), reverse=True):
            tables.keep(made)
            made.replace(
                self._path.with_name(self._path.name + made.name[len(self._making.name) :])
            )
        tables.keep(self._path.parent)

    def is_finished(self) -> bool:
        """See `Output`. Its journals are still there, so it is written again."""
        return False

    def close(self) -> None:
        """See `Output`."""
        self._open.close()
        for made in self._making.parent.glob(f"{self._making.name}*"):
            made.unlink()

    def _write(self, part: Part, length: int) -> None:
        schema = self._shape.schema(length)
        for batch in part.batches(schema, self._shape.bytes_of(length)):
            self._table_for(length).write_batch(batch)
        part.journal.close()

    def _table_for(self, length: int) -> TableWriter:
        if self._table is None:
            opened = self._opened(self._making, self._shape.schema(length))
            self._table = self._open.enter_context(opened)
        return self._table


@contextmanager
def json_lines(path: Path, schema: Any) -> Iterator[TableWriter]:  # noqa: ARG001 - the others' face
    """Objects with `id` and `embedding`, a line each; floats in as few digits as tell them."""
    with path.open("wb") as file:
        yield _JSONLines(file.writelines)


class _JSONLines:
    def __init__(self, write: Callable[[Iterator[bytes]], None]) -> None:
        self._write = write

    def write_batch(self, batch: Any) -> None:
        self._write(_as_lines(batch))


def _as_lines(batch: Any) -> Iterator[bytes]:
    vectors = batch.column(EMBEDDING)
    texts = vectors.flatten().cast(pa.string())
    offsets = pa.array(range(0, len(texts) + 1, vectors.type.list_size), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")
    for name, numbers in zip(batch.column(ID).to_pylist(), joined.to_pylist(), strict=True):
        yield f'{{"id": {json.dumps(name)}, "embedding": [{numbers}]}}\n'.encode()


@contextmanager
def matrix(path: Path, schema: Any) -> Iterator[TableWriter]:
    """A NumPy file of shape (rows, numbers), and beside it the names, one JSON value a line."""
    np = numpy()
    kind = schema.field(EMBEDDING).type
    numbers = pa.array([], kind.value_type).to_numpy()  # `to_pandas_dtype` would import pandas
    header = {"descr": numbers.dtype.str, "fortran_order": False}

    def write_header() -> None:
        file.seek(0)  # numpy leaves room for the number of rows to grow
        shape = (writer.rows, kind.list_size)
        np.lib.format.write_array_header_1_0(file, header | {"shape": shape})

    with path.open("wb") as file, path.with_name(path.name + ".ids.jsonl").open("wb") as ids:
        writer = _Matrix(file.write, ids.writelines)
        write_header()
        yield writer
        write_header()


class _Matrix:
    def __init__(
        self, write: Callable[[Any], int], write_ids: Callable[[Iterator[bytes]], None]
    ) -> None:
        self.rows = 0
        self._write = write
        self._write_ids = write_ids

    def write_batch(self, batch: Any) -> None:
        self.rows += batch.num_rows
        self._write(batch.column(EMBEDDING).flatten().to_numpy())
        self._write_ids(json.dumps(name).encode() + b"\n" for name in batch.column(ID).to_pylist())


def numpy() -> Any:
    """numpy, or what to install."""
    try:
        import numpy as np  # noqa: PLC0415 - only who asks for a matrix needs it
    except ImportError as error:
        raise ImportError("a NumPy matrix needs numpy: pip install numpy") from error
    return np
