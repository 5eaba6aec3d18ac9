"""A job that was killed, or whose responses were lost, resumes; no batch is created twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from batch.conftest import OPTIONS, SMALL, World
from fakes import FakeClock, FakeService, failed, ok, voyage_over
from voyage_rag import (
    APIConnectionError,
    InvalidInputError,
    InvalidRequestError,
    QuotaExhaustedError,
    Voyage,
)
from voyage_rag.batch import BatchJob, BatchLimits
from voyage_rag.batch.workflow import FULL_SECONDS, MAX_CREATION_SECONDS
from voyage_rag.emulator import Emulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    Texts = Callable[[int], list[str]]


ONE_BY_ONE = BatchLimits(inputs=2, batches=1)


class Killed(BaseException):
    """Simulates the end of a process."""


class Mortal:
    """A transport that is killed at a request, before it is sent or before its response is read."""

    def __init__(self, transport: Any, dies_at: int, *, after: bool) -> None:
        self._transport, self._left, self._after = transport, dies_at, after
        self.http_client = self.async_http_client = None

    def send(self, attempt: Any, abort: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Killed
        answer = self._transport.send(attempt, abort)
        if self._left < 0:
            raise Killed
        return answer

    def close(self) -> None:
        self._transport.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_job_may_be_killed_at_every_request(
    after: bool, clock: FakeClock, tmp_path: Path, texts: Texts
) -> None:
    """After submitting again, there are two batches and all results."""
    life = {"batch_validating": 0, "batch_running": 3, "batch_ending": 0}
    kills = 0
    with Emulator(clock=clock.now, **life) as url:
        while True:
            path, key = tmp_path / f"{kills}.job", f"pa-{after}-{kills}"

            def work_on(voyage: Voyage, path: Path = path) -> list[Any]:
                with voyage:
                    job = BatchJob.submit(voyage, texts(3), path, **OPTIONS, limits=ONE_BY_ONE)
                    assert job.wait().completed == 3
                    return list(job.results())

            voyage = Voyage(key, base_url=url, clock=clock)
            voyage.driver.sender = Mortal(voyage.driver.sender, kills, after=after)  # type: ignore[assignment]
            try:
                work_on(voyage)
            except Killed:
                kills += 1
            else:
                break
            try:
                found = work_on(Voyage(key, base_url=url, clock=clock))
            except APIConnectionError:  # its batch may still appear
                clock.advance(MAX_CREATION_SECONDS)
                found = work_on(Voyage(key, base_url=url, clock=clock))
            assert [result.custom_id for result in found] == [str(n) for n in range(3)]
            assert not [result for result in found if result.failure]
            with Voyage(key, base_url=url, clock=clock) as other:
                assert len(other.batches.list()) == 2
                assert len(other.files.list(purpose="batch")) == 2
    assert kills > 10


def test_a_process_that_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """SIGKILL at the moment when its batch is created, before the response."""
    program = """
        import sys
        from voyage_rag import Voyage
        from voyage_rag.batch import BatchJob

        voyage = Voyage("pa-any", base_url=sys.argv[1])
        BatchJob.submit(voyage, ["a"], sys.argv[2], model="voyage-4")
    """
    emulator = Emulator(faults=[None, faults.SILENT], batch_speed=1_000)
    with emulator as url:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), url, str(tmp_path / "a.job")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        while not [r for r in emulator.requests[1:] if r.answered_at is not None]:
            assert child.poll() is None
            sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with Voyage("pa-any", base_url=url) as voyage:
            job = BatchJob.submit(voyage, ["a"], tmp_path / "a.job", model="voyage-4")
            assert len(voyage.batches.list()) == 1
            job.wait(poll_interval=0.01)
            assert [result.failure for result in job.results()] == [None]


def test_ctrl_c_ends_a_wait_and_not_the_job(tmp_path: Path) -> None:
    """It ends within a minute-long request, immediately and in one line. The job is unchanged."""
    emulator = Emulator(faults=[None, None, faults.SILENT])
    with emulator as url, Voyage("pa-any", base_url=url) as voyage:
        job = BatchJob.submit(voyage, ["a"], tmp_path / "a.job", model="voyage-4")
        with subprocess.Popen(
            [sys.executable, "-m", "voyage_rag", "batch", "wait", str(tmp_path / "a.job")],
            env={**os.environ, "VOYAGE_API_KEY": "pa-any", "VOYAGE_BASE_URL": url},
            stderr=subprocess.PIPE,
        ) as child:
            while not [r for r in emulator.requests[2:] if r.answered_at is not None]:
                assert child.poll() is None
                sleep(0.01)
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=10)
        assert child.returncode == 130
        assert said.startswith(b"voyage-rag: stopped waiting; the job continues: ")
        assert [path.name for path in tmp_path.iterdir()] == ["a.job"]
        assert job.status().state == "running"
        assert len(voyage.batches.list()) == 1


def test_a_batch_that_the_service_does_not_know_is_explained(tmp_path: Path) -> None:
    """The key belongs to another account, or the batch was deleted. It is not created again."""
    path = tmp_path / "a.job"
    with Emulator() as url, Voyage("pa-one", base_url=url) as voyage:
        BatchJob.submit(voyage, ["a"], path, model="voyage-4")
        with Voyage("pa-other", base_url=url) as other:
            with pytest.raises(InvalidInputError, match=r"does not know .*delete '.*a\.job'"):
                BatchJob.submit(other, ["a"], path, model="voyage-4").wait()
            assert other.batches.list() == []


@pytest.mark.parametrize("trouble", [faults.DROPPED, faults.CUT_OFF])
def test_a_lost_response_creates_no_second_batch(world: World, trouble: Any, texts: Texts) -> None:
    """The batch is looked up and found."""
    world.start(faults=[None, trouble])

    async def program() -> None:
        job = await world.submit(texts(3))
        assert (await world.ask(job, "wait")).completed == 3

    world.runner.run(program)
    assert world.created == 1


def test_what_is_not_found_is_created_when_it_is_sure(world: World, texts: Texts) -> None:
    """After a 503, a batch may exist; ten minutes later it is known that it does not."""
    world.start(faults=[None, faults.status(503)])

    async def program() -> None:
        with pytest.raises(APIConnectionError, match="it is unknown whether the batch was created"):
            await world.submit(texts(3))
        with pytest.raises(APIConnectionError, match="may still appear within 5"):
            await world.submit(texts(3))
        assert world.created == 1
        world.clock.advance(MAX_CREATION_SECONDS)
        job = await world.submit(texts(3))
        assert world.created == 2
        assert (await world.ask(job, "wait")).completed == 3
        assert len(await world.runner.ask(world.voyage.batches, "list")) == 1

    world.runner.run(program)


def test_waiting_resolves_an_uncertain_batch(world: World, texts: Texts) -> None:
    """Other batches continue."""
    world.start(faults=[None, None, None, faults.status(503)])

    async def program() -> None:
        with pytest.raises(APIConnectionError, match="known"):
            await world.submit(texts(8), limits=BatchLimits(inputs=4))
        job = world.opened()
        assert (await world.ask(job, "wait")).completed == 8
        assert len(await world.runner.ask(world.voyage.batches, "list")) == 2

    world.runner.run(program)


def test_cancelling_an_uncertain_batch_is_reported(world: World, texts: Texts) -> None:
    """The others are cancelled."""
    world.start(faults=[None, None, None, faults.status(503)])

    async def program() -> None:
        with pytest.raises(APIConnectionError, match="known"):
            await world.submit(texts(8), limits=BatchLimits(inputs=4))
        job = world.opened()
        with pytest.raises(APIConnectionError, match="known"):
            await world.ask(job, "cancel")
        (batch,) = await world.runner.ask(world.voyage.batches, "list")
        assert batch.status == "cancelling"
        world.clock.advance(MAX_CREATION_SECONDS)
        status = await world.ask(job, "cancel")
        assert (status.pending, world.created) == (0, 2)

    world.runner.run(program)


def test_a_refused_batch_is_forgotten(begun: World, texts: Texts) -> None:
    """A 400 creates nothing, so the request is sent again when it can succeed."""

    async def program() -> None:
        with pytest.raises(Exception, match="is not supported"):
            await begun.submit(texts(3), model="voyage-of-nobody")
        with pytest.raises(Exception, match="is not supported"):
            await begun.submit(texts(3), model="voyage-of-nobody")

    begun.runner.run(program)
    assert begun.created == 2
    assert len(begun.asked("POST", "/v1/files")) == 1


# ── room ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_429_waits_until_the_limits_allow_a_batch(world: World, texts: Texts) -> None:
    """The account may have one batch at a time. The job waits for its end without requests."""
    world.start(batches_in_flight=1)

    async def program() -> None:
        job = await world.submit(texts(12), limits=BatchLimits(inputs=4))
        assert (await world.ask(job, "status")).pending == 2
        assert (await world.ask(job, "wait")).completed == 12

    world.runner.run(program)
    statuses = [r.status for r in world.asked("POST", "/v1/batches")]
    assert statuses == [200, 429, 200, 429, 200]


def test_a_file_that_was_deleted_before_its_batch_is_uploaded_again(
    world: World, texts: Texts
) -> None:
    """While the account had no capacity for its batch, files were cleaned up at the service."""
    world.start(batches_in_flight=1)

    async def program() -> None:
        job = await world.submit(texts(8), limits=BatchLimits(inputs=4))
        for file in world.voyage.files.list(purpose="batch"):
            world.voyage.files.delete(file.id)
        with pytest.raises(InvalidRequestError, match="not found"):
            await world.ask(job, "wait")
        assert (await world.ask(job, "wait")).completed == 8

    world.runner.run(program)
    assert len(world.asked("POST", "/v1/files")) == 3


def test_no_batch_is_created_for_half_an_hour_after_a_429(world: World, texts: Texts) -> None:
    """Other jobs may use up the limit (docs: "Batch Inference")."""
    world.start(batches_in_flight=1, batch_running=2 * FULL_SECONDS)

    async def program() -> None:
        other = BatchJob
        await world.runner.ask(
            other, "submit", world.voyage, texts(1), world.path.with_name("other"), **OPTIONS
        )
        job = await world.submit(texts(4))
        assert (await world.ask(job, "status")).state == "pending"
        begun, asked = world.clock.now(), world.created
        assert (await world.ask(job, "wait")).completed == 4
        assert world.clock.now() - begun > 2 * FULL_SECONDS
        assert world.created - asked < 6

    world.runner.run(program)


def test_an_account_without_balance_is_an_error(runner, tmp_path: Path) -> None:
    """Waiting would not help."""

    def answer(body: bytes) -> Any:
        return failed(429, "insufficient balance") if body else ok({"id": "f"})

    voyage = voyage_over(FakeService(always=answer))
    with pytest.raises(QuotaExhaustedError):
        runner.call(BatchJob, "submit", voyage, ["a"], tmp_path / "a.job", model="voyage-4")


# ── failures ──────────────────────────────────────────────────────────────────────────────────────


def test_failed_inputs_are_submitted_again(world: World, texts: Texts) -> None:
    """Those that may succeed, in a batch of the same job. The order of results is kept."""
    world.start(failing_lines=["1", "6", "7"])
    inputs = texts(10)
    inputs[4] = "word " * 5_000
    options: Any = {"model": "voyage-2", "truncation": False, "output_dimension": None}

    async def program() -> None:
        job = await world.submit(inputs, limits=BatchLimits(inputs=4), **options)
        done = await world.ask(job, "wait")
        assert (done.completed, done.failed) == (6, 4)
        failures = {r.index: r.failure for r in await world.results(job) if r.failure}
        assert sorted(failures) == [1, 4, 6, 7]
        assert failures[1].input == {"input": [inputs[1]]}
        assert [i for i, failure in failures.items() if failure.is_refused] == [4]

        assert await world.ask(job, "resubmit") == 3
        status = await world.ask(job, "status")
        assert (status.state, status.inputs, status.failed, status.batches) == ("running", 10, 1, 5)
        done = await world.ask(world.opened(), "wait")
        assert (done.completed, done.failed) == (9, 1)
        found = await world.results(world.opened())
        assert [result.index for result in found] == list(range(10))
        assert [result.index for result in found if result.failure] == [4]
        asked = [texts(10)[n] for n in (1, 6)]
        expected = await world.runner.ask(
            world.voyage, "embed", asked, "voyage-2", input_type="document"
        )
        for index, vector in zip((1, 6), expected.embeddings, strict=True):
            assert list(found[index].vector) == pytest.approx(vector, abs=1e-6)

        assert await world.ask(job, "resubmit") == 0
        assert await world.ask(job, "resubmit", include_refused=True) == 1
        assert (await world.ask(job, "wait")).failed == 1

    world.runner.run(program)


def test_an_expired_batch_is_finished_by_another(world: World, texts: Texts) -> None:
    """Results that were finished in time are not requested again."""
    world.start(batch_running=60_000)

    async def program() -> None:
        job = await world.submit(texts(10))
        done = await world.ask(job, "wait", poll_interval=3_600)
        assert (done.completed, done.failed) == (7, 3)
        codes = {r.failure.code for r in await world.results(job) if r.failure}
        assert codes == {"batch_expired"}
        assert await world.ask(job, "resubmit") == 3
        await world.ask(job, "wait", poll_interval=3_600)
        lines = [len(r.failure.input) for r in await world.results(job) if r.failure]
        assert len(lines) == 1  # two more were done in the second half day

    world.runner.run(program)


def test_a_cancelled_job_keeps_what_it_has(begun: World, texts: Texts) -> None:
    """Finished results are kept, pending batches are not created, and all can be resumed."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        begun.clock.advance(310)
        status = await begun.ask(job, "cancel")
        assert (status.state, status.pending, status.ended) == ("running", 0, 1)
        done = await begun.ask(job, "wait")
        assert (done.state, done.completed, done.failed) == ("ended", 4, 6)
        assert begun.created == 2
        found = await begun.results(job)
        codes = [result.failure and result.failure.code for result in found]
        assert (codes.count(None), codes.count("unfinished")) == (4, 6)
        assert [r.failure.input for r in found[8:]] == [{"input": [t]} for t in texts(10)[8:]]
        assert await begun.ask(job, "resubmit") == 6
        assert (await begun.ask(job, "wait")).completed == 10
        assert [r.failure for r in await begun.results(job)] == [None] * 10

    begun.runner.run(program)


def test_what_has_ended_is_not_cancelled(begun: World, texts: Texts) -> None:
    """A batch that is being finalised is left alone."""

    async def program() -> None:
        job = await begun.submit(texts(4))
        begun.clock.advance(612)
        assert set((await begun.ask(job, "cancel")).statuses.values()) == {"finalizing"}
        assert (await begun.ask(job, "wait")).completed == 4
        assert (await begun.ask(job, "cancel")).completed == 4

    begun.runner.run(program)


def test_results_of_a_running_job_are_unfinished(begun: World, texts: Texts) -> None:
    """Results of batches that have ended are available."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=BatchLimits(inputs=4, batches=1))
        begun.clock.advance(630)
        await begun.ask(job, "status")
        found = await begun.results(job)
        assert [result.failure is None for result in found] == [True] * 4 + [False] * 6
        assert await begun.ask(job, "resubmit") == 0

    begun.runner.run(program)


# ── the disk ──────────────────────────────────────────────────────────────────────────────────────


def test_lost_lines_are_written_again(begun: World, texts: Texts) -> None:
    """By any process that submits the same inputs."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        spool = begun.path.with_name("corpus.job.parts")
        (spool / "part-0002.jsonl").unlink()
        spool.rmdir()
        with pytest.raises(InvalidInputError, match="submit the job again with the same inputs"):
            await begun.ask(job, "wait")
        job = await begun.submit(texts(10), limits=SMALL)
        assert (await begun.ask(job, "wait")).completed == 10

    begun.runner.run(program)
    assert begun.created == 3


def test_a_full_disk_leaves_nothing(begun: World, texts: Texts, monkeypatch: Any) -> None:
    """Neither a job nor a part of its lines."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def program() -> None:
        with monkeypatch.context() as patched:
            patched.setattr("voyage_rag.batch.submission.OpenPart.add", full)
            with pytest.raises(OSError, match="No space left"):
                await begun.submit(texts(10))
        assert begun.left() == []
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            with pytest.raises(OSError, match="No space left"):
                await begun.submit(texts(10))
        assert begun.emulator.requests == []
        job = await begun.submit(texts(10))
        assert (await begun.ask(job, "wait")).completed == 10

    begun.runner.run(program)


def test_memory_does_not_grow_with_the_inputs(tmp_path: Path) -> None:
    """Four thousand texts of four kilobytes, in less than four megabytes."""
    voyage = voyage_over(FakeService(always=lambda _: failed(401)))
    texts = (f"{number} " + "x" * 4_000 for number in range(4_000))
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match="VOYAGE_API_KEY"):
            BatchJob.submit(voyage, texts, tmp_path / "a.job", model="voyage-4")
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a.job.parts" / "part-0000.jsonl").stat().st_size > 16_000_000
