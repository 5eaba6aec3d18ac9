"""Paths of objects, and lists that take several pages."""

from __future__ import annotations

import pytest

from fakes import FakeService, ok, voyage_over


def test_an_id_cannot_lead_elsewhere(runner) -> None:
    """It is one part of a path."""
    service = FakeService(ok({"id": "f", "deleted": True}))
    runner.call(voyage_over(service).files, "delete", "../batches?x")
    assert service.attempts[0].request.path == "/files/..%2Fbatches%3Fx"


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 1]), (None, [100, 100, 100])])
def test_a_list_asks_for_no_more_than_is_left(runner, limit: int | None, sizes: list[int]) -> None:
    """After the last id of the page before."""
    pages = [["a", "b"], ["c"], []]
    service = FakeService(
        *[ok({"data": [batch(id_) for id_ in page], "has_more": bool(page)}) for page in pages]
    )
    found = runner.call(voyage_over(service).batches, "list", limit=limit)
    assert [one.id for one in found] == ["a", "b", "c"]
    paths = [attempt.request.path for attempt in service.attempts]
    after = ["", "&after=b", "&after=c"]
    assert paths == [f"/batches?limit={size}{after[page]}" for page, size in enumerate(sizes)]


def batch(id_: str) -> dict[str, str]:
    return {"id": id_, "status": "completed", "input_file_id": "f"}
