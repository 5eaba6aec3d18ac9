"""The price of a job is the same in all classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from voyage_rag.batch import BatchJob
from voyage_rag.bulk import EmbeddingJob
from voyage_rag.models import MODELS


def test_both_batch_estimates_are_the_same(tmp_path: Path) -> None:
    """A third less than in real time."""
    texts = [f"passage number {n} " * 50 for n in range(100)]
    source = tmp_path / "in.txt"
    source.write_text("\n".join(texts))

    files = [
        EmbeddingJob(source, tmp_path / "out", model="voyage-4", engine=engine).estimate().dollars
        for engine in ("batch", "realtime")
    ]
    batch = BatchJob.estimate([text.rstrip() for text in texts], model="voyage-4").dollars

    assert files[0] is not None
    assert files[1] is not None
    assert batch == pytest.approx(files[0][1], rel=0.01)
    assert files[0][1] == pytest.approx(0.67 * files[1][1])


def test_a_model_without_a_price_has_none() -> None:
    """On either engine."""
    unpriced = replace(MODELS["voyage-4"], price=None)

    assert unpriced.cost(1_000_000) is unpriced.cost(1_000_000, engine="batch") is None
