"""The rows of a batch job's input, and the format of its results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from voyage_rag.commands.failure import CommandError
from voyage_rag.jobs.files import atomic_write, is_special
from voyage_rag.jobs.inputs import InputFormat, InputReader, Row, flaw_of, open_inputs
from voyage_rag.jobs.inputs.rows import ReadOptions, flaw_of_id
from voyage_rag.models import Kind

if TYPE_CHECKING:
    from voyage_rag.batch import BatchJob, BatchResult

STDOUT = Path("-")
OTHER_OUTPUTS = {".arrow", ".csv", ".feather", ".json", ".npy", ".npz", ".pq", ".tsv"}
"""Suffixes of formats that results are not written in."""

COLUMNS: dict[Kind, tuple[tuple[str], tuple[str, ...], type, str]] = {
    "contextualized": (
        ("chunks",), (), list, "a list of chunks, or an object with one under 'chunks'",
    ),
    "rerank": (("query",), ("documents",), str, "an object with a 'query' and its 'documents'"),
}  # fmt: skip
"""For rows that are not texts: their columns, the type of the first one, and a description."""


class BatchRows:
    """Inputs from files, in order, and their locations.

    Attributes:
        place: The location of the last row that was read.
    """

    def __init__(self, reader: InputReader, kind: Kind) -> None:
        self._reader, self._kind = reader, kind
        self._id: Any = None
        self._has_string_ids = False
        self._is_over = False
        self.place: str = reader.files[0].label

    def __iter__(self) -> Iterator[Any]:
        for row in self._reader.rows():
            self.place = f"{row.file}:{row.number}"
            self._check(row)
            self._has_string_ids |= isinstance(row.id, str)
            self._id = str(row.id) if self._has_string_ids else row.id
            yield (row.text, *row.kept) if row.kept else row.text
        self._is_over = True

    @property
    def ids(self) -> Iterator[Any] | None:
        """The ids, to be read after each row; None if rows are numbered."""
        return None if self._reader.columns.id is None else self._all_ids()

    def _all_ids(self) -> Iterator[Any]:
        while not self._is_over:
            yield self._id

    def _check(self, row: Row) -> None:
        if self._kind not in COLUMNS:
            flaw = flaw_of(row)
        else:
            _, _, kind, wanted = COLUMNS[self._kind]
            flaw = row.flaw or flaw_of_id(row.id)
            if flaw is None and (not isinstance(row.text, kind) or None in row.kept):
                flaw = f"it is not {wanted}"
        if flaw:
            raise CommandError(f"{self.place}: {flaw}")


@contextmanager
def open_rows(
    paths: Sequence[Path],
    kind: Kind,
    field: str,
    id_field: str | None,
    given: InputFormat | None,
    options: ReadOptions,
) -> Iterator[BatchRows]:
    """Open the rows of files: texts in any format, documents and queries as JSON Lines.

    The default of `id_field` is `id` or `_id` for texts; other rows are then numbered.
    """
    columns, keep, _, _ = COLUMNS.get(kind, ((field,), (), str, ""))
    with TemporaryDirectory() as folder:
        reader = open_inputs(
            paths,
            given or ("jsonl" if kind in COLUMNS else None),
            text_columns=columns,
            id_column=id_field,
            has_ids=kind not in COLUMNS,
            keep=keep,
            options=options,
            spool_folder=Path(folder),
        )
        yield BatchRows(reader, kind)


def as_row(result: BatchResult, job: BatchJob) -> dict[str, Any]:
    """Return a result as a line of JSON."""
    row: dict[str, Any] = {"id": _id_of(result, job)}
    if result.failure is not None:
        failure = result.failure
        error = {"status": failure.status, "code": failure.code, "message": failure.message}
        return row | {"error": error, "input": failure.input}
    if job.kind == "rerank":
        ranking = [{"index": r.index, "relevance_score": r.relevance_score} for r in result.ranking]
        return row | {"results": ranking}
    if job.kind == "embedding":
        return row | {"embedding": result.vector.tolist()}
    return row | {"embeddings": [vector.tolist() for vector in result.vectors]}


def _id_of(result: BatchResult, job: BatchJob) -> str | int:
    """Return the id with its original type; the Batch API accepts strings only."""
    return result.custom_id if job.id_type == "string" else int(result.custom_id)


def check_free(output: Path, failed: Path | None, job: Path, *, overwrite: bool) -> None:
    """Raise an error for a path that exists, is used for something else, or cannot be written."""
    taken = {job.resolve(): "the job"}
    for path in (output, failed):
        if path is None or path == STDOUT:
            continue
        suffix = path.suffix.lower()
        if suffix in OTHER_OUTPUTS or (path == failed and suffix == ".parquet"):
            raise CommandError(
                f"{path} would be JSON Lines, not {suffix}: end the name in .jsonl"
                + " or .parquet" * (path == output)
            )
        if use := taken.get(path.resolve()):
            raise CommandError(f"{path} is the file of {use}: pass another file")
        taken[path.resolve()] = "another output"
        if is_special(path):
            raise CommandError(f"{path} is not a regular file: pass one, or - for stdout")
        if path.is_dir():
            raise CommandError(f"{path} is a folder: pass a file")
        if path.exists() and not overwrite:
            raise CommandError(f"{path} exists: pass another file, or --overwrite")


@contextmanager
def result_writer(path: Path, job: BatchJob) -> Iterator[Callable[[BatchResult], object]]:
    """Open a JSON Lines or Parquet file, which appears when all results are written."""

    def line(result: BatchResult) -> str:
        return json.dumps(as_row(result, job), ensure_ascii=False) + "\n"

    if path == STDOUT:
        yield lambda result: sys.stdout.write(line(result))
        return
    try:
        with atomic_write(path) as temporary:
            if path.suffix.lower() == ".parquet":
                with _parquet_rows(temporary, job) as write:
                    yield write
            else:
                with temporary.open("w", encoding="utf-8") as file:
                    yield lambda result: file.write(line(result))
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _parquet_rows(path: Path, job: BatchJob) -> Iterator[Callable[[BatchResult], object]]:
    if job.kind != "embedding":
        raise CommandError(f"results of {job.kind} models are JSON Lines: end the name in .jsonl")
    from voyage_rag.bulk.writers import vector_writer  # noqa: PLC0415 - needs an extra

    with vector_writer(path, job.id_type) as add:
        yield lambda result: add(_id_of(result, job), result.vector)
