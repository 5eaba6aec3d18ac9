"""`voyage.files`: uploading, listing, downloading and deleting, sync and async."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import KEY, FakeClock, FakeService, voyage_over
from voyage_rag import APIConnectionError, InvalidInputError, InvalidRequestError, Voyage
from voyage_rag.emulator import Emulator, faults

LINE = b'{"custom_id": "a", "body": {"input": ["x"]}}\n'


@pytest.fixture
def emulator(clock: FakeClock) -> Iterator[Emulator]:
    with (emulator := Emulator(clock=clock.now)):
        yield emulator


@pytest.fixture
def voyage(emulator: Emulator, clock: FakeClock) -> Voyage:
    return Voyage(KEY, base_url=emulator.url, clock=clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "input.jsonl").write_bytes(LINE * 3)
    return tmp_path / "input.jsonl"


def test_a_file_is_uploaded_and_downloaded(runner, voyage: Voyage, path: Path) -> None:
    """Unchanged, in memory or on disk, without temporary files."""

    async def program() -> None:
        file = await runner.ask(voyage.files, "upload", path)
        assert (file.bytes, file.filename, file.purpose) == (len(LINE * 3), "input.jsonl", "batch")
        assert file.created_at < file.expires_at
        assert await runner.ask(voyage.files, "get", file.id) == file
        assert await runner.ask(voyage.files, "content", file.id) == LINE * 3
        saved = await runner.ask(voyage.files, "download", file.id, path.with_name("saved"))
        assert saved.read_bytes() == LINE * 3
        assert sorted(item.name for item in path.parent.iterdir()) == ["input.jsonl", "saved"]
        assert await runner.ask(voyage.files, "delete", file.id) is True
        with pytest.raises(InvalidRequestError) as caught:
            await runner.ask(voyage.files, "get", file.id)
        assert caught.value.http_status == 404

    runner.run(program)
    voyage.close()


def test_a_list_is_complete(runner, voyage: Voyage, path: Path, monkeypatch: Any) -> None:
    """The newest first, from as many pages as necessary, or as many as requested."""
    monkeypatch.setattr("voyage_rag.core.jobs.files.PAGE_SIZE", 2)

    async def program() -> None:
        ids = [(await runner.ask(voyage.files, "upload", path)).id for _ in range(5)]
        found = await runner.ask(voyage.files, "list")
        assert [file.id for file in found] == ids[::-1]
        some = await runner.ask(voyage.files, "list", purpose="batch", limit=3)
        assert [file.id for file in some] == ids[:1:-1]
        assert await runner.ask(voyage.files, "list", purpose="batch-output") == []

    runner.run(program)
    voyage.close()


@pytest.mark.parametrize(
    ("verb", "arguments", "named"),
    [
        ("upload", ["/no/such/file"], "cannot read '/no/such/file'"),
        ("upload", ["/"], "cannot read '/'"),
        ("upload", ["/dev/null"], "is empty"),
        ("get", [""], "id of files"),
        ("get", [None], "id of files"),
        ("delete", [7], "id of files"),
    ],
)
def test_bad_arguments_send_nothing(runner, verb: str, arguments: list[Any], named: str) -> None:
    """They are named."""
    service = FakeService()
    with pytest.raises(InvalidInputError, match=named):
        runner.call(voyage_over(service).files, verb, *arguments)
    assert service.attempts == []


def test_a_list_refuses_bad_arguments(runner) -> None:
    """An unknown purpose, a limit below one."""
    voyage = voyage_over(FakeService())
    for wrong in ({"purpose": "fun"}, {"limit": 0}):
        with pytest.raises(InvalidInputError):
            runner.call(voyage.files, "list", **wrong)


def test_a_gateway_without_files_is_known(runner) -> None:
    """Nothing is sent to it."""
    voyage = voyage_over(FakeService(), base_url="https://api.aimlapi.com/v1")
    with pytest.raises(InvalidInputError, match="use the Voyage API for /files"):
        runner.call(voyage.files, "list")


def test_a_temporary_failure_is_retried(runner, clock: FakeClock, path: Path) -> None:
    """Lost, truncated or unavailable: uploads and downloads are complete in the end."""
    troubles = [faults.DROPPED, faults.status(503), None, faults.CUT_OFF, faults.status(429)]
    with Emulator(clock=clock.now, faults=troubles) as url:
        voyage = Voyage(KEY, base_url=url, clock=clock)

        async def program() -> None:
            file = await runner.ask(voyage.files, "upload", path)
            saved = await runner.ask(voyage.files, "download", file.id, path.with_name("saved"))
            assert saved.read_bytes() == LINE * 3

        runner.run(program)
        voyage.close()
    assert len(clock.sleeps) == 4


def test_a_download_that_fails_leaves_nothing(runner, clock: FakeClock, path: Path) -> None:
    """Neither the file nor a part of it."""
    with Emulator(clock=clock.now, faults=[None, *[faults.CUT_OFF] * 2]) as url:
        voyage = Voyage(KEY, base_url=url, clock=clock, max_retries=1)

        async def program() -> None:
            file = await runner.ask(voyage.files, "upload", path)
            with pytest.raises(APIConnectionError):
                await runner.ask(voyage.files, "download", file.id, path.with_name("saved"))

        runner.run(program)
        voyage.close()
    assert [item.name for item in path.parent.iterdir()] == ["input.jsonl"]
