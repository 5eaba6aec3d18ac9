"""Write ids, vectors and copied columns as record batches to files of each format."""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.arrow_files import pa, pc, pq
from voyage_rag.jobs.inputs.rows import Id
from voyage_rag.models import OutputDtype
from voyage_rag.types import Vector

ROWS_PER_GROUP = 8_192
"""Rows per Parquet row group: 32 MiB at 1,024 floats per row."""

PAGE_BYTES = 2**18
"""Bytes per Parquet page: small enough for a processor's cache."""

ID, EMBEDDING = "id", "embedding"

NUMBERS = {
    "float": pa.float32(),
    "int8": pa.int8(),
    "uint8": pa.uint8(),
    "binary": pa.int8(),
    "ubinary": pa.uint8(),
}
"""Storage type of each output dtype; the binary types pack eight dimensions into one number."""

DTYPES: dict[str, OutputDtype] = {"f": "float", "b": "int8", "B": "uint8"}
"""Output dtypes by the type codes of arrays."""

JSON_BYTES: dict[OutputDtype, float] = {
    "float": 13,
    "int8": 4.5,
    "uint8": 4,
    "binary": 4.5,
    "ubinary": 4,
}
"""Average bytes of a number and its comma in JSON."""

TYPE_CODES = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
}  # fmt: skip


@dataclass(frozen=True)
class OutputSchema:
    """The columns of an output.

    `made_with` contains the options of the vectors, which the file stores as metadata; `kept` is
    the Arrow schema of the columns copied from the input.
    """

    id_type: str
    dtype: OutputDtype
    made_with: Mapping[str, object]
    kept: Any

    def vector_bytes(self, length: int) -> int:
        """Return the bytes per vector."""
        width: int = NUMBERS[self.dtype].byte_width
        return length * width

    def bytes_in(self, form: str, length: int) -> float:
        """Return the bytes per vector in an output of this format."""
        return length * JSON_BYTES[self.dtype] if form == "jsonl" else self.vector_bytes(length)

    def arrow(self, length: int) -> Any:
        """Return the Arrow schema: ids, vectors as fixed-size lists, and copied columns."""
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
    """Serialise a schema for a manifest."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def schema_from_text(text: str) -> Any:
    """Parse the output of `schema_to_text`."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def record_batch(
    schema: Any, ids: Sequence[Id], vectors: memoryview, kept: Sequence[tuple[Any, ...]]
) -> Any:
    """Return a record batch of ids, the numbers of their vectors, and copied values."""
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
    """Return a column of ids. `pa.array` would do this, but imports pandas if it is installed."""
    if pa.types.is_integer(kind):
        numbers = array(TYPE_CODES[str(kind)], map(int, ids))
        return pa.Array.from_buffers(kind, len(ids), [None, pa.py_buffer(numbers)])
    encoded = [str(name).encode() for name in ids]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(ids), buffers)


def json_field(name: str) -> Any:
    """Return a field for values without a common simple type, each stored as JSON."""
    return pa.field(name, pa.string(), metadata={"json": "1"})


def _is_json(field: Any) -> bool:
    return b"json" in (field.metadata or {})


def _as_json(value: object) -> str:
    """Return a value as JSON: bytes as base64, NaN and infinity as null."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_simple, allow_nan=False)
    except ValueError:
        written = json.dumps(value, default=_simple)
        return _as_json(json.loads(written, parse_constant=lambda _: None))


def _simple(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


WriteBatch: TypeAlias = Callable[[Any], object]
"""Receives record batches one after another."""


@contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:
    """Open a Parquet file with one row group per batch and plain numbers.

    One-byte numbers are dictionary-encoded, because Parquet would otherwise store four bytes each.
    """
    vectors = f"{EMBEDDING}.list.element"
    floats = pa.types.is_floating(schema.field(EMBEDDING).type.value_type)
    with pq.ParquetWriter(
        path.absolute(),  # pyarrow treats a relative path with a colon as a URL
        schema,
        compression={leaf: "NONE" if leaf == vectors else "ZSTD" for leaf in _leaves(schema)},
        use_dictionary=False if floats else [vectors],
        write_statistics=[ID],
        data_page_size=PAGE_BYTES,
    ) as writer:
        yield writer.write_batch


def _leaves(schema: Any) -> list[str]:
    """Return the paths of the Parquet columns of a schema, including nested ones."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()  # `schema.empty_table()` would import pandas
    columns = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [columns.column(number).path for number in range(len(columns))]


@contextmanager
def json_lines_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:  # noqa: ARG001
    """Open a file of objects with `id`, `embedding` and copied columns, one per line."""
    with path.open("wb") as file:
        yield lambda batch: file.writelines(_as_lines(batch))


def _as_lines(batch: Any) -> Iterator[bytes]:
    """Yield lines. Floats have only the digits that identify a number of single precision."""
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
    columns = []
    for field, column in zip(kept.schema, kept.columns, strict=True):
        values = python_values(column)
        if _is_json(field):
            values = [value and json.loads(value) for value in values]
        columns.append(values)
    rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
    return (dict(zip(kept.schema.names, row, strict=True)) for row in rows)


def python_values(column: Any) -> list[Any]:
    """Return the values of a column; times that `datetime` cannot represent as strings."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        values = column.cast(pa.string()).to_pylist()
    return values


def check_storable(schema: Any) -> None:
    """Raise an error for a column that Parquet cannot store."""
    for field in schema:
        try:
            _leaves(pa.schema([field]))
        except pa.ArrowNotImplementedError:
            raise JobError(
                f"column {field.name!r} cannot be kept, because Parquet has no type for "
                f"{field.type}: convert it, leave it out, or write JSON Lines"
            ) from None


@contextmanager
def matrix_writer(path: Path, schema: Any) -> Iterator[WriteBatch]:
    """Open a NumPy file of shape (rows, numbers), and a file with one JSON id per line.

    With copied columns, these lines are objects.
    """
    np, rows = numpy(), 0
    kind = schema.field(EMBEDDING).type
    numbers = pa.array([], kind.value_type).to_numpy()  # `to_pandas_dtype` would import pandas
    header = {"descr": numbers.dtype.str, "fortran_order": False}

    def write_header() -> None:
        file.seek(0)  # numpy pads the header, so the number of rows can grow
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
"""Writers of single-file outputs, by format."""


def numpy() -> Any:
    """Import numpy, or raise an error with the installation command."""
    try:
        import numpy as np  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise ImportError("an output in .npy needs numpy: pip install numpy") from error
    return np


@contextmanager
def vector_writer(path: Path, id_type: str) -> Iterator[Callable[[Id, Vector], None]]:
    """Open a Parquet file for ids and vectors, which are passed one by one."""
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
