"""A text that occurs several times in an input is paid for once, however far apart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk.conftest import Service
from bulk_inputs import embedded, expected, jsonl, parquet
from fakes import MODEL, failed, served, voyage_over
from voyage_rag import AuthenticationError
from voyage_rag.bulk import EmbeddingJob, JobReport, repeats
from voyage_rag.core import text_stream

Embed = Callable[..., JobReport]

TEXTS = [f"text {number % 40}" for number in random.Random(1).sample(range(160), 120)]
ROWS = [(f"id-{number}", text) for number, text in enumerate(TEXTS)]


@pytest.fixture(autouse=True)
def _streams_forget_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is recognised here is recognised by the job."""
    monkeypatch.setattr(text_stream, "RECENT_TEXTS", 0)


@pytest.mark.parametrize("batch_size", [1, 8, None])
def test_every_different_text_is_paid_once(
    embed: Embed, service: Service, tmp_path: Path, batch_size: int | None
) -> None:
    report = embed(parquet(tmp_path / "in.parquet", ROWS), batch_size=batch_size)

    assert embedded(tmp_path / "out.parquet") == expected(ROWS)
    assert set(service.paid.values()) == {1}
    assert report.texts == len(ROWS)
    assert report.tokens == sum(map(len, set(TEXTS)))
    assert report.requests == len(service.bodies)
    assert not (tmp_path / "out.parquet.job").exists() or "repeats" not in str(
        list((tmp_path / "out.parquet.job").rglob("*"))
    )


def test_texts_with_equal_hashes_are_not_merged(
    embed: Embed, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voyage_rag.bulk.scan.hash", lambda text: 7, raising=False)

    embed(parquet(tmp_path / "in.parquet", ROWS))

    assert embedded(tmp_path / "out.parquet") == expected(ROWS)
    assert set(service.paid.values()) == {1}


def test_memory_has_a_bound_beyond_which_texts_are_sent_again(
    embed: Embed, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MAX_TEXTS", 5)

    embed(parquet(tmp_path / "in.parquet", ROWS))

    assert embedded(tmp_path / "out.parquet") == expected(ROWS)
    counts = Counter(service.paid.values())
    assert counts[1] >= 5
    assert max(counts) > 1


@pytest.mark.parametrize("answered", [1, 3, 7])
def test_a_job_that_was_killed_pays_a_text_once_more_at_most(
    embed: Embed, service: Service, tmp_path: Path, answered: int
) -> None:
    source = parquet(tmp_path / "in.parquet", ROWS)
    first = Service(*[served] * answered, always=lambda body: failed(401))
    options = {"model": MODEL, "rows_per_part": 10, "batch_size": 4}
    with pytest.raises(AuthenticationError):
        EmbeddingJob(source, tmp_path / "out.parquet", **options).run(
            voyage_over(first, concurrency=1)
        )

    embed(source, batch_size=4)

    assert embedded(tmp_path / "out.parquet") == expected(ROWS)
    assert set(service.paid.values()) == {1}


def test_a_text_that_is_refused_is_left_out_wherever_it_is(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    bad = TEXTS[3]
    service.always = lambda body: failed(400) if f'"{bad}"'.encode() in body else served(body)

    report = embed(jsonl(tmp_path / "in.jsonl", ROWS), on_error="skip", batch_size=8)

    good = [row for row in ROWS if row[1] != bad]
    assert embedded(tmp_path / "out.parquet") == expected(good)
    assert report.refused == len(ROWS) - len(good)


def test_an_input_without_repetitions_has_no_file_of_them(tmp_path: Path) -> None:
    path = tmp_path / "repeats"
    repeats.write_repeated(repeats.array("q", [3, 1, 2]), path)
    assert not path.exists()
    assert not repeats.RepeatedTexts(path)
    repeats.write_repeated(repeats.array("q", [3, 1, 3, 2, 1]), path)
    assert len(repeats.RepeatedTexts(path)) == 2
