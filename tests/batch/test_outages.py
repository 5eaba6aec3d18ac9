"""What a job does if the service, its files or the clock are not as expected."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from batch.conftest import SMALL, World
from voyage_rag import APIConnectionError, InvalidInputError, ServerError
from voyage_rag.batch.workflow import MAX_CREATION_SECONDS
from voyage_rag.emulator import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    Texts = Callable[[int], list[str]]

OUTAGE = [faults.status(503)] * 1_000
A_FEW_MINUTES = 300


@pytest.mark.parametrize("verb", ["status", "resubmit", "cancel", "delete_files"])
def test_commands_that_do_not_wait_report_an_outage_soon(
    world: World, texts: Texts, verb: str
) -> None:
    """Only `wait` continues for an hour: others run in cron jobs and web requests."""
    world.start(faults=[None, None, *OUTAGE])

    async def program() -> None:
        job = await world.submit(texts(4))
        begun = world.clock.now()
        with pytest.raises(ServerError):
            await world.ask(job, verb)
        assert world.clock.now() - begun < A_FEW_MINUTES

    world.runner.run(program)


def test_results_report_an_outage_soon(world: World, texts: Texts) -> None:
    """They ask for the status, too."""
    world.start(faults=[None, None, *OUTAGE])

    async def program() -> None:
        job = await world.submit(texts(4))
        begun = world.clock.now()
        with pytest.raises(ServerError):
            await world.results(job)
        assert world.clock.now() - begun < A_FEW_MINUTES

    world.runner.run(program)


@pytest.mark.parametrize("timeout", [0, 100, 200])
def test_an_outage_does_not_prolong_a_wait(world: World, texts: Texts, timeout: int) -> None:
    """A wait may last for one attempt longer than its timeout."""
    world.start(faults=[None, None, *OUTAGE])

    async def program() -> None:
        job = await world.submit(texts(4))
        begun = world.clock.now()
        with pytest.raises(ServerError):
            await world.ask(job, "wait", timeout=timeout)
        assert world.clock.now() - begun <= timeout + world.voyage.settings.timeout

    world.runner.run(program)


def test_missing_inputs_of_a_pending_batch_are_named(begun: World, texts: Texts) -> None:
    """The state file was copied to another machine without its folder."""

    async def program() -> None:
        job = await begun.submit(texts(12), limits=SMALL)
        shutil.rmtree(begun.path.with_name("corpus.job.parts"))
        with pytest.raises(InvalidInputError, match=r"part-0002.jsonl.* is missing: submit the"):
            await begun.results(job)
        await begun.submit(texts(12), limits=SMALL)
        assert len(await begun.results(job)) == 12

    begun.runner.run(program)


@pytest.mark.parametrize("purpose", ["batch", "batch-output"])
def test_files_that_the_service_has_deleted_are_named(
    begun: World, texts: Texts, purpose: str
) -> None:
    """It keeps them for 30 days."""

    async def program() -> None:
        job = await begun.submit(texts(4))
        await begun.ask(job, "wait")
        for file in begun.voyage.files.list(purpose=purpose):
            begun.voyage.files.delete(file.id)
        with pytest.raises(InvalidInputError, match=r"no longer has all files of batch 1 \(file-"):
            await begun.results(job)

    begun.runner.run(program)


def test_a_clock_that_was_set_back_does_not_block_a_job(world: World, texts: Texts) -> None:
    """A batch whose creation is unknown is created ten minutes later, not after a month."""
    world.start(faults=[None, faults.status(503)])

    async def program() -> None:
        with pytest.raises(APIConnectionError, match="unknown"):
            await world.submit(texts(3))
        world.clock.advance(-30 * 86_400)
        with pytest.raises(APIConnectionError, match="may still appear within 600 s"):
            await world.submit(texts(3))
        world.clock.advance(MAX_CREATION_SECONDS)
        job: Any = await world.submit(texts(3))
        assert (await world.ask(job, "wait")).completed == 3

    world.runner.run(program)
    assert world.created == 2
