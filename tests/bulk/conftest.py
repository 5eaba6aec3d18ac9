"""Inputs, and a service in memory that counts its requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Runner
from fakes import MODEL, FakeService, voyage_over
from voyage_rag import Voyage
from voyage_rag.bulk import EmbeddingJob, JobReport


class Service(FakeService):
    """A service in memory."""

    @property
    def paid(self) -> Counter[str]:
        """How often each text was sent."""
        return Counter(text for body in self.bodies for text in body["input"])


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def voyage(service: Service) -> Voyage:
    return voyage_over(service)


@pytest.fixture
def embed(runner: Runner, voyage: Voyage, tmp_path: Path) -> Callable[..., JobReport]:
    """Run a job, with the model of the tests and small parts by default."""

    def run(source: Path, output: str = "out.parquet", **options: Any) -> JobReport:
        chosen = {"model": MODEL, "rows_per_part": 10, "batch_size": 32} | options
        job = EmbeddingJob(source, tmp_path / output, **chosen)
        report: JobReport = runner.call(job, "run", voyage)
        return report

    return run
