"""A file that ends early or is damaged stops a job, or is read up to the damage and reported."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bulk.conftest import Service
from bulk_inputs import embedded, expected, jsonl, parquet, rows_of
from fakes import failed, served
from voyage_rag import VoyageError
from voyage_rag.bulk import EmbeddingJob, JobError, JobReport
from voyage_rag.hosts.messages import Response

Embed = Callable[..., JobReport]
COUNT = 1_200
DAMAGED = [f"b-{n}" for n in range(COUNT)]
FIRST, LAST = rows_of(3), [("last", "the last text")]


def table(names: list[str]) -> Any:
    return pa.table({"id": names, "text": [f"text of {name}" for name in names]})


def contents(names: list[str]) -> dict[str, bytes]:
    """The content of a file of each format."""
    lines = [json.dumps({"id": name, "text": f"text of {name}"}) for name in names]
    rows = "".join(f"{line}\n" for line in lines).encode()
    delimited = "id,text\n" + "".join(f"{name},text of {name}\n" for name in names)
    arrow = pa.BufferOutputStream()
    with pa.ipc.new_stream(arrow, table(names).schema) as stream:
        stream.write_table(table(names), max_chunksize=100)
    return {
        "jsonl.gz": gzip.compress(rows),
        "jsonl.bz2": bz2.compress(rows, 1),
        "jsonl.xz": lzma.compress(rows),
        "jsonl.zst": pa.compress(rows, "zstd", asbytes=True),
        "csv.gz": gzip.compress(delimited.encode()),
        "json": f"[{','.join(lines)}]".encode(),
        "arrow": arrow.getvalue().to_pybytes(),
    }


def shards(folder: Path, form: str, damaged: bytes) -> list[Path]:
    """A file, one that is damaged, and another one."""
    for name, rows in (("a", FIRST), ("c", LAST)):
        content = contents([name for name, _ in rows])[form]
        (folder / f"{name}.{form}").write_bytes(content)
    (folder / f"b.{form}").write_bytes(damaged)
    return [folder / f"{name}.{form}" for name in "abc"]


def ids(output: Path) -> list[str]:
    return [name for name, _ in embedded(output)]


@pytest.mark.parametrize("form", contents(["a"]))
def test_what_precedes_the_damage_is_embedded_and_the_rest_is_reported(
    form: str, embed: Embed, service: Service, tmp_path: Path
) -> None:
    """Files before and after it are complete."""
    whole = contents(DAMAGED)[form]
    files = shards(tmp_path, form, whole[: len(whole) * 2 // 3])

    with pytest.raises(JobError, match=r"b\..*on_error='skip'"):
        embed(files)
    assert service.attempts == []

    report = embed(files, on_error="skip", rows_per_part=500)
    found = ids(tmp_path / "out.parquet")
    assert found[:3] + found[-1:] == ["doc-0", "doc-1", "doc-2", "last"]
    assert found[3:-1] == DAMAGED[: len(found) - 4]
    assert (report.damaged, report.refused, report.texts) == (1, 1, len(found))
    assert report.refused_file is not None
    refused = json.loads(report.refused_file.read_text())
    assert refused["file"] == f"b.{form}"
    assert "cannot be read: " in refused["reason"]
    again = embed(files, on_error="skip", rows_per_part=500)
    assert (again.was_finished, again.damaged) == (True, 1)


def test_a_file_without_a_readable_beginning_is_left_out(
    embed: Embed, tmp_path: Path, service: Service
) -> None:
    """A Parquet file that is cut off has no columns."""
    parquet(tmp_path / "a.parquet", FIRST)
    whole = parquet(tmp_path / "b.parquet", rows_of(100)).read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:-50])
    parquet(tmp_path / "c.parquet", LAST)
    files = [tmp_path / f"{name}.parquet" for name in "abc"]

    with pytest.raises(JobError, match=r"b\.parquet.*on_error='skip'"):
        embed(files)
    report = embed(files, on_error="skip", keep="all")

    assert ids(tmp_path / "out.parquet") == ["doc-0", "doc-1", "doc-2", "last"]
    assert (report.damaged, report.refused) == (1, 1)
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "c.parquet").unlink()
    with pytest.raises(JobError, match="cannot be read as Parquet"):
        embed(tmp_path / "b.parquet", "other.parquet", on_error="skip")


@pytest.mark.parametrize("form", ["jsonl.gz", "arrow", "csv.gz", "parquet"])
def test_a_job_resumes_in_a_damaged_file(
    form: str, embed: Embed, service: Service, tmp_path: Path
) -> None:
    """The output is that of a job that was not interrupted."""
    if form == "parquet":  # damaged in the middle: chunks that are read span row groups
        path = parquet(tmp_path / "b.parquet", rows_of(2_700), group=100)
        content = bytearray(path.read_bytes())
        at = content.index(b"doc-2500")
        content[at - 100 : at + 300] = b"\xff" * 400
        path.write_bytes(content)
        files = [path, parquet(tmp_path / "c.parquet", LAST)]
    else:
        whole = contents(DAMAGED)[form]
        files = shards(tmp_path, form, whole[: len(whole) * 2 // 3])
    report = embed(files, "whole", on_error="skip", rows_per_part=300)
    assert 300 < report.texts < 2_700

    left = len(service.attempts) // 2

    def fails_later(body: bytes) -> Response:
        nonlocal left
        left -= 1
        return served(body) if left > 0 else failed(403)

    service.always = fails_later
    with pytest.raises(VoyageError):
        embed(files, "resumed", on_error="skip", rows_per_part=300)
    service.always = served
    resumed = embed(files, "resumed", on_error="skip", rows_per_part=300)

    assert (resumed.damaged, resumed.refused, resumed.tokens) == (1, 1, report.tokens)
    assert embedded(tmp_path / "resumed") == embedded(tmp_path / "whole")


def test_an_estimate_counts_damaged_files(embed: Embed, tmp_path: Path) -> None:
    """And what the run would embed."""
    jsonl(tmp_path / "a.jsonl", FIRST)
    (tmp_path / "b.jsonl.gz").write_bytes(contents(DAMAGED)["jsonl.gz"][:-9])
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"]

    options: dict[str, Any] = {"model": "voyage-4", "on_error": "skip"}
    estimate = EmbeddingJob(files, tmp_path / "out.parquet", **options).estimate()
    report = embed(files, on_error="skip")

    assert (estimate.damaged, estimate.texts, estimate.refused) == (1, report.texts, 1)
    assert estimate.problems == ()
    assert embedded(tmp_path / "out.parquet")[:3] == expected(FIRST)
