"""The rows that a batch job is made of, and the results it becomes."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from voyage_rag.commands.extras import extra
from voyage_rag.commands.failure import CommandError
from voyage_rag.jobs.files import atomic_write
from voyage_rag.jobs.inputs import flaw_of, open_inputs
from voyage_rag.jobs.inputs.spool import spool
from voyage_rag.jobs.lines import open_bytes, parse_json, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voyage_rag.batch import BatchResult
    from voyage_rag.jobs.inputs import InputFormat, InputReader
    from voyage_rag.models import Kind

STDOUT = Path("-")
NEEDED = {
    "contextualized": "a list of chunks, or an object with one under 'chunks'",
    "rerank": "an object with a 'query' and its 'documents'",
}


class BatchRows:
    """Inputs from files, one after the other, and where each is.

    Texts may be in files of any format; documents and queries are JSON Lines.

    Args:
        paths: The files, or `-`.
        kind: What a row is to be.
        field: Where the text of a row is.
        id_field: Where its id is; unless given, `id` or `_id` of texts, or rows are numbered.

    Attributes:
        place: The row that was read last.
    """

    def __init__(self, paths: Sequence[Path], kind: Kind, field: str, id_field: str | None) -> None:
        self._given, self._kind, self._field, self._id_field = paths, kind, field, id_field
        self._id: Any = None
        self._is_over = False
        self._closing = ExitStack()
        self._paths: list[Path] = []
        self._reader: InputReader | None = None
        self.place: str = str(paths[0])

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            folder = opening.enter_context(TemporaryDirectory())
            self._paths, copied = spool(self._given, Path(folder))
            if self._kind == "embedding":
                form: InputFormat | None = "jsonl" if copied and not self._paths[0].suffix else None
                self._reader = open_inputs(
                    self._paths, form, text_columns=(self._field,), id_column=self._id_field
                )
                self._id_field = self._reader.columns.id
            self._closing = opening.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.close()

    def __iter__(self) -> Iterator[Any]:
        yield from self._values() if self._reader is None else self._texts(self._reader)
        self._is_over = True

    @property
    def ids(self) -> Iterator[Any] | None:
        """The ids of the rows, to be read in step with the rows; None if these are numbered."""
        return None if self._id_field is None else self._all_ids()

    def _all_ids(self) -> Iterator[Any]:
        while not self._is_over:
            yield self._id

    def _texts(self, reader: InputReader) -> Iterator[Any]:
        for row in reader.rows():
            self.place = f"{row.file}:{row.number}"
            if flaw := flaw_of(row):
                raise CommandError(f"{self.place}: {flaw}")
            self._id = str(row.id)
            yield row.text

    def _values(self) -> Iterator[Any]:
        for path in self._paths:
            with open_bytes(path) as file:
                for number, content, flaw in read_lines(file, path.name):
                    self.place = f"{path.name}:{number}"
                    try:
                        value = parse_json(content) if flaw is None else None
                    except ValueError as error:
                        flaw = f"the line is {error}"  # noqa: PLW2901 - the reason, if it had none
                    if flaw is not None:
                        raise CommandError(f"{self.place}: {flaw}")
                    if self._id_field is not None:
                        self._id = str(self._picked(value, self._id_field))
                    if self._kind == "rerank":
                        yield self._picked(value, "query"), self._picked(value, "documents")
                    else:
                        yield value if isinstance(value, list) else self._picked(value, "chunks")

    def _picked(self, value: Any, field: str) -> Any:
        if not isinstance(value, dict) or field not in value:
            named = f"an object with {field!r}"
            wanted = named if field == self._id_field else NEEDED[self._kind]
            raise CommandError(f"{self.place} is not {wanted}")
        return value[field]


def as_row(result: BatchResult, kind: Kind) -> dict[str, Any]:
    """A result as a line of JSON."""
    if result.failure is not None:
        failure = result.failure
        error = {"status": failure.status, "code": failure.code, "message": failure.message}
        return {"id": result.custom_id, "error": error, "input": failure.input}
    if kind == "rerank":
        ranking = [{"index": r.index, "relevance_score": r.relevance_score} for r in result.ranking]
        return {"id": result.custom_id, "results": ranking}
    if kind == "embedding":
        return {"id": result.custom_id, "embedding": result.vector.tolist()}
    vectors = [vector.tolist() for vector in result.vectors]
    return {"id": result.custom_id, "embeddings": vectors}


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse to write where there is something.

    Raises:
        CommandError: There is.
    """
    if path == STDOUT or not path.exists():
        return
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file")
    if not overwrite:
        raise CommandError(f"{path} exists: name another file, or say --overwrite")


@contextmanager
def result_writer(path: Path, kind: Kind) -> Iterator[Callable[[BatchResult], object]]:
    """Takes results for a file that appears when all are written: JSON Lines, or Parquet by name.

    Raises:
        CommandError: It cannot be written.
    """
    if path == STDOUT:
        yield lambda result: sys.stdout.write(_as_line(result, kind))
        return
    try:
        with atomic_write(path) as temporary:
            if path.suffix.lower() == ".parquet":
                with _parquet_rows(temporary, kind) as write:
                    yield write
            else:
                with temporary.open("w", encoding="utf-8") as file:
                    yield lambda result: file.write(_as_line(result, kind))
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def _as_line(result: BatchResult, kind: Kind) -> str:
    return json.dumps(as_row(result, kind), ensure_ascii=False) + "\n"


@contextmanager
def _parquet_rows(path: Path, kind: Kind) -> Iterator[Callable[[BatchResult], object]]:
    if kind != "embedding":
        raise CommandError(f"results of {kind} models are JSON lines: end the name in .jsonl")
    with extra("bulk", "pyarrow", what="Parquet"):
        from voyage_rag.bulk.writers import VectorFile  # noqa: PLC0415 - an extra of its own
    with VectorFile(path) as file:
        yield lambda result: file.add(result.custom_id, result.vector)
