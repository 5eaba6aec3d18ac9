"""Parquet: one file, or a folder of them in the order of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voyage_rag.bulk.arrow import pa, pq
from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.rows import Row
from voyage_rag.bulk.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS_AT_ONCE = 2_048
BUFFER = 2**20
"""Bytes read at once of a column, so that a row group of any size takes little memory."""


class Parquet(Source):
    """Two columns of Parquet files."""

    def __init__(self, path: Path, text_column: str, id_column: str | None) -> None:
        super().__init__(path, text_column, id_column)
        if path.is_dir():
            self._files = sorted(path.glob("*.parquet"))
        else:
            self._files = [path]
        if not self._files:
            raise JobError(f"there is no Parquet file in {str(path)!r}")
        for file in self._files:
            with self._opened(file) as opened:
                self._check(opened.schema_arrow)

    @property
    def files(self) -> Sequence[Path]:
        """See `Source`."""
        return self._files

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """See `Source`. Skipped row groups are not read."""
        position = 0
        columns = [self.text_column]
        if self.id_column is not None:
            columns.append(self.id_column)
        for path in self._files:
            with self._opened(path) as file:
                groups: list[int] = []
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    if not groups and position + rows <= skip:
                        position += rows
                    else:
                        groups.append(group)
                if not groups:
                    continue
                for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=columns):
                    if position + batch.num_rows > skip:
                        start = max(0, skip - position)
                        yield from self._rows(batch.slice(start), position + start)
                    position += batch.num_rows

    def _rows(self, batch: Any, position: int) -> Iterator[Row]:
        texts = _listed(batch.column(self.text_column))
        if self.id_column is None:
            names = list(range(position, position + len(texts)))
        else:
            names = _listed(batch.column(self.id_column))
        for number, (name, text) in enumerate(zip(names, texts, strict=True), start=position + 1):
            yield Row(number, name, text)

    def _opened(self, path: Path) -> Any:
        try:
            return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise JobError(f"{str(path)!r} cannot be read as Parquet: {error}") from None

    def _check(self, schema: Any) -> None:
        self.settle(schema.names)
        kind = schema.field(self.text_column).type
        if not _is_text(kind):
            raise JobError(
                f"column {self.text_column!r} of {self.path.name} holds {kind}, no strings"
            )
        if self.id_column is not None:
            kind = schema.field(self.id_column).type
            if not (_is_text(kind) or pa.types.is_integer(kind)):
                raise JobError(
                    f"column {self.id_column!r} of {self.path.name} holds {kind}: ids are strings "
                    "or whole numbers"
                )


def _listed(column: Any) -> list[Any]:
    try:
        listed: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # Parquet promises UTF-8, and nobody checks
        raw = column.cast(pa.binary()).to_pylist()
        return [value and value.decode(errors="surrogateescape") for value in raw]
    return listed


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
