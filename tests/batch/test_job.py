"""A job from its inputs to its results, over several batches, sync and async."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from batch.conftest import OPTIONS, SMALL, World
from voyage_rag import InvalidInputError, Timeout
from voyage_rag.batch import BatchJob, BatchLimits, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    Texts = Callable[[int], list[str]]


def test_a_job_from_beginning_to_end(begun: World, texts: Texts) -> None:
    """Ten texts in three batches, two at a time; vectors in the order of the texts."""
    looks: list[JobStatus] = []

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        assert begun.created == 2  # there is no room for the third
        assert begun.left() == [
            "corpus.job",
            "corpus.job.parts",
            "corpus.job.parts/part-0002.jsonl",
        ]
        status = await begun.ask(job, "status")
        assert (status.state, status.inputs, status.batches) == ("running", 10, 3)
        assert (status.pending, status.ended, status.completed) == (1, 0, 0)
        done = await begun.ask(job, "wait", on_progress=looks.append)
        assert (done.state, done.completed, done.failed) == ("ended", 10, 0)
        assert set(done.statuses.values()) == {"completed"}
        found = await begun.results(job)
        assert [result.index for result in found] == list(range(10))
        assert [result.custom_id for result in found] == [str(n) for n in range(10)]
        assert all(result.failure is None for result in found)
        expected = await begun.runner.ask(begun.voyage, "embed", texts(10), **OPTIONS)
        for result, vector in zip(found, expected.embeddings, strict=True):
            assert list(result.vector) == pytest.approx(vector, abs=1e-6)
        assert sum(result.total_tokens for result in found) == expected.total_tokens
        assert begun.left() == ["corpus.job"]

    begun.runner.run(program)
    counts = [look.completed for look in looks]
    assert counts == sorted(counts)
    assert counts[-1] == 10
    assert begun.created == 3
    assert len(begun.asked("POST", "/v1/files")) == 3


def test_each_batch_keeps_the_limits(begun: World, texts: Texts) -> None:
    """The first limit of inputs, bytes or tokens that is reached ends a batch."""
    line = len(b'{"custom_id":"0","body":{"input":["text number 0"]}}\n')
    for limits, sizes in (
        (BatchLimits(inputs=3), [3, 3, 3, 1]),
        (BatchLimits(file_bytes=2 * line), [2, 2, 2, 2, 2]),
        (BatchLimits(tokens=24), [4, 4, 2]),
    ):

        async def program(limits: BatchLimits = limits, sizes: list[int] = sizes) -> None:
            job = await begun.submit(texts(10), limits=limits)
            await begun.ask(job, "wait")
            assert [r.failure for r in await begun.results(job)] == [None] * 10
            listed = await begun.runner.ask(begun.voyage.batches, "list", limit=len(sizes))
            assert [batch.total for batch in listed[::-1]] == sizes

        begun.runner.run(program)
        begun.path.unlink()


def test_tokens_in_flight_are_limited(begun: World, texts: Texts) -> None:
    """A batch is not created until its tokens fit into the limit."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=BatchLimits(inputs=4, tokens=50))
        status = await begun.ask(job, "status")
        assert (status.batches, status.pending) == (3, 1)
        assert (await begun.ask(job, "wait")).completed == 10

    begun.runner.run(program)


def test_documents_and_their_chunks(begun: World) -> None:
    """One vector per chunk."""
    documents = [["one fish", "two fish"], ["red fish"], "blue fish"]
    options = {"model": "voyage-context-4", "output_dimension": 256}

    async def program() -> None:
        job = await begun.submit(documents, **options)
        await begun.ask(job, "wait")
        found = await begun.results(job)
        assert [len(result.vectors) for result in found] == [2, 1, 1]
        expected = await begun.runner.ask(
            begun.voyage, "contextualized_embed", [*documents[:2], ["blue fish"]],
            input_type="document", **options,
        )  # fmt: skip
        for result, document in zip(found, expected.results, strict=True):
            for mine, theirs in zip(result.vectors, document.embeddings, strict=True):
                assert list(mine) == pytest.approx(theirs, abs=1e-6)

    begun.runner.run(program)


def test_queries_and_their_documents(begun: World) -> None:
    """A ranking for each, with the documents' texts."""
    pairs = [("red fish", ["one fish", "red fish", "two"]), ("two", ["one fish", "two fish"])]

    async def program() -> None:
        options: Any = {"input_type": None, "output_dimension": None}
        job = await begun.submit(pairs, model="rerank-3", top_k=1, **options)
        await begun.ask(job, "wait")
        found = await begun.results(job)
        for result, (query, documents) in zip(found, pairs, strict=True):
            expected = await begun.runner.ask(
                begun.voyage, "rerank", query, documents, "rerank-3", top_k=1
            )
            assert list(result.ranking) == expected.results
            assert result.vectors == ()
            assert result.total_tokens == expected.total_tokens

    begun.runner.run(program)


def test_number_types(begun: World, texts: Texts) -> None:
    """Vectors have the requested number type."""

    async def program() -> None:
        job = await begun.submit(texts(2), output_dtype="ubinary")
        await begun.ask(job, "wait")
        for result in await begun.results(job):
            assert (result.vector.typecode, len(result.vector)) == ("B", 32)

    begun.runner.run(program)


def test_custom_ids(begun: World, texts: Texts) -> None:
    """They are sent unchanged, and returned."""

    async def program() -> None:
        names = ["zebra", "ünïcode", 'quo"te']
        job = await begun.submit(texts(3), custom_ids=iter(names))
        await begun.ask(job, "wait")
        assert [result.custom_id for result in await begun.results(job)] == names

    begun.runner.run(program)


def test_another_process_resumes_the_job(begun: World, texts: Texts) -> None:
    """With the state file only."""

    async def program() -> None:
        await begun.submit(texts(10), limits=BatchLimits(inputs=4))
        other = begun.opened()
        assert (await begun.ask(other, "wait")).completed == 10
        assert len(await begun.results(begun.opened())) == 10

    begun.runner.run(program)
    assert begun.created == 3


def test_a_wait_can_time_out(begun: World, texts: Texts) -> None:
    """The known state is kept."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        with pytest.raises(Timeout, match="of 10 inputs are done after 100 s, 0 of 3 batches"):
            await begun.ask(job, "wait", timeout=100)
        assert (await begun.ask(job, "wait")).completed == 10

    begun.runner.run(program)


def test_nothing_that_reveals_a_text_or_a_key_is_kept(begun: World, texts: Texts) -> None:
    """The state file is small and private, and contains ids and counts."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        spooled = begun.path.with_name("corpus.job.parts") / "part-0002.jsonl"
        for path in (begun.path, spooled):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(spooled.parent.stat().st_mode) == 0o700
        await begun.ask(job, "wait")
        kept = begun.path.read_text()
        assert "text number" not in kept
        assert "secret" not in kept
        assert len(kept) < 3_000
        assert "secret" not in repr(job)

    begun.runner.run(program)


def test_files_can_be_deleted(begun: World, texts: Texts) -> None:
    """Inputs and outputs, even if some are already deleted."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=BatchLimits(inputs=4))
        await begun.ask(job, "wait")
        listed = await begun.runner.ask(begun.voyage.files, "list")
        await begun.runner.ask(begun.voyage.files, "delete", listed[0].id)
        assert await begun.ask(job, "delete_files") == 5
        assert await begun.runner.ask(begun.voyage.files, "list") == []

    begun.runner.run(program)


def test_files_of_running_batches_are_not_deleted(begun: World, texts: Texts) -> None:
    """Nor those of batches that are not created yet; a cancelled job has ended."""

    async def program() -> None:
        job = await begun.submit(texts(10), limits=SMALL)
        with pytest.raises(InvalidInputError, match=r"3 of 3 batches of .* have not ended"):
            await begun.ask(job, "delete_files")
        assert len(await begun.runner.ask(begun.voyage.files, "list")) == 2
        assert len(begun.asked("POST", "/v1/files/delete")) == 0
        await begun.ask(job, "cancel")
        await begun.ask(job, "wait")
        await begun.ask(job, "delete_files")
        assert await begun.runner.ask(begun.voyage.files, "list") == []

    begun.runner.run(program)


def test_an_estimate_sends_and_writes_nothing(begun: World, texts: Texts) -> None:
    """It has inputs, a conservative number of tokens, batches and dollars."""
    estimate = BatchJob.estimate(texts(10), model="voyage-4", limits=SMALL)
    assert (estimate.inputs, estimate.batches) == (10, 3)
    assert 30 <= estimate.tokens <= 80
    assert estimate.dollars == pytest.approx(estimate.tokens * 0.06e-6 * 0.67)
    assert BatchJob.estimate(texts(1), model="voyage-of-tests").dollars is None
    assert begun.left() == []
    assert begun.emulator.requests == []


def test_jobs_are_not_for_everything(begun: World) -> None:
    """Images have no batches, and gateways have none."""

    async def program() -> None:
        with pytest.raises(InvalidInputError, match=r"use Voyage\.multimodal_embed"):
            await begun.submit(["a"], model="voyage-multimodal-3.5")
        assert begun.left() == []

    begun.runner.run(program)
