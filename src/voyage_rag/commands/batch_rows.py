"""Rows of JSON lines that a batch job is made of, and those it becomes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from voyage_rag.commands.failure import CommandError

if TYPE_CHECKING:
    from voyage_rag.batch import BatchResult
    from voyage_rag.models import Kind

STDOUT = Path("-")
NEEDED: dict[Kind, str] = {
    "embedding": "a text, or an object with one under {field!r}",
    "contextualized": "a list of chunks, or an object with one under 'chunks'",
    "rerank": "an object with a 'query' and its 'documents'",
}


class Rows:
    """Inputs from a file of JSON lines, one after the other, and where each stands.

    Args:
        path: The file.
        kind: What a row is to be.
        field: Where the text of a row is.
        id_field: Where its name is, None to number the rows.

    Attributes:
        names: The names of the rows, to be read in step with the rows.
    """

    def __init__(self, path: Path, kind: Kind, field: str, id_field: str | None) -> None:
        self._path, self._kind, self._field, self._id_field = path, kind, field, id_field
        self._line = 0
        self._name: Any = None
        self._is_over = False
        self.names = None if id_field is None else self._names()

    @property
    def place(self) -> str:
        """The row that was read last."""
        return f"{self._path}:{self._line}"

    def __iter__(self) -> Iterator[Any]:
        try:
            with self._path.open("rb") as file:
                for raw in file:
                    self._line += 1
                    if raw.strip():
                        yield self._row(raw)
        except OSError as error:
            raise CommandError(f"cannot read {self._path}: {error.strerror}") from None
        self._is_over = True

    def _names(self) -> Iterator[Any]:
        while not self._is_over:
            yield self._name

    def _row(self, raw: bytes) -> Any:
        try:
            value = json.loads(raw.decode("utf-8-sig" if self._line == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise CommandError(f"{self.place} is not UTF-8 text (byte {error.start})") from None
        except json.JSONDecodeError as error:
            raise CommandError(f"{self.place} is not JSON: {error.msg}") from None
        if self._id_field is not None:
            self._name = self._picked(value, self._id_field)
            if isinstance(self._name, int) and not isinstance(self._name, bool):
                self._name = str(self._name)
        if self._kind == "embedding":
            return value if isinstance(value, str) else self._picked(value, self._field)
        if self._kind == "contextualized":
            return value if isinstance(value, list) else self._picked(value, "chunks")
        return self._picked(value, "query"), self._picked(value, "documents")

    def _picked(self, value: Any, field: str) -> Any:
        if not isinstance(value, dict) or field not in value:
            wanted = f"an object with {field!r}"
            if field != self._id_field:
                wanted = NEEDED[self._kind].format(field=self._field)
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


def is_free(path: Path, *, overwrite: bool) -> None:
    """Refuse to write where there is something.

    Raises:
        CommandError: There is.
    """
    if path != STDOUT and path.exists() and not overwrite:
        raise CommandError(f"{path} exists: name another file, or say --overwrite")


@contextmanager
def appearing(path: Path) -> Iterator[TextIO]:
    """A file that is there whole in the end, or not at all; stdout for `-`.

    Raises:
        CommandError: It cannot be written.
    """
    if path == STDOUT:
        yield sys.stdout
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()
