"""Equal texts of a batch share a line, and each input has its result."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batch.conftest import World
from voyage_rag import InvalidInputError
from voyage_rag.batch import BatchJob, BatchLimits, submission

TEXTS = ["a", "b", "a", "c", "b", "a", "d", "d", "e", "a"]


def lines(world: World) -> list[str]:
    """The texts of all lines of all files that were uploaded."""
    found = []
    for file in world.voyage.files.list(purpose="batch"):
        content = world.voyage.files.content(file.id)
        found += [json.loads(line)["body"]["input"][0] for line in content.splitlines()]
    return found


@pytest.mark.parametrize(
    ("limits", "sent"), [(BatchLimits(), "abcde"), (BatchLimits(inputs=2), "abcbadea")]
)
def test_each_text_is_a_line_of_its_batch_once(
    begun: World, limits: BatchLimits, sent: str
) -> None:
    """Ids, order and vectors are those of the inputs; the cost is that of the lines."""
    names = [f"name {n}" for n in range(len(TEXTS))]

    async def program() -> None:
        job = await begun.submit(TEXTS, limits=limits, custom_ids=names)
        done = await begun.ask(job, "wait")
        found = await begun.results(begun.opened())
        assert [result.custom_id for result in found] == names
        assert [result.index for result in found] == list(range(len(TEXTS)))
        expected = await begun.runner.ask(
            begun.voyage, "embed", TEXTS, "voyage-4", "document", output_dimension=256
        )
        for result, vector in zip(found, expected.embeddings, strict=True):
            assert list(result.vector) == pytest.approx(vector, abs=1e-6)
        assert sum(result.total_tokens > 0 for result in found) <= len(sent)
        assert (done.inputs, done.completed, done.failed) == (len(sent), len(sent), 0)

    begun.runner.run(program)
    assert sorted(lines(begun)) == sorted(sent)


def test_a_text_that_fails_fails_for_all_and_is_submitted_once_again(world: World) -> None:
    """The failure of the line applies to each input."""
    world.start(failing_lines=["1"])

    async def program() -> None:
        job = await world.submit(TEXTS)
        await world.ask(job, "wait")
        failed = [result.index for result in await world.results(job) if result.failure]
        assert failed == [1, 4]
        assert await world.ask(job, "resubmit") == 1
        await world.ask(job, "wait")
        found = await world.results(job)
        assert [result.failure for result in found] == [None] * len(TEXTS)
        assert list(found[1].vector) == list(found[4].vector) != list(found[0].vector)

    world.runner.run(program)


def test_other_names_of_equal_texts_are_another_job(begun: World) -> None:
    """Although the lines are the same."""

    async def program(names: list[str]) -> BatchJob:
        return await begun.submit(["a", "a"], custom_ids=names)

    begun.runner.run(lambda: program(["x", "y"]))
    begun.runner.run(lambda: program(["x", "y"]))
    with pytest.raises(InvalidInputError, match="was submitted with other inputs"):
        begun.runner.run(lambda: program(["x", "z"]))


def test_chunks_of_documents_are_never_compared(begun: World) -> None:
    """A chunk depends on its document, and a document on its chunks."""
    options: Any = {"model": "voyage-context-4"}

    async def program() -> None:
        job = await begun.submit([["a", "b"], ["a", "b"]], **options)
        assert (await begun.ask(job, "wait")).completed == 2

    begun.runner.run(program)


def test_memory_has_a_bound(begun: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that recurs after so many others has its own line."""
    monkeypatch.setattr(submission, "RECENT_TEXTS", 2)

    async def program() -> None:
        job = await begun.submit(TEXTS)
        assert (await begun.ask(job, "wait")).completed == 7
        assert len(await begun.results(job)) == len(TEXTS)

    begun.runner.run(program)
