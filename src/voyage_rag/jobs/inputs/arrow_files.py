"""Parquet and Arrow IPC files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count, repeat
from typing import Any

from voyage_rag.jobs.errors import DamagedFileError, JobError
from voyage_rag.jobs.inputs.rows import Columns, InputFile, Row, joined, row_of
from voyage_rag.jobs.lines import remedy_for_binary

try:
    import pyarrow as _arrow  # noqa: ICN001 - it has no types, so its names are `Any` below
    import pyarrow.compute as _compute
    import pyarrow.parquet as _parquet
except ImportError as error:
    raise ImportError("voyage_rag.bulk needs pyarrow: pip install 'voyage-rag[bulk]'") from error

pa: Any = _arrow
pc: Any = _compute
pq: Any = _parquet

ROWS_PER_BATCH = 2_048
BUFFER_BYTES = 2**20
"""Read size per column, so that a row group of any size needs little memory."""


class ArrowRows(InputFile):
    """Rows from record batches."""

    @cached_property
    def _schema(self) -> Any:
        raise NotImplementedError

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self._schema.names)

    def _batches(self, columns: list[str], skip: int) -> Iterator[tuple[int, Any]]:
        """Yield positions and record batches, starting with the batch that contains row `skip`."""
        raise NotImplementedError

    @property
    def columns(self) -> list[str] | None:
        """See `InputFile`."""
        names: list[str] = self._schema.names
        return [*names, *self.constants]

    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """See `InputFile`."""
        end = skip
        for start, batch in self._batches(self._stored(columns.wanted), skip):
            end = start + batch.num_rows
            if end > skip:
                first = max(0, skip - start)
                yield from self._rows(batch.slice(first), columns, position, start + first)
        return end

    def _rows(self, batch: Any, columns: Columns, position: int, start: int) -> Iterator[Row]:
        values = {path: self._values(batch, path) for path in columns.wanted}
        kept = zip(*map(values.get, columns.keep), strict=True) if columns.keep else repeat(())
        columns_of_texts = [self._converted(values[path], path) for path in columns.text]
        texts = columns_of_texts[0]
        if len(columns_of_texts) > 1:
            texts = [joined(parts) for parts in zip(*columns_of_texts, strict=True)]
        names = count(position + start)
        if columns.id is not None:
            names = self._converted(values[columns.id], columns.id)
        numbers, label = count(start + 1), self.label
        for number, name, text, others in zip(numbers, names, texts, kept):  # noqa: B905 - endless
            yield row_of((number, name, text, None, label, others))

    def _values(self, batch: Any, path: str) -> list[Any]:
        if path in self.constants:
            return [self.constants[path]] * batch.num_rows
        if self._lacks(path):
            return [None] * batch.num_rows
        if path in self._names:
            column = batch.column(path)
        else:
            name, *inner = path.split(".")
            column = pc.struct_field(batch.column(name), inner)
        try:
            values: list[Any] = column.to_pylist()
        except UnicodeDecodeError:  # Parquet specifies UTF-8, but writers do not check it
            raw = column.cast(pa.binary()).to_pylist()
            return [value and _decoded(value) for value in raw]
        except (ValueError, OverflowError):  # times that `datetime` cannot represent
            return list(column)
        return values

    def _converted(self, values: list[Any], path: str) -> Any:
        """Return values of a column as texts or ids."""
        convert = _conversion(self.type_of(path))
        return values if convert is None else [v if v is None else convert(v) for v in values]

    def _stored(self, paths: list[str]) -> list[str]:
        """Return the file's columns that contain these columns."""
        names = [path if path in self._names else path.split(".")[0] for path in paths]
        names = [name for name in names if name not in self.constants and not self._lacks(name)]
        return list(dict.fromkeys(names))

    def _lacks(self, path: str) -> bool:
        """Return whether only other files have a column, and all columns are copied."""
        return path not in self._names and path.partition(".")[0] not in self._names

    def type_of(self, path: str) -> Any:
        """Return the type of a column or of a nested value."""
        if path in self.constants:
            return pa.string()
        if self._lacks(path):
            return pa.null()
        if path in self._names:
            return self._schema.field(path).type
        kind = self._schema.field(path.split(".", maxsplit=1)[0]).type
        for name in path.split(".")[1:]:
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                raise JobError(f"{self.label} has no column {path!r}: {kind} has no {name!r}")
            kind = kind.field(name).type
        return kind

    def check(self, columns: Columns) -> None:
        """See `InputFile`."""
        super().check(columns)
        for path in columns.text:
            kind = self.type_of(path)
            if not (_is_text(kind) or _is_binary(kind)):
                raise JobError(f"column {path!r} of {self.label} contains {kind}, not strings")
        if columns.id is not None:
            kind = self.type_of(columns.id)
            if not (_is_text(kind) or pa.types.is_integer(kind) or _conversion(kind)):
                raise JobError(
                    f"column {columns.id!r} of {self.label} contains {kind}: ids are strings or "
                    "whole numbers, so convert it, or name another column with id_column"
                )


class ParquetFile(ArrowRows):
    """A Parquet file. Skipped row groups are not read."""

    @cached_property
    def _schema(self) -> Any:
        with self._opened() as file:
            return file.schema_arrow

    def row_count(self) -> int | None:
        """See `InputFile`."""
        with self._opened() as file:
            count: int = file.metadata.num_rows
            return count

    def _batches(self, columns: list[str], skip: int) -> Iterator[tuple[int, Any]]:
        with self._opened() as file:
            groups, at = list[int](), 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if not groups and at + rows <= skip:
                    at += rows
                else:
                    groups.append(group)
            if groups:
                for batch in file.iter_batches(ROWS_PER_BATCH, row_groups=groups, columns=columns):
                    yield at, batch
                    at += batch.num_rows

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with unreadable(self, "Parquet"):
            file = pq.ParquetFile(self.path, buffer_size=BUFFER_BYTES, pre_buffer=False)
        with file, unreadable(self, "Parquet"):
            yield file


class ArrowFile(ArrowRows):
    """An Arrow IPC file or stream, such as Feather and the files of Hugging Face's datasets."""

    @cached_property
    def _schema(self) -> Any:
        with self._opened() as reader:
            return reader.schema

    def row_count(self) -> int | None:
        """See `InputFile`."""
        with self._opened() as reader:
            return sum(int(batch.num_rows) for batch in _record_batches(reader))

    def _batches(self, columns: list[str], skip: int) -> Iterator[tuple[int, Any]]:
        at = 0
        with self._opened() as reader:
            for batch in _record_batches(reader):
                if at + batch.num_rows > skip:
                    wanted = batch.select(columns)
                    for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                        yield at + start, wanted.slice(start, ROWS_PER_BATCH)
                at += batch.num_rows

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        # Not mapped into memory: if another process truncates the file, this one would be killed.
        with unreadable(self, "Arrow IPC"), pa.OSFile(str(self.path)) as source:
            try:
                reader = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                reader = pa.ipc.open_stream(source)
            with reader:
                yield reader


def _record_batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    return iter(reader)


@contextmanager
def unreadable(file: InputFile, what: str) -> Iterator[None]:
    """Convert errors of pyarrow to a `DamagedFileError`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeEncodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if remedy := remedy_for_binary(file.path):
            raise JobError(f"{file.label} {remedy}") from None
        raise DamagedFileError(f"{file.label} cannot be read as {what}: {error}") from None


def _conversion(kind: Any) -> Callable[[Any], str | int] | None:
    """Return the function that makes texts or ids of values; None if they need none."""
    if _is_binary(kind):  # as some writers of Parquet store strings
        return _decoded
    if pa.types.is_decimal(kind) and kind.scale == 0:  # as databases store whole numbers
        return int
    return str if str(kind) == "extension<arrow.uuid>" else None


def _decoded(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _is_binary(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_text(kind: Any) -> bool:
    """Whether a type contains strings, or only missing values."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return any(test(kind) for test in tests)
