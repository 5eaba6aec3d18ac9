"""Ids, vectors and kept columns as record batches, written to files of each format."""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from voyage_rag.jobs.inputs.arrow_files import pa, pc, pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from voyage_rag.jobs.inputs.rows import Id
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import Vector

ROWS_PER_GROUP = 8_192
"""Rows of a Parquet row group: 32 MiB of 1,024 floats."""

PAGE_BYTES = 2**18
"""Of a Parquet page: small enough to stay in a processor's cache while it is written."""

ID, EMBEDDING = "id", "embedding"

NUMBERS = {
    "float": pa.float32(),
    "int8": pa.int8(),
    "uint8": pa.uint8(),
    "binary": pa.int8(),
    "ubinary": pa.uint8(),
}
"""How each output dtype is stored; the binary types keep eight dimensions in a number."""

DTYPES: dict[str, OutputDtype] = {"f": "float", "b": "int8", "B": "uint8"}
"""By the type codes of arrays."""

JSON_BYTES: dict[OutputDtype, float] = {
    "float": 13,
    "int8": 4.5,
    "uint8": 4,
    "binary": 4.5,
    "ubinary": 4,
}
"""A number and its comma in JSON, on average."""

TYPE_CODES = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
}  # fmt: skip


@dataclass(frozen=True)
class OutputSchema:
    """The columns of an output.

    Attributes:
        id_type: The Arrow type of the ids: `string`, or one of whole numbers.
        dtype: The number type of the vectors.
        made_with: Model and options of the vectors, stored in the file.
        kept: Names and types of the columns carried over from the input.
    """

    id_type: str
    dtype: OutputDtype
    made_with: Mapping[str, object]
    kept: Any

    def vector_bytes(self, length: int) -> int:
        """Bytes of a vector of so many numbers."""
        width: int = NUMBERS[self.dtype].byte_width
        return length * width

    def bytes_in(self, form: str, length: int) -> float:
        """What a vector takes in an output of some format."""
        return length * JSON_BYTES[self.dtype] if form == "jsonl" else self.vector_bytes(length)

    def arrow(self, length: int) -> Any:
        """The Arrow schema: ids, vectors as lists of fixed size, and kept columns."""
        numbers = pa.field("element", NUMBERS[self.dtype], nullable=False)
        return pa.schema(
            [
                pa.field(ID, pa.type_for_alias(self.id_type), nullable=False),
                pa.field(EMBEDDING, pa.list_(numbers, length), nullable=False),
                *self.kept,
            ],
            metadata={"voyage_rag": json.dumps(self.made_with, sort_keys=True)},
        )


def schema_to_text(schema: Any) -> str:
    """A schema as text, for a manifest."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def schema_from_text(text: str) -> Any:
    """The schema that `schema_to_text` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def record_batch(
    schema: Any, ids: Sequence[Id], vectors: memoryview, kept: Sequence[tuple[Any, ...]]
) -> Any:
    """A record batch of ids, the numbers of their vectors, and kept values."""
    kind = schema.field(EMBEDDING).type
    numbers = pa.Array.from_buffers(
        kind.value_type, len(ids) * kind.list_size, [None, pa.py_buffer(vectors)]
    )
    columns = [
        _id_column(schema.field(ID).type, ids),
        pa.FixedSizeListArray.from_arrays(numbers, type=kind),
    ]
    for place, field in enumerate(list(schema)[len(columns) :]):
        values = [row[place] for row in kept]
        if _is_json(field):
            values = [value if value is None else _as_json(value) for value in values]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _id_column(kind: Any, ids: Sequence[Id]) -> Any:
    """A column of ids. `pa.array` makes one, too, but imports pandas for it if that is there."""
    if pa.types.is_integer(kind):
        numbers = array(TYPE_CODES[str(kind)], map(int, ids))
        return pa.Array.from_buffers(kind, len(ids), [None, pa.py_buffer(numbers)])
    encoded = [str(name).encode() for name in ids]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(ids), buffers)


def json_field(name: str) -> Any:
    """A column of values that have no common simple type, each as JSON."""
    return pa.field(name, pa.string(), metadata={"json": "1"})


def _is_json(field: Any) -> bool:
    return b"json" in (field.metadata or {})


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


WriteBatch: TypeAlias = Callable[[Any], object]
"""Takes record batches, one after the other."""


@contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:
    """A Parquet file: a row group for each batch, numbers as they are.

    Numbers of a byte each are written as a dictionary of theirs, which keeps them a byte.
    """
    vectors = f"{EMBEDDING}.list.element"
    floats = pa.types.is_floating(schema.field(EMBEDDING).type.value_type)
    with pq.ParquetWriter(
        path,
        schema,
        compression={leaf: "NONE" if leaf == vectors else "ZSTD" for leaf in _leaves(schema)},
        use_dictionary=False if floats else [vectors],
        write_statistics=[ID],
        data_page_size=PAGE_BYTES,
    ) as writer:
        yield writer.write_batch


def _leaves(schema: Any) -> list[str]:
    """The columns that Parquet makes of a schema, nested ones by their paths."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    columns = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [columns.column(number).path for number in range(len(columns))]


@contextmanager
def json_lines_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:  # noqa: ARG001
    """Objects with `id`, `embedding` and kept columns, one a line."""
    with path.open("wb") as file:
        yield lambda batch: file.writelines(_as_lines(batch))


def _as_lines(batch: Any) -> Iterator[bytes]:
    """Floats are written with as few digits as identify a number of single precision."""
    vectors = batch.column(EMBEDDING)
    texts = vectors.flatten().cast(pa.string())
    offsets = pa.array(range(0, len(texts) + 1, vectors.type.list_size), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")
    for name, numbers, kept in zip(
        batch.column(ID).to_pylist(), joined.to_pylist(), _kept_rows(batch), strict=True
    ):
        rest = "".join(f", {json.dumps(key)}: {_as_json(kept[key])}" for key in kept)
        yield f'{{"id": {json.dumps(name)}, "embedding": [{numbers}]{rest}}}\n'.encode()


def _kept_rows(batch: Any) -> Iterable[dict[str, Any]]:
    kept = batch.drop_columns([ID, EMBEDDING])
    rows: list[dict[str, Any]] = kept.to_pylist()
    for field in filter(_is_json, kept.schema):
        for row in rows:
            row[field.name] = row[field.name] and json.loads(row[field.name])
    return rows or [{}] * batch.num_rows


@contextmanager
def matrix_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:
    """A NumPy file of shape (rows, numbers), and beside it the ids, one JSON value a line.

    With kept columns these lines are objects.
    """
    np, rows = numpy(), 0
    kind = schema.field(EMBEDDING).type
    numbers = pa.array([], kind.value_type).to_numpy()  # `to_pandas_dtype` would import pandas
    header = {"descr": numbers.dtype.str, "fortran_order": False}

    def write_header() -> None:
        file.seek(0)  # numpy pads it, so that the number of rows may grow
        shape = (rows, kind.list_size)
        np.lib.format.write_array_header_1_0(file, header | {"shape": shape})

    def write_batch(batch: Any) -> None:
        nonlocal rows
        rows += batch.num_rows
        file.write(batch.column(EMBEDDING).flatten().to_numpy())
        for name, kept in zip(batch.column(ID).to_pylist(), _kept_rows(batch), strict=True):
            ids.write(_as_json({ID: name, **kept} if kept else name).encode() + b"\n")

    with path.open("wb") as file, path.with_name(path.name + IDS_SUFFIX).open("wb") as ids:
        write_header()
        yield write_batch
        write_header()


IDS_SUFFIX = ".ids.jsonl"
WRITERS = {"parquet": parquet_writer, "jsonl": json_lines_writer, "npy": matrix_writer}
"""Of outputs that are one file, by their format."""


def numpy() -> Any:
    """numpy, or what to install."""
    try:
        import numpy as np  # noqa: PLC0415 - only a matrix needs it
    except ImportError as error:
        raise ImportError("a NumPy matrix needs numpy: pip install numpy") from error
    return np


@contextmanager
def vector_writer(path: Path, id_type: str) -> Iterator[Callable[[Id, Vector], None]]:
    """A Parquet file that takes ids and vectors one by one."""
    ids: list[Id] = []
    vectors: list[Vector] = []
    schema: Any = None
    write_batch: Any = None

    def flush() -> None:
        nonlocal schema, write_batch
        if schema is None:
            first = vectors[0] if vectors else array("f", [])
            dtype: OutputDtype = DTYPES[first.typecode]
            schema = OutputSchema(id_type, dtype, {}, ()).arrow(len(first))
            write_batch = files.enter_context(parquet_writer(path, schema))
        if ids:
            write_batch(record_batch(schema, ids, memoryview(b"".join(vectors)), ()))
        ids.clear()
        vectors.clear()

    def add(name: Id, vector: Vector) -> None:
        ids.append(name)
        vectors.append(vector)
        if len(ids) == ROWS_PER_GROUP:
            flush()

    with ExitStack() as files:
        yield add
        flush()
