"""Usage per object, block and model, in dollars, whichever thread does the work."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from fakes import KEY, MODEL, RERANKER, FakeService, failed, served, voyage_over
from voyage_rag import Usage, Voyage
from voyage_rag.errors import InvalidRequestError
from voyage_rag.models import MODELS
from voyage_rag.observe import UsageTracker, track_usage

NAMED = "rerank-3"


def test_a_block_counts_what_is_spent_in_it(runner) -> None:
    """Tokens and requests, by any client, per model; and stays readable after it."""
    one, other = voyage_over(FakeService()), voyage_over(FakeService())
    runner.call(one, "embed", ["not counted"], MODEL)

    async def program() -> UsageTracker:
        with track_usage() as usage:
            await runner.ask(one, "embed", ["ab", "c"], MODEL)
            assert (usage.total_tokens, usage.requests) == (3, 1)
            await runner.ask(other, "rerank", "q", ["abcd"], NAMED)
        await runner.ask(one, "embed", ["not counted either"], MODEL)
        return usage

    usage = runner.run(program)
    assert (usage.total_tokens, usage.requests) == (7, 2)
    assert {model: spent.total_tokens for model, spent in usage.by_model.items()} == {
        MODEL: 3,
        NAMED: 4,
    }


def test_every_request_of_a_pool_counts(runner) -> None:
    """Worker threads and tasks run in a copy of the block's context."""
    voyage = voyage_over(FakeService())

    async def program() -> UsageTracker:
        with track_usage() as usage:
            await runner.ask(voyage, "embed", [f"{n}" for n in range(40)], MODEL, batch_size=1)
        return usage

    assert runner.run(program).requests == 40


def test_usage_of_long_responses_is_counted(runner) -> None:
    """Async calls decode them in a thread."""
    voyage = voyage_over(FakeService())

    async def program() -> UsageTracker:
        with track_usage() as usage:
            await runner.ask(voyage, "embed", [f"{n}" for n in range(200)], MODEL)
        return usage

    assert runner.run(program).total_tokens == sum(len(f"{n}") for n in range(200))


def test_blocks_nest(runner) -> None:
    """The outer one counts what the inner one does."""
    voyage = voyage_over(FakeService())

    async def program() -> tuple[UsageTracker, UsageTracker]:
        with track_usage() as outer:
            await runner.ask(voyage, "embed", ["a"], MODEL)
            with track_usage() as inner:
                await runner.ask(voyage, "embed", ["bb"], MODEL)
            await runner.ask(voyage, "embed", ["cccc"], MODEL)
        return outer, inner

    outer, inner = runner.run(program)
    assert (outer.total_tokens, inner.total_tokens) == (7, 2)


def test_threads_do_not_get_mixed_up() -> None:
    """Each thread's block counts its own, though they share a client."""
    voyage, gate = voyage_over(FakeService()), threading.Barrier(8)

    def work(n: int) -> int:
        with track_usage() as usage:
            gate.wait(10)
            for _ in range(5):
                voyage.embed(["x" * n], MODEL)
        return usage.total_tokens

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(1, 9))) == [5 * n for n in range(1, 9)]
    assert voyage.usage.total_tokens == 5 * sum(range(1, 9))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_do_not_get_mixed_up(backend: str) -> None:
    """Each task's block counts its own; a block around them counts them all."""
    voyage = voyage_over(FakeService())
    counted: dict[int, int] = {}

    async def work(n: int) -> None:
        with track_usage() as usage:
            for _ in range(3):
                await voyage.aembed(["x" * n], MODEL)
        counted[n] = usage.total_tokens

    async def program() -> int:
        with track_usage() as around:
            async with anyio.create_task_group() as tasks:
                for n in range(1, 9):
                    tasks.start_soon(work, n)
        return around.total_tokens

    assert anyio.run(program, backend=backend) == 3 * sum(range(1, 9))
    assert counted == {n: 3 * n for n in range(1, 9)}


def test_threads_that_copy_the_context_count() -> None:
    """As asyncio.to_thread does; a bare thread starts with an empty context."""
    voyage = voyage_over(FakeService())

    async def program() -> UsageTracker:
        with track_usage() as usage:
            await asyncio.to_thread(voyage.embed, ["a"], MODEL)
            context = contextvars.copy_context()
            copied = threading.Thread(target=context.run, args=(voyage.embed, ["bb"], MODEL))
            for thread in (copied,):
                thread.start()
                thread.join()
        return usage

    assert asyncio.run(program()).total_tokens == 3


def test_what_was_paid_before_a_failure_counts(runner) -> None:
    """It was billed."""
    refused = failed(400, "no such thing")
    voyage = voyage_over(FakeService(served, refused), concurrency=1)

    async def program() -> UsageTracker:
        with track_usage() as usage, pytest.raises(InvalidRequestError):
            await runner.ask(voyage, "embed", ["a", "b"], MODEL, batch_size=1)
        return usage

    assert runner.run(program).total_tokens == 1


def test_a_stream_counts_where_it_is_consumed(runner) -> None:
    """Each of its requests in the block in which it was sent."""
    voyage = voyage_over(FakeService(), concurrency=1)

    async def program() -> UsageTracker:
        with track_usage() as usage:
            if runner.is_sync:
                list(voyage.embed_iter(["a", "b"], MODEL, batch_size=1))
            else:
                async for _ in voyage.aembed_iter(["a", "b"], MODEL, batch_size=1):
                    pass
        return usage

    assert runner.run(program).requests == 2


def test_a_block_may_end_in_another_context() -> None:
    """As the blocks of some generators do."""
    block = track_usage()
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)


def test_a_tracker_can_observe_one_client_or_all(runner) -> None:
    """The same sums, whatever the context."""
    tracker = UsageTracker()
    voyage = voyage_over(FakeService(), observers=[tracker])
    runner.call(voyage, "embed", ["ab", "c"], MODEL, batch_size=1)

    assert (tracker.usage, tracker.total_tokens) == (Usage(3, 2), 3)
    assert str(tracker) in repr(tracker)


def test_cached_vectors_cost_nothing(runner, tmp_path: Any) -> None:
    """They are not counted twice."""
    voyage = voyage_over(FakeService(), cache=tmp_path / "cache.sqlite")
    for _ in range(2):
        runner.call(voyage, "embed", ["a"], MODEL)
    assert (voyage.usage.total_tokens, voyage.usage.requests) == (1, 1)


# ── dollars ───────────────────────────────────────────────────────────────────────────────────────


def test_dollars_are_those_of_the_catalogue() -> None:
    """Each model at its own price."""
    usage = Usage(2_000_000, 3).of("voyage-4") + Usage(1_000_000, 1).of("rerank-3")

    assert usage.dollars == pytest.approx(2 * 0.06 + 0.05)
    assert usage.by_model["voyage-4"].dollars == pytest.approx(2 * 0.06)
    assert usage.unpriced == ()
    assert str(usage) == "3,000,000 tokens in 4 requests, $0.1700 at list"
    assert repr(usage) == "<Usage: 3,000,000 tokens in 4 requests, $0.1700 at list>"


def test_an_unknown_price_is_said() -> None:
    """And not counted as nothing."""
    usage = Usage(2_000_000, 1).of("voyage-4") + Usage(10, 1).of("voyage-next")

    assert usage.dollars is None
    assert usage.unpriced == ("voyage-next",)
    assert str(usage) == "2,000,010 tokens in 2 requests, an unknown price (of voyage-next) at list"
    assert Usage(5, 1).dollars is None


def test_an_empty_input_costs_nothing() -> None:
    """A price that is known."""
    assert (Usage().dollars, Usage().unpriced) == (0.0, ())


def test_pixels_have_a_price_of_their_own() -> None:
    """Text per token, media per pixel (docs: "Pricing"); unknown if a response does not say."""
    model = "voyage-multimodal-3.5"
    usage = Usage(1_000_000 + 357_142, 1, 1_000_000, 150_000_000, 50_000_000).of(model)

    assert usage.dollars == pytest.approx(0.12 + 0.2 * 0.60)
    assert Usage(70, 1).of(model).dollars is None
    assert {row.name for row in MODELS.values() if row.pixel_price} == {
        row.name for row in MODELS.values() if row.kind == "multimodal"
    }


def test_usage_adds_up_by_model() -> None:
    """In every other respect it is unchanged: equal by its sums, and picklable."""
    usage = sum((Usage(n, 1).of("ab"[n % 2]) for n in range(5)), Usage())

    assert usage == Usage(10, 5)
    assert usage.by_model == {"a": Usage(6, 3), "b": Usage(4, 2)}
    copied = pickle.loads(pickle.dumps(usage))
    assert (copied, copied.by_model) == (usage, usage.by_model)
    assert hash(usage) == hash(Usage(10, 5))


def test_every_result_knows_its_price(runner) -> None:
    """The client that made it, too."""

    def answer(body: bytes) -> Any:
        return served(body)

    voyage = voyage_over(FakeService(always=answer))
    ranked = runner.call(voyage, "rerank", "q", ["a" * 1_000], NAMED)
    assert ranked.usage.dollars == voyage.usage.dollars == pytest.approx(1_000 * 0.05 / 1e6)
    assert runner.call(voyage, "rerank", "q", ["a"], RERANKER).usage.unpriced == (RERANKER,)
    assert voyage.usage.unpriced == (RERANKER,)


def test_a_client_without_calls_has_spent_nothing() -> None:
    """No model, no dollars."""
    assert Voyage(KEY).usage.dollars == 0.0
