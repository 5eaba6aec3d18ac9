"""Requests about files and batches: what is repeated, and how long each may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes import FakeService, failed, ok, voyage_over


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "input.jsonl").write_bytes(b"{}\n")
    return tmp_path / "input.jsonl"


def test_a_wrong_key_is_not_tried_twice(runner) -> None:
    """As everywhere."""
    service = FakeService(failed(401))
    with pytest.raises(Exception, match="VOYAGE_API_KEY"):
        runner.call(voyage_over(service).files, "list")
    assert len(service.attempts) == 1


def test_an_upload_is_given_time(runner, path: Path) -> None:
    """The service may take a while with a large file; to give up would be to send it again."""
    service = FakeService(always=lambda _: ok({"id": "f"}))
    voyage = voyage_over(service, timeout=5, max_retries=0)
    runner.call(voyage.files, "upload", path)
    runner.call(voyage.files, "get", "f")
    assert [attempt.timeout for attempt in service.attempts] == [600, 5]


@pytest.mark.parametrize("answer", [[], {}, {"id": ""}, {"id": 7}])
def test_an_answer_without_an_id_is_asked_for_again(runner, answer: Any) -> None:
    """And is refused in the end."""
    service = FakeService(ok(answer), ok({"id": "f"}))
    assert runner.call(voyage_over(service).files, "get", "f").id == "f"
