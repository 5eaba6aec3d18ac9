"""Names and vectors as Arrow tables: compact columns, in files that are whole or not there."""

from __future__ import annotations

import json
import os
from array import array
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from voyage_rag.bulk.arrow import pa, pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from voyage_rag.bulk.rows import Id
    from voyage_rag.bulk.scan import IdKind
    from voyage_rag.models import OutputDtype

ROWS_PER_GROUP = 8_192
"""Rows of a Parquet row group: 32 MiB of 1,024 floats."""

PAGE = 2**18
"""Bytes of a Parquet page: small enough to stay in a processor's cache while it is written."""

ID, EMBEDDING = "id", "embedding"

NUMBERS = {
    "float": pa.float32(),
    "int8": pa.int8(),
    "uint8": pa.uint8(),
    "binary": pa.int8(),
    "ubinary": pa.uint8(),
}
"""How each output dtype is held; the binary types keep eight dimensions in a number."""


@dataclass(frozen=True)
class Shape:
    """What the columns of an output hold.

    Attributes:
        ids: What the names are.
        dtype: The number type of the vectors.
        made_with: How the vectors were made, for whoever finds the file.
    """

    ids: IdKind
    dtype: OutputDtype
    made_with: Mapping[str, object]

    def bytes_of(self, length: int) -> int:
        """Of a vector of so many numbers."""
        width: int = NUMBERS[self.dtype].byte_width
        return length * width

    def schema(self, length: int) -> Any:
        """Names, and vectors of so many numbers: fixed-size lists."""
        numbers = pa.field("element", NUMBERS[self.dtype], nullable=False)
        return pa.schema(
            [
                pa.field(ID, pa.string() if self.ids == "string" else pa.int64(), nullable=False),
                pa.field(EMBEDDING, pa.list_(numbers, length), nullable=False),
            ],
            metadata={"voyage_rag": json.dumps(self.made_with, sort_keys=True)},
        )


def batch_of(schema: Any, ids: Sequence[Id], vectors: memoryview) -> Any:
    """A record batch of names and the numbers of their vectors."""
    kind = schema.field(EMBEDDING).type
    numbers = pa.Array.from_buffers(
        kind.value_type, len(ids) * kind.list_size, [None, pa.py_buffer(vectors)]
    )
    rows = pa.FixedSizeListArray.from_arrays(numbers, type=kind)
    return pa.RecordBatch.from_arrays([_names(schema.field(ID).type, ids), rows], schema=schema)


def _names(kind: Any, ids: Sequence[Id]) -> Any:
    """A column of names. `pa.array` makes one, too, but imports pandas for it if that is there."""
    if pa.types.is_integer(kind):
        return pa.Array.from_buffers(
            kind, len(ids), [None, pa.py_buffer(array("q", map(int, ids)))]
        )
    encoded = [str(name).encode() for name in ids]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(ids), buffers)


class TableWriter(Protocol):
    """Takes record batches."""

    def write_batch(self, batch: Any) -> None:
        """Write one."""


@contextmanager
def parquet(path: Path, schema: Any) -> Iterator[TableWriter]:
    """A Parquet file: a row group for each batch, numbers as they are.

    Numbers of a byte each are written as a dictionary of theirs, which keeps them a byte.
    """
    floats = pa.types.is_floating(schema.field(EMBEDDING).type.value_type)
    with pq.ParquetWriter(
        path,
        schema,
        compression={ID: "ZSTD", f"{EMBEDDING}.list.element": "NONE"},
        use_dictionary=False if floats else [f"{EMBEDDING}.list.element"],
        write_statistics=[ID],
        data_page_size=PAGE,
    ) as writer:
        yield writer


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; if that goes well it becomes `path` at once, safe from a power cut."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        keep(temporary)
        temporary.replace(path)
        keep(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def keep(path: Path) -> None:
    """Have the disk keep a file or the names in a folder."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
