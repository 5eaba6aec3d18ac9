"""A full disk is detected before anything is sent if possible, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulk.conftest import Service
from bulk_inputs import embedded, expected, parquet, rows_of
from conftest import Runner
from fakes import MODEL, failed, voyage_over
from voyage_rag import AuthenticationError
from voyage_rag.bulk import EmbeddingJob, JobError
from voyage_rag.bulk.journal import Journal, read_totals

ROWS = rows_of(95)
OPTIONS: dict[str, Any] = {"model": MODEL, "rows_per_part": 10, "batch_size": 5}


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Limit the size of files: the system rejects a larger one as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_cannot_hold_the_output_is_found_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the required and the free space."""
    usage = shutil_usage(free=300_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    source, service = parquet(tmp_path / "in.parquet", ROWS), Service()
    job = EmbeddingJob(source, tmp_path / "out.parquet", model="voyage-4")

    with pytest.raises(
        JobError, match=r"300\.0 kB free, but the job needs 793\.8 kB: .*nothing was sent"
    ):
        job.run(voyage_over(service))

    assert service.attempts == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]


@pytest.mark.parametrize(
    ("output", "length_bytes", "journals"),
    [("out.parquet", 4, 95), ("out", 4, 20), ("out.npy", 4, 95), ("out.jsonl", 13, 95)],
)
def test_the_space_needed_is_that_of_the_format(
    output: str,
    length_bytes: int,
    journals: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """JSON takes three times as much; a folder keeps few vectors twice, other outputs all."""
    needed = int(1.02 * 1024 * (4 * journals + length_bytes * len(ROWS)))
    source, service = parquet(tmp_path / "in.parquet", ROWS), Service(always=lambda _: failed(401))
    job = EmbeddingJob(source, tmp_path / output, model="voyage-4", rows_per_part=10)

    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil_usage(free=needed - 2))
    with pytest.raises(JobError, match="B free, but the job needs"):
        job.run(voyage_over(service))
    assert service.attempts == []

    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil_usage(free=needed + 2))
    with pytest.raises(AuthenticationError):  # it begins
        job.run(voyage_over(service))


def shutil_usage(free: int) -> Any:
    return type("Usage", (), {"free": free})


def test_room_for_a_part_is_taken_before_anything_of_it_is_sent(tmp_path: Path) -> None:
    """So that results that were paid for can be stored."""
    source, service = parquet(tmp_path / "in.parquet", ROWS), Service()
    job = EmbeddingJob(source, tmp_path / "out.parquet", model="voyage-4")

    with (
        files_up_to(100_000),
        pytest.raises(JobError, match="is full: free some space and run the job"),
    ):
        job.run(voyage_over(service))

    assert service.attempts == []


@pytest.mark.parametrize("output", ["out.parquet", "out"])
@pytest.mark.parametrize("after", [0, 3, 9, 17])
def test_a_disk_that_fills_up_costs_no_more_than_what_is_in_flight(
    after: int,
    output: str,
    runner: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stored results are not paid for again."""
    source, service = parquet(tmp_path / "in.parquet", ROWS), Service()
    real, stored = os.pwrite, 0

    def filling_up(*arguments: Any) -> int:
        nonlocal stored
        if stored == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        stored += 1
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", filling_up)
    job = EmbeddingJob(source, tmp_path / output, **OPTIONS)
    with pytest.raises(JobError, match=r"is full: free some space and run the job again; finished"):
        runner.call(job, "run", voyage_over(service, concurrency=2))
    monkeypatch.undo()
    assert not (tmp_path / output).exists()
    runner.call(job, "run", voyage_over(service, concurrency=2))

    assert sum(service.paid.values()) - len(ROWS) <= 2 * 5
    assert embedded(tmp_path / output) == expected(ROWS)


def test_an_output_that_does_not_fit_costs_nothing(tmp_path: Path) -> None:
    """The results are still in the journal."""
    source, service = tmp_path / "in.txt", Service()
    source.write_text("".join(f"{text}\n" for _, text in ROWS))
    job = EmbeddingJob(source, tmp_path / "out.jsonl", **OPTIONS)

    with files_up_to(3_000), pytest.raises(JobError, match="is full"):
        job.run(voyage_over(service))
    job.run(voyage_over(service))

    assert sum(service.paid.values()) <= len(ROWS) + 5
    assert (tmp_path / "out.jsonl").read_text().count("\n") == len(ROWS)


def test_a_partial_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write less than requested."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, bytes(data)[:7], at))
    journal = Journal(tmp_path / "journal", 0)
    journal.add(3, 2, 9, b"12345678")
    journal.close()

    again = Journal(tmp_path / "journal", 0)

    assert [(r.first, r.count, r.tokens) for r in again.records] == [(3, 2, 9)]
    assert [bytes(piece) for piece in again.vectors(100)] == [b"12345678"]
    assert read_totals(tmp_path / "journal") == (2, 9, 1, False)
    again.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_journal_that_is_damaged_ends_before_the_damage(cut: int, tmp_path: Path) -> None:
    """Truncated or overwritten. Earlier records remain valid, and new ones follow them."""
    path = tmp_path / "journal"
    journal = Journal(path, 0)
    journal.add(0, 1, 5, b"first---")
    end = path.stat().st_size
    journal.add(1, 1, 5, b"second--" * 4)
    journal.close()
    whole = path.read_bytes()

    for damaged in (
        whole[: end + cut],
        whole[: end + cut] + bytes([whole[end + cut] ^ 1]) + whole[end + cut + 1 :],
    ):
        path.write_bytes(damaged)
        again = Journal(path, 0)
        assert [record.first for record in again.records] == [0]
        again.add(7, 1, 5, b"third---")
        again.close()
        once_more = Journal(path, 0)
        assert [bytes(piece) for piece in once_more.vectors(8)] == [b"first---", b"third---"]
        once_more.close()
