"""Inputs of bulk jobs, and their expected outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from fakes import vector_of

Rows: TypeAlias = Sequence[tuple[Any, Any]]


def rows_of(count: int) -> list[tuple[str, str]]:
    return [(f"doc-{n}", f"text number {n}") for n in range(count)]


def jsonl(path: Path, rows: Rows) -> Path:
    """A file of objects."""
    lines = (json.dumps({"id": name, "text": text}) for name, text in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def parquet(path: Path, rows: Rows, group: int = 7) -> Path:
    """A file of small row groups."""
    table = pa.table({"id": [row[0] for row in rows], "text": [row[1] for row in rows]})
    pq.write_table(table, path, row_group_size=group)
    return path


def embedded(path: Path) -> list[tuple[Any, list[float]]]:
    """The ids and vectors of a Parquet output."""
    table = pq.read_table(path)
    return list(zip(table["id"].to_pylist(), table["embedding"].to_pylist(), strict=True))


def expected(rows: Rows) -> list[tuple[Any, list[float]]]:
    """The expected result of the test service."""
    return [(name, vector_of(text)) for name, text in rows]
