"""Shared by the tests of jobs: an emulator and a client with a simulated clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import KEY, FakeClock
from voyage_rag import Voyage
from voyage_rag.batch import BatchJob, BatchLimits, BatchResult
from voyage_rag.emulator import Emulator

if TYPE_CHECKING:
    from conftest import Runner

LIFE = {"batch_validating": 10, "batch_running": 600, "batch_ending": 10}
OPTIONS = {"model": "voyage-4", "input_type": "document", "output_dimension": 256}
SMALL = BatchLimits(inputs=4, batches=2)
"""Ten texts are three batches, of which two may run at once."""


class World:
    """An emulator, and what a test does with it."""

    def __init__(self, runner: Runner, clock: FakeClock, directory: Path, exits: ExitStack) -> None:
        self.runner, self.clock = runner, clock
        self.path = directory / "corpus.job"
        self._exits = exits

    def start(self, **options: Any) -> None:
        """Start an emulator with these options."""
        self.emulator = Emulator(**{"clock": self.clock.now, **LIFE, **options})
        self._exits.enter_context(self.emulator)
        self.voyage = self.another_voyage()

    def another_voyage(self, **options: Any) -> Voyage:
        """Return a client as in another process."""
        voyage = Voyage(KEY, base_url=self.emulator.url, clock=self.clock, **options)
        self._exits.callback(voyage.close)
        return voyage

    async def submit(self, inputs: Any, **options: Any) -> BatchJob:
        """Submit a job."""
        return await self.runner.ask(
            BatchJob, "submit", self.voyage, inputs, self.path, **OPTIONS | options
        )

    def opened(self) -> BatchJob:
        """Open the job as another process would."""
        return BatchJob.open(self.another_voyage(), self.path)

    async def ask(self, job: BatchJob, verb: str, **options: Any) -> Any:
        """Call a method of the job."""
        return await self.runner.ask(job, verb, **options)

    async def results(self, job: BatchJob) -> list[BatchResult]:
        """All results."""
        if self.runner.is_sync:
            return list(job.results())
        return [result async for result in job.aresults()]

    def asked(self, method: str, path: str) -> list[Any]:
        """Return the requests of this kind so far."""
        return [r for r in self.emulator.requests if (r.method, r.path) == (method, path)]

    @property
    def created(self) -> int:
        """Return the number of batches that were requested."""
        return len(self.asked("POST", "/v1/batches"))

    def left(self) -> list[str]:
        """Return the files on the disk."""
        return sorted(str(p.relative_to(self.path.parent)) for p in self.path.parent.rglob("*"))


@pytest.fixture
def world(runner: Runner, clock: FakeClock, tmp_path: Path) -> Iterator[World]:
    """Return a world without an emulator."""
    with ExitStack() as exits:
        yield World(runner, clock, tmp_path, exits)


@pytest.fixture
def begun(world: World) -> World:
    """Return a world with a running emulator without faults."""
    world.start()
    return world


@pytest.fixture
def texts() -> Callable[[int], list[str]]:
    return lambda count: [f"text number {number}" for number in range(count)]
