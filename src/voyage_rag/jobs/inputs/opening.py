"""Read the files of an input as one sequence of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from voyage_rag.jobs.errors import DamagedFileError, JobError
from voyage_rag.jobs.inputs.delimited import CSVFile, TSVFile
from voyage_rag.jobs.inputs.discovery import FoundFile, InputFormat, find_files
from voyage_rag.jobs.inputs.json_files import JSONArrayFile, JSONLinesFile
from voyage_rag.jobs.inputs.rows import DEFAULT_ID_COLUMNS, Columns, InputFile, ReadOptions, Row
from voyage_rag.jobs.inputs.spool import spool
from voyage_rag.jobs.inputs.text_files import LinesFile, WholeFile

DEFAULT_TEXT_COLUMN = "text"
KEEP_ALL = "all"
READ_OPTIONS = ReadOptions()
OUTPUT_COLUMNS = {"id", "embedding"}

FILE_TYPES: dict[InputFormat, type[InputFile]] = {
    "jsonl": JSONLinesFile,
    "json": JSONArrayFile,
    "csv": CSVFile,
    "tsv": TSVFile,
    "lines": LinesFile,
    "folder": WholeFile,
}


Tables: TypeAlias = "Sequence[tuple[InputFile, list[str]]]"
"""Files that have columns, and these columns."""

Damage: TypeAlias = tuple[int, int, str]
"""The number of rows before the damage of a file, the first damaged row, and the reason."""

FileFacts: TypeAlias = tuple[int, str]
"""The size of a file, and its time or content digest."""


class InputReader:
    """The rows of an input, in the same order each time.

    Attributes:
        unread: Number of files in its folders that have another format.
        damaged: The known damage of files, by their labels.
        finds_damage: Whether reading records the damage of files. Otherwise it raises an error.
    """

    def __init__(
        self, files: Sequence[InputFile], columns: Columns, unread: int, damaged: dict[str, Damage]
    ) -> None:
        self.files = files
        self.columns = columns
        self.unread = unread
        self.damaged = damaged
        self.finds_damage: bool = False
        self._found: dict[str, tuple[InputFile, FileFacts]] = {}

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """Yield all rows except the first `skip`, good or bad.

        The rest of a damaged file is one bad row.

        Raises:
            JobError: A file cannot be read.
        """
        position = 0
        for file in self.files:
            start = max(0, skip - position)
            known = file.row_count() if start and file.label not in self.damaged else None
            if known is not None and known <= start:
                position += known
            else:
                position += yield from self._rows_of(file, position, start)

    def _rows_of(self, file: InputFile, position: int, skip: int) -> Generator[Row, None, int]:
        if file.label in self.damaged:
            return (yield from self._rows_before_damage(file, position, skip))
        rows = file.rows(self.columns, position, skip)
        if not self.finds_damage:
            return (yield from rows)
        count, number = skip, 0
        try:
            for row in rows:
                count, number = count + 1, row.number
                yield row
        except DamagedFileError as error:
            flaw = f"this and all later rows cannot be read: {error.message}"
            self.damaged[file.label] = count, number + 1, flaw
            count = yield from self._rows_before_damage(file, position, count)
        return count

    def _rows_before_damage(
        self, file: InputFile, position: int, skip: int
    ) -> Generator[Row, None, int]:
        rows, number, flaw = self.damaged[file.label]
        if skip < rows:  # read from the start, so that chunks end at the same rows as before
            yield from islice(file.rows(self.columns, position, 0), skip, rows)
        if skip <= rows:
            yield Row(number, None, None, flaw, file.label)
        return rows + 1

    def type_of(self, path: str) -> Any:
        """Return the Arrow type of a column; None if files declare none or different ones.

        Files in which the column has the type null, such as empty files, are ignored.
        """
        types = [file.type_of(path) for file in self.files if file.label not in self.damaged]
        types = [each for each in types if str(each) != "null"] or types
        return types[0] if all(each == types[0] for each in types) else None

    def identity(self) -> str:
        """Return a digest of the names, sizes and times of the files, and remember these."""
        self._found = {file.label: (file, _facts_of(file)) for file in self.files}
        facts = json.dumps([(label, *facts) for label, (_, facts) in self._found.items()])
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()

    def has_changed(self, rows: Iterable[Row]) -> bool:
        """Return whether a file of the rows has changed since the last call of `identity`."""
        found = [self._found[label] for label in {row.file for row in rows}]
        try:
            return any(_facts_of(file) != facts for file, facts in found)
        except OSError:
            return True

    def where(self, row: Row) -> str:
        """Return the location of a row for messages."""
        unit = next((file.unit for file in self.files if file.label == row.file), "row")
        return row.file if unit == "file" else f"{unit} {row.number:,} of {row.file}"


def _facts_of(file: InputFile) -> FileFacts:
    found = file.path.stat()
    return found.st_size, file.digest or str(found.st_mtime_ns)


def open_inputs(
    paths: Sequence[Path],
    given: InputFormat | None = None,
    *,
    text_columns: Sequence[str] = (DEFAULT_TEXT_COLUMN,),
    id_column: str | None = None,
    has_ids: bool = True,
    keep: Sequence[str] = (),
    options: ReadOptions = READ_OPTIONS,
    spool_folder: Path | None = None,
    skip_damaged: bool = False,
) -> InputReader:
    """Open files, folders and globs.

    Args:
        paths: The paths, in order.
        given: The format of the files; None determines it from their names.
        text_columns: The columns with the text; several are joined.
        id_column: The column with the id; None uses `id` or `_id` if present.
        has_ids: Whether ids are needed; otherwise rows are numbered.
        keep: Other columns to read, or `all`.
        options: Options for reading files.
        spool_folder: The folder for copies of stdin and pipes, which can be read only once.
        skip_damaged: Skip files whose columns cannot be read, unless this applies to all files.

    Raises:
        JobError: An input cannot be read, or lacks a column.
    """
    digests: dict[Path, str] = {}
    if spool_folder is not None:
        paths, digests = spool(paths, spool_folder)
    found, unread = find_files(paths, given, digests)
    files = [_open(file, options) for file in found]
    if not options.header or options.delimiter is not None:
        _require_a_table(files, options)
    for file in files:
        if digest := digests.get(file.path):
            file.digest, file.constants = digest, {}
    damaged = _unreadable(files) if skip_damaged else {}
    intact = [file for file in files if file.label not in damaged]
    columns = _columns(intact, tuple(text_columns), id_column, tuple(keep), has_ids=has_ids)
    for file in intact:
        file.check(columns)
    return InputReader(files, columns, unread, damaged)


def _require_a_table(files: Sequence[InputFile], options: ReadOptions) -> None:
    if not any(isinstance(file, CSVFile) for file in files):
        name = "header=False" if options.delimiter is None else f"delimiter={options.delimiter!r}"
        raise JobError(
            f"{name} applies to CSV and TSV files, but the input contains none: leave it out, or "
            "pass input_format='csv'"
        )


def _unreadable(files: Sequence[InputFile]) -> dict[str, Damage]:
    """Return the files whose columns cannot be read. Raise the error if this applies to all."""
    damaged = dict[str, Damage]()
    for file in files:
        try:
            _ = file.columns
        except DamagedFileError as error:
            damaged[file.label] = 0, 1, f"the file cannot be read: {error.message}"
            if len(damaged) == len(files):
                raise
    return damaged


def _open(found: FoundFile, options: ReadOptions) -> InputFile:
    if found.format not in FILE_TYPES:  # pyarrow is imported only if it is needed
        from voyage_rag.jobs.inputs.arrow_files import ArrowFile, ParquetFile  # noqa: PLC0415

        return (ParquetFile if found.format == "parquet" else ArrowFile)(found, options)
    return FILE_TYPES[found.format](found, options)


def _columns(
    files: Sequence[InputFile],
    text: tuple[str, ...],
    id_column: str | None,
    keep: tuple[str, ...],
    *,
    has_ids: bool,
) -> Columns:
    refused = DEFAULT_ID_COLUMNS if has_ids and id_column is None else ()
    tables = [(file, names) for file in files if (names := file.columns) is not None]
    if not tables:
        for wanted in filter(None, (id_column, *(() if keep == (KEEP_ALL,) else keep))):
            raise JobError(f"{files[0].label} has no columns, but column {wanted!r} is required")
        return Columns(text, None, (), refused)
    if text == (DEFAULT_TEXT_COLUMN,) and len(tables[0][1]) == 1 and not files[0].options.header:
        text = tuple(tables[0][1])
    _check_every_row_has(tables, (*text, *([] if id_column is None else [id_column])))
    if refused:
        id_column = _default_id(tables)
    keep = _kept(tables, keep, id_column)
    _check_some_row_has(tables, (*(text if len(text) > 1 else ()), *keep))
    return Columns(text, id_column, keep, refused if id_column is None else ())


def _kept(tables: Tables, keep: tuple[str, ...], id_column: str | None) -> tuple[str, ...]:
    """Return the columns to copy, or raise a `JobError` for one that cannot be copied."""
    keeps_all = keep == (KEEP_ALL,)
    if keeps_all:
        everywhere = dict.fromkeys(name for file, _ in tables for name in file.all_columns)
        keep = tuple(name for name in everywhere if name != id_column)
    for wanted in keep:
        if not keeps_all:
            _check_every_row_has(tables, [wanted])
        if wanted in OUTPUT_COLUMNS:
            raise JobError(
                f"column {wanted!r} cannot be kept, because the output has a column with this "
                "name: rename it, or list the columns to keep"
            )
    return tuple(dict.fromkeys(keep))


def _check_every_row_has(tables: Tables, columns: Sequence[str]) -> None:
    """Raise a `JobError` for a column that a file lacks, if its rows have the same columns."""
    for file, names in tables:
        for wanted in columns if file.has_fixed_columns else ():
            _check_column(file, names, wanted)


def _check_some_row_has(tables: Tables, columns: Sequence[str]) -> None:
    """Raise a `JobError` for a column that no row has, if rows can have different columns."""
    known = {name for _, names in tables for name in names}
    missing = [name for name in columns if not known & {name, name.partition(".")[0]}]
    if missing:
        everywhere = dict.fromkeys(name for file, _ in tables for name in file.all_columns)
        for name in missing:
            _check_column(tables[0][0], list(everywhere), name)


def _default_id(tables: Tables) -> str | None:
    for name in DEFAULT_ID_COLUMNS:
        having = [file.label for file, names in tables if name in names]
        lacking = [file.label for file, names in tables if name not in names]
        if having and lacking:
            raise JobError(
                f"{having[0]} has a column {name!r}, but {lacking[0]} does not: add it to all "
                "files, or embed them separately"
            )
        if having:
            return name
    return None


def _check_column(file: InputFile, names: Sequence[str], wanted: str) -> None:
    is_nested = file.has_nested_values and wanted.partition(".")[0] in names
    if wanted not in names and not is_nested:
        remedy = (
            ": pass the one with the text as text_column" if wanted == DEFAULT_TEXT_COLUMN else ""
        )
        raise JobError(
            f"{file.label} has no column {wanted!r}; its columns are "
            f"{', '.join(map(repr, names)) or 'none'}{file.hint or remedy}"
        )
