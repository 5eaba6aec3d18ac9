"""`voyage.batches`: created once, watched, and their lines in the order of the input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from fakes import KEY, FakeClock
from voyage_rag import (
    Batch,
    InvalidInputError,
    Timeout,
    Voyage,
)
from voyage_rag.emulator import Emulator, faults

LIFE = {"batch_validating": 10, "batch_running": 600, "batch_ending": 10}
PARAMS = {"model": "voyage-4", "input_type": "document", "output_dimension": 256}
HALF_A_DAY = 43_200


@pytest.fixture
def emulate(clock: FakeClock) -> Iterator[Callable[..., tuple[Voyage, Emulator]]]:
    """Return an emulator and a client, both with the clock of the tests."""
    with ExitStack() as exits:

        def start(**options: Any) -> tuple[Voyage, Emulator]:
            emulator = Emulator(**{"clock": clock.now, **LIFE, **options})
            exits.enter_context(emulator)
            voyage = Voyage(KEY, base_url=emulator.url, clock=clock)
            exits.callback(voyage.close)
            return voyage, emulator

        yield start


def lines(count: int) -> list[dict[str, Any]]:
    return [
        {"custom_id": f"line {number}", "body": {"input": [f"text number {number}"]}}
        for number in range(count)
    ]


def written(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in content), "utf-8")
    return path


async def created(runner, voyage: Voyage, path: Path, **params: Any) -> Batch:
    file = await runner.ask(voyage.files, "upload", path)
    return await runner.ask(
        voyage.batches, "create", "/v1/embeddings", file.id, PARAMS | params, {"mine": "yes"}
    )


async def collected(runner, voyage: Voyage, batch_id: str) -> list[Any]:
    if runner.is_sync:
        return list(voyage.batches.results(batch_id))
    return [line async for line in voyage.batches.aresults(batch_id)]


def creations(emulator: Emulator) -> int:
    return sum((r.method, r.path) == ("POST", "/v1/batches") for r in emulator.requests)


def test_a_batch_from_beginning_to_end(runner, emulate, clock: FakeClock, tmp_path: Path) -> None:
    """Created, watched with rising counts, and its lines in the order of the input."""
    voyage, emulator = emulate()
    content = lines(100)
    looks: list[Batch] = []

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", content))
        assert (batch.status, batch.model, batch.has_ended) == ("validating", "voyage-4", False)
        assert batch.metadata["mine"] == "yes"
        with pytest.raises(InvalidInputError, match="wait for it first"):
            await collected(runner, voyage, batch.id)
        done = await runner.ask(voyage.batches, "wait", batch.id, on_progress=looks.append)
        assert (done.status, done.total, done.completed, done.failed) == ("completed", 100, 100, 0)
        assert done.created_at <= done.in_progress_at <= done.completed_at
        assert await runner.ask(voyage.batches, "get", batch.id) == done
        found = await collected(runner, voyage, batch.id)
        assert [line.custom_id for line in found] == [line["custom_id"] for line in content]
        assert [line.input for line in found] == [line["body"] for line in content]
        assert all(line.failure is None for line in found)
        vectors = await runner.ask(voyage, "embed", ["text number 7"], **PARAMS)
        assert found[7].body["data"][0]["embedding"] == pytest.approx(
            vectors.embeddings[0], abs=1e-6
        )
        output = (await runner.ask(voyage.files, "content", done.output_file_id)).splitlines()
        assert [json.loads(line)["custom_id"] for line in output] != [
            line.custom_id for line in found
        ]

    runner.run(program)
    counts = [look.completed for look in looks]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert creations(emulator) == 1


def test_polls_are_frequent_at_first_and_rare_later(runner, emulate, clock, tmp_path: Path) -> None:
    """Half a day takes one request per minute, not per second."""
    voyage, emulator = emulate(batch_running=2 * 3_600)

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", lines(2)))
        await runner.ask(voyage.batches, "wait", batch.id)

    runner.run(program)
    assert clock.sleeps[0] == pytest.approx(2)
    assert clock.sleeps == sorted(clock.sleeps)
    assert max(clock.sleeps) == pytest.approx(60)
    assert len(emulator.requests) < 135


def test_a_wait_can_time_out(runner, emulate, clock: FakeClock, tmp_path: Path) -> None:
    """The wait ends on time; the batch continues."""
    voyage, _ = emulate()

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", lines(10)))
        begun = clock.now()
        with pytest.raises(Timeout, match="in_progress after 100 s"):
            await runner.ask(voyage.batches, "wait", batch.id, timeout=100)
        assert clock.now() - begun == pytest.approx(100)
        done = await runner.ask(voyage.batches, "wait", batch.id, timeout=1_000)
        assert done.status == "completed"

    runner.run(program)


def test_a_wait_is_cancelled_at_once(emulate, tmp_path: Path) -> None:
    """In its sleep."""

    async def program(backend: str) -> None:
        with Emulator() as url:
            async with Voyage(KEY, base_url=url) as voyage:
                file = await voyage.files.aupload(written(tmp_path / "input", lines(1)))
                batch = await voyage.batches.acreate("/v1/embeddings", file.id, PARAMS)
                looked = anyio.Event()

                async def watch() -> None:
                    await voyage.batches.await_(batch.id, on_progress=lambda _: looked.set())

                with anyio.fail_after(1.5):  # the next look is two seconds away
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(watch)
                        await looked.wait()
                        tasks.cancel_scope.cancel()

    for backend in ("asyncio", "trio"):
        anyio.run(program, backend, backend=backend)


# ── created once ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trouble", [faults.DROPPED, faults.CUT_OFF, faults.TRUNCATED], ids=str)
def test_a_lost_response_creates_no_second_batch(runner, emulate, trouble, tmp_path: Path) -> None:
    """The batch is looked up and found."""
    voyage, emulator = emulate(faults=[None, trouble])

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", lines(1)))
        assert [b.id for b in await runner.ask(voyage.batches, "list")] == [batch.id]

    runner.run(program)
    assert creations(emulator) == 1


# ── what becomes of lines ─────────────────────────────────────────────────────────────────────────


def test_failed_lines_come_with_their_input(runner, emulate, tmp_path: Path) -> None:
    """In input order; rejections differ from temporary failures."""
    voyage, _ = emulate(failing_lines=["line 2"])
    content = lines(4)
    content[1]["body"] = {"input": ["word " * 5_000]}

    async def program() -> None:
        path = written(tmp_path / "input", content)
        file = await runner.ask(voyage.files, "upload", path)
        params = {"model": "voyage-2", "truncation": False}
        batch = await runner.ask(voyage.batches, "create", "/v1/embeddings", file.id, params)
        done = await runner.ask(voyage.batches, "wait", batch.id)
        assert (done.completed, done.failed) == (2, 2)
        found = await collected(runner, voyage, batch.id)
        assert [line.failure is None for line in found] == [True, False, False, True]
        refused, failure = found[1].failure, found[2].failure
        assert (refused.status, refused.is_refused) == (400, True)
        assert "context window" in refused.message
        assert refused.input == content[1]["body"]
        assert (failure.status, failure.is_refused) == (500, False)

    runner.run(program)


def test_an_expired_batch_keeps_what_it_has(runner, emulate, tmp_path: Path) -> None:
    """Lines that were not reached say so."""
    voyage, _ = emulate(batch_running=2 * HALF_A_DAY)

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", lines(10)))
        done = await runner.ask(voyage.batches, "wait", batch.id, poll_interval=3_600)
        found = await collected(runner, voyage, done.id)
        codes = [line.failure and line.failure.code for line in found]
        assert codes.count(None) == done.completed == 4
        assert codes.count("batch_expired") == 6

    runner.run(program)


def test_a_cancelled_batch_keeps_what_it_has(runner, emulate, clock, tmp_path: Path) -> None:
    """Lines that are in no file count as unfinished."""
    voyage, _ = emulate()

    async def program() -> None:
        batch = await created(runner, voyage, written(tmp_path / "input", lines(10)))
        clock.advance(310)
        assert (await runner.ask(voyage.batches, "cancel", batch.id)).status == "cancelling"
        done = await runner.ask(voyage.batches, "wait", batch.id)
        assert (done.status, done.completed) == ("cancelled", 5)
        found = await collected(runner, voyage, batch.id)
        codes = [line.failure and line.failure.code for line in found]
        assert (codes.count(None), codes.count("unfinished")) == (5, 5)

    runner.run(program)


def test_a_failed_batch_names_its_faults(runner, emulate, tmp_path: Path) -> None:
    """By line; each of its lines is unfinished."""
    voyage, _ = emulate()

    async def program() -> None:
        path = written(tmp_path / "input", [*lines(2), lines(1)[0]])
        batch = await created(runner, voyage, path)
        done = await runner.ask(voyage.batches, "wait", batch.id)
        assert done.status == "failed"
        assert [(fault.line, fault.param) for fault in done.faults] == [(3, "custom_id")]
        found = await collected(runner, voyage, batch.id)
        assert {line.failure.code for line in found} == {"unfinished"}

    runner.run(program)


def test_a_list_of_batches(runner, emulate, tmp_path: Path, monkeypatch: Any) -> None:
    """However many pages it takes."""
    monkeypatch.setattr("voyage_rag.core.jobs.batches.PAGE_SIZE", 2)
    voyage, _ = emulate()

    async def program() -> None:
        path = written(tmp_path / "input", lines(1))
        ids = [(await created(runner, voyage, path)).id for _ in range(3)]
        assert [b.id for b in await runner.ask(voyage.batches, "list")] == ids[::-1]
        assert [b.id for b in await runner.ask(voyage.batches, "list", limit=1)] == ids[2:]

    runner.run(program)
