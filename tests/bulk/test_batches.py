"""A whole file through the batch engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bulk_inputs import jsonl, rows_of
from conftest import Runner
from fakes import KEY, FakeClock
from voyage_rag import Voyage
from voyage_rag.bulk import EmbeddingJob, JobError, JobProgress, JobReport
from voyage_rag.emulator import Emulator

ROWS = rows_of(60)
LIFE = {"batch_validating": 10, "batch_running": 600, "batch_ending": 10}


@pytest.fixture
def emulator(clock: FakeClock) -> Iterator[Emulator]:
    emulator = Emulator(clock=clock.now, **LIFE)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture
def voyage(emulator: Emulator, clock: FakeClock) -> Iterator[Voyage]:
    with Voyage(KEY, base_url=emulator.url, clock=clock) as voyage:
        yield voyage


@pytest.fixture
def embed(runner: Runner, voyage: Voyage, tmp_path: Path) -> Callable[..., JobReport]:
    def run(source: Path, output: str, **options: Any) -> JobReport:
        chosen = {"model": "voyage-4", "output_dimension": 256, "rows_per_part": 16} | options
        reported = chosen.pop("on_progress", None)
        job = EmbeddingJob(source, tmp_path / output, **chosen)
        report: JobReport = runner.call(job, "run", voyage, on_progress=reported)
        return report

    return run


def created(emulator: Emulator) -> int:
    return sum((r.method, r.path) == ("POST", "/v1/batches") for r in emulator.requests)


def test_the_vectors_are_those_of_the_other_engine(
    embed: Callable[..., JobReport], emulator: Emulator, tmp_path: Path
) -> None:
    """In one batch. The output is the same, and costs 33 percent less."""
    source = jsonl(tmp_path / "in.jsonl", ROWS)
    reported: list[JobProgress] = []

    report = embed(source, "batch.parquet", engine="batch", on_progress=reported.append)
    other = embed(source, "realtime.parquet")

    mine, others = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("batch", "realtime"))
    assert mine["id"].to_pylist() == others["id"].to_pylist() == [name for name, _ in ROWS]
    vectors = [table["embedding"].combine_chunks().flatten().to_numpy() for table in (mine, others)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-6  # sums differ with the size of a request
    assert created(emulator) == 1
    assert report.tokens == other.tokens
    assert report.dollars is not None
    assert other.dollars is not None
    assert report.dollars == pytest.approx(other.dollars * 0.67)
    done = [progress.done for progress in reported if progress.stage == "waiting"]
    assert (done[0], done[-1]) == (0, 60)
    assert done == sorted(done)


def test_a_job_that_was_interrupted_waits_for_the_same_batch(
    embed: Callable[..., JobReport], emulator: Emulator, tmp_path: Path
) -> None:
    """At any moment. The batch is not created twice."""
    source = jsonl(tmp_path / "in.jsonl", ROWS)

    class Interrupted(Exception):  # noqa: N818 - as Ctrl-C
        pass

    for stage in ("waiting", "embedding"):
        looks = 0

        def interrupt(progress: JobProgress, stage: str = stage) -> None:
            nonlocal looks
            looks += progress.stage == stage and bool(created(emulator))
            if looks == 2:
                raise Interrupted

        with pytest.raises(BaseException) as caught:  # noqa: PT011 - bare or in a group
            embed(source, "out.parquet", engine="batch", on_progress=interrupt)
        assert "Interrupted" in repr(caught.value)
    report = embed(source, "out.parquet", engine="batch")

    assert created(emulator) == 1
    assert report.texts == 60
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [n for n, _ in ROWS]


def test_a_row_that_the_engine_refuses_is_named_or_left_out(
    embed: Callable[..., JobReport], tmp_path: Path
) -> None:
    """As with the other engine."""
    long = "word " * 40_000
    source = jsonl(tmp_path / "in.jsonl", [*ROWS[:5], ("long", long), *ROWS[5:]])
    options = {"engine": "batch", "truncation": False}

    with pytest.raises(JobError, match=r"rejected line 6 of in\.jsonl"):
        embed(source, "out.parquet", **options)
    report = embed(source, "out.parquet", **options, on_error="skip")

    assert (report.texts, report.refused) == (60, 1)
    assert report.refused_file is not None
    assert json.loads(report.refused_file.read_text())["id"] == "long"
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [n for n, _ in ROWS]
