"""VoyageEmbedding: what LlamaIndex's users rely on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from voyage_rag import InvalidInputError
from voyage_rag.llama_index import VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"
TEXTS = [f"text number {number}" for number in range(10)]

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex sends lists with asyncio.gather, so they are not for trio."""


def test_the_prompts_are_those_of_the_method(
    embedding: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    """Texts are embedded as documents, queries as queries."""
    runner.call(embedding, "get_text_embedding", "a")
    runner.call(embedding, "get_query_embedding", "a")
    assert [request.body["input_type"] for request in emulator.requests] == ["document", "query"]


def test_the_prompts_can_be_left_out(make: Any, emulator: Emulator, runner: Runner) -> None:
    """None sends no input type at all."""
    made = make(VoyageEmbedding, "voyage-4", text_input_type=None, query_input_type=None)
    runner.call(made, "get_text_embedding", "a")
    runner.call(made, "get_query_embedding", "a")
    assert all("input_type" not in request.body for request in emulator.requests)


@both
def test_one_vector_per_text_in_order(make: Any, runner: Runner) -> None:
    """However many requests it takes."""
    made = make(VoyageEmbedding, "voyage-4", output_dimension=256, embed_batch_size=3)
    together = runner.call(made, "get_text_embedding_batch", TEXTS)
    alone = [runner.call(made, "get_text_embedding", text) for text in TEXTS]
    assert together == alone
    assert {len(vector) for vector in together} == {256}


@both
@pytest.mark.parametrize(("batch_size", "requests"), [(1, 10), (3, 4), (10, 1), (None, 1)])
@pytest.mark.parametrize("num_workers", [None, 2])
def test_the_batch_size_is_honoured(
    batch_size: int | None,
    requests: int,
    num_workers: int | None,
    make: Any,
    emulator: Emulator,
    runner: Runner,
) -> None:
    """A request has at most this number of texts, with and without LlamaIndex's workers."""
    made = make(VoyageEmbedding, "voyage-4", embed_batch_size=batch_size, num_workers=num_workers)
    runner.call(made, "get_text_embedding_batch", TEXTS)
    assert len(emulator.requests) == requests
    assert sum(len(request.body["input"]) for request in emulator.requests) == len(TEXTS)


@both
def test_no_texts_cost_nothing(
    embedding: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    """An empty list gives an empty list, without a request."""
    assert runner.call(embedding, "get_text_embedding_batch", []) == []
    assert emulator.requests == []


@both
def test_empty_texts_are_refused_or_given_zeros(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    """By position before anything is sent, or zero vectors in their places."""
    strict = make(VoyageEmbedding, "voyage-4", output_dimension=256)
    with pytest.raises(InvalidInputError) as caught:
        runner.call(strict, "get_text_embedding_batch", ["a", "", "b"])
    assert caught.value.indices == (1,)
    assert emulator.requests == []
    lenient = make(VoyageEmbedding, "voyage-4", output_dimension=256, empty_text="zeros")
    vectors = runner.call(lenient, "get_text_embedding_batch", ["a", "", "b"])
    assert [any(vector) for vector in vectors] == [True, False, True]


@both
def test_nodes_are_given_their_embeddings(embedding: VoyageEmbedding, runner: Runner) -> None:
    """As a transformation, with the metadata that is meant to be embedded."""
    nodes = [TextNode(text=text, metadata={"title": "T"}) for text in TEXTS[:3]]
    done = embedding(nodes) if runner.is_sync else asyncio.run(embedding.acall(nodes))
    contents = [f"title: T\n\n{text}" for text in TEXTS[:3]]
    assert [node.embedding for node in done] == embedding.get_text_embedding_batch(contents)


def test_usage_adds_up(embedding: VoyageEmbedding, emulator: Emulator, runner: Runner) -> None:
    """What the object has spent is what the service billed."""
    runner.call(embedding, "get_text_embedding", TEXTS[0])
    runner.call(embedding, "get_query_embedding", "how much?")
    assert embedding.usage.total_tokens == sum(request.tokens for request in emulator.requests)
    assert embedding.usage.requests == 2


@both
def test_the_bar_counts_texts(
    embedding: VoyageEmbedding, capsys: pytest.CaptureFixture[str], runner: Runner
) -> None:
    """On stderr, one bar and not two, with tokens per second."""
    runner.call(embedding, "get_text_embedding_batch", TEXTS, show_progress=True)
    drawn = capsys.readouterr()
    assert drawn.out == ""
    assert f"Embedding: 100%|██████████| {len(TEXTS)}/{len(TEXTS)} " in drawn.err
    assert "tokens/s" in drawn.err
    assert "Generating embeddings" not in drawn.err


@both
def test_all_texts_are_planned_together(make: Any, emulator: Emulator, runner: Runner) -> None:
    """LlamaIndex's batch size neither limits nor multiplies the requests in flight."""
    made = make(VoyageEmbedding, "voyage-4", output_dimension=256)
    texts = [f"text {number} " + "word " * 10 for number in range(2_100)]
    vectors = runner.call(made, "get_text_embedding_batch", texts)
    assert sorted(len(request.body["input"]) for request in emulator.requests) == [
        2_100 - 15 * 132,
        *[132] * 15,
    ]
    assert (
        vectors[2_048:]
        == made.voyage.embed(texts[2_048:], "voyage-4", "document", output_dimension=256).embeddings
    )


@both
def test_the_batch_size_is_that_of_requests(make: Any, emulator: Emulator, runner: Runner) -> None:
    """Several of them are in flight at once."""
    made = make(VoyageEmbedding, "voyage-4", embed_batch_size=3)
    runner.call(made, "get_text_embedding_batch", TEXTS)
    sizes = sorted(len(request.body["input"]) for request in emulator.requests)
    assert sizes == [len(TEXTS) % 3 or 3, *[3] * (-(-len(TEXTS) // 3) - 1)]


@both
def test_what_the_cache_holds_is_not_paid_for_again(
    make: Any, emulator: Emulator, runner: Runner, tmp_path: Path
) -> None:
    """By another object, too; a query is cached separately from a document."""
    cache = tmp_path / "cache"
    one, other = (make(VoyageEmbedding, "voyage-4", cache=cache) for _ in range(2))
    first = runner.call(one, "get_text_embedding_batch", TEXTS[:4])
    again = runner.call(other, "get_text_embedding_batch", TEXTS[:5])
    runner.call(other, "get_query_embedding", TEXTS[0])
    assert again[:4] == first
    assert [request.body["input"] for request in emulator.requests] == [
        TEXTS[:4],
        TEXTS[4:5],
        TEXTS[:1],
    ]


# ── LlamaIndex's own cache, limiter and events ────────────────────────────────────────────────────


@both
def test_the_cache_of_the_base_class_works(
    make: Any, emulator: Emulator, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """Cached texts are not requested again; a warning says what it confuses."""
    made = make(VoyageEmbedding, "voyage-4", embeddings_cache=SimpleKVStore())
    first = runner.call(made, "get_text_embedding_batch", TEXTS[:4])
    again = runner.call(made, "get_text_embedding_batch", TEXTS[:6])
    assert again[:4] == first
    assert [request.body["input"] for request in emulator.requests] == [TEXTS[:4], TEXTS[4:6]]
    assert "is keyed by text only" in caplog.text


class CountingLimiter(BaseRateLimiter):
    """Counts calls."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.asked += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.asked += 1


@both
def test_the_rate_limiter_of_the_base_class_is_asked(make: Any, runner: Runner) -> None:
    """Once for each batch and each query."""
    limiter = CountingLimiter()
    made = make(VoyageEmbedding, "voyage-4", embed_batch_size=4, rate_limiter=limiter)
    runner.call(made, "get_text_embedding_batch", TEXTS)
    runner.call(made, "get_query_embedding", "a")
    assert limiter.asked == 4


@both
def test_llama_index_receives_events(
    make: Any, callbacks: Any, events: list[Any], runner: Runner
) -> None:
    """Start and end of each batch, to callbacks and instrumentation, without the key."""
    made = make(VoyageEmbedding, "voyage-4", embed_batch_size=5, callback_manager=callbacks.manager)
    vectors = runner.call(made, "get_text_embedding_batch", TEXTS)
    assert [kind for kind, _ in callbacks.starts] == [CBEventType.EMBEDDING] * 2
    assert [payload[EventPayload.CHUNKS] for _, payload in callbacks.ends] == [TEXTS[:5], TEXTS[5:]]
    assert [payload[EventPayload.EMBEDDINGS] for _, payload in callbacks.ends] == [
        vectors[:5],
        vectors[5:],
    ]
    starts = [event for event in events if isinstance(event, EmbeddingStartEvent)]
    ends = [event for event in events if isinstance(event, EmbeddingEndEvent)]
    assert len(starts) == len(ends) == 2
    assert starts[0].model_dict["model_name"] == "voyage-4"
    assert KEY not in repr((callbacks.starts, callbacks.ends, events))


def test_async_is_async(
    embedding: VoyageEmbedding, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The async methods make no sync call."""
    monkeypatch.setattr("voyage_rag.Voyage.embed", None)

    async def program() -> None:
        await embedding.aget_query_embedding("a")
        await embedding.aget_text_embedding("a")
        await embedding.aget_text_embedding_batch(TEXTS)

    asyncio.run(program())
    assert len(emulator.requests) == 3
