"""Rows that are not embedded: recorded during the job, and written to a side file at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from heapq import merge
from itertools import count
from pathlib import Path
from typing import Any

from voyage_rag.bulk.job_folder import JobFolder
from voyage_rag.jobs.files import atomic_write
from voyage_rag.jobs.inputs import InputReader, Row


def refused_line(position: int, row: Row, reason: str) -> str:
    """Return the line of a row for the side file. `position` counts all rows, good or bad."""
    entry = {
        "position": position,
        "file": row.file,
        "row": row.number,
        "id": row.id,
        "reason": reason,
        "text": row.text,
    }
    return json.dumps(entry, default=str) + "\n"


def read_refused(file: Path) -> Iterator[dict[str, Any]]:
    """Return the rows of a side file in their order; empty if it does not exist."""
    if not file.exists():
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def rows_to_embed(reader: InputReader, refused_file: Path, skip: int) -> Iterator[Row]:
    """Yield the rows that can be embedded, without the first `skip` of them."""
    refused = (entry["position"] for entry in read_refused(refused_file))
    position, coming = skip, next(refused, None)
    while coming is not None and coming <= position:
        position += 1
        coming = next(refused, None)
    for row in reader.rows(position):
        if position == coming:
            coming = next(refused, None)
        else:
            yield row
        position += 1


def free_side_file(output: Path) -> Path:
    """Return an unused path next to the output, so that no existing file is overwritten."""
    for number in count(1):
        suffix = ".refused.jsonl" if number == 1 else f".refused-{number}.jsonl"
        path = output.with_name(output.name + suffix)
        if not path.exists():
            break
    return path


def write_side_file(path: Path, reader: InputReader, folder: JobFolder) -> int:
    """Write the rejected rows in the order of the input, and return their number."""
    files = {file.label: number for number, file in enumerate(reader.files)}

    def place(entry: dict[str, Any]) -> tuple[int, int]:
        return files.get(entry["file"], 0), entry["row"]

    later = {entry["position"]: entry for entry in read_refused(folder.refused_later)}
    entries = merge(
        read_refused(folder.refused_at_scan), sorted(later.values(), key=place), key=place
    )
    written = 0
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as side:
        for entry in entries:
            written += 1
            del entry["position"]
            side.write(json.dumps(entry) + "\n")
    return written
