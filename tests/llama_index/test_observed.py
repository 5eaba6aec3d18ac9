"""What LlamaIndex's own handlers see: its token counter, and the pairs of its instrumentation."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor import SentenceEmbeddingOptimizer
from llama_index.core.schema import (
    ImageNode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.storage.kvstore import SimpleKVStore

from pictures import png
from voyage_rag import InvalidRequestError, VoyageError
from voyage_rag.emulator.faults import status
from voyage_rag.llama_index import VoyageAIRerank, VoyageContextualEmbedding, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

TEXTS = ["one two three", "four five", "six"]
QUERY = "seven eight nine ten"
NOBODY = "voyage-of-nobody"

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex sends lists of texts with asyncio.gather, so they are not for trio."""


@pytest.fixture
def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


def pairs(events: list[Any], start: type, end: type) -> tuple[list[Any], list[Any]]:
    """Starts and ends, which belong together: as many in each span, which they all have."""
    starts = [event for event in events if type(event) is start]
    ends = [event for event in events if type(event) is end]
    assert None not in {event.span_id for event in starts}
    assert Counter(e.span_id for e in starts) == Counter(e.span_id for e in ends)
    return starts, ends


# ── TokenCountingHandler ──────────────────────────────────────────────────────────────────────────


@both
def test_the_token_counter_counts_every_text_once(
    make: Any, counter: TokenCountingHandler, runner: Runner
) -> None:
    """However they are divided into batches; queries, too."""
    manager = CallbackManager([counter])
    embedding = make(VoyageEmbedding, "voyage-4", callback_manager=manager, embed_batch_size=2)

    runner.run(lambda: _embed_all(embedding, runner))
    assert counter.total_embedding_token_count == 6 + 4
    assert [event.prompt for event in counter.embedding_token_counts] == [*TEXTS, QUERY]


async def _embed_all(embedding: Any, runner: Runner) -> None:
    if runner.is_sync:
        embedding.get_text_embedding_batch(TEXTS)
        embedding.get_query_embedding(QUERY)
        return
    await embedding.aget_text_embedding_batch(TEXTS)
    await embedding.aget_query_embedding(QUERY)


@both
def test_the_token_counter_counts_chunks_in_context(
    make: Any, counter: TokenCountingHandler, runner: Runner
) -> None:
    """The chunks, not the documents they are sent with, and each once."""
    embedding = make(VoyageContextualEmbedding, callback_manager=CallbackManager([counter]))
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="document")}
    nodes = [TextNode(text=text, relationships=source) for text in TEXTS]

    async def program() -> None:
        if runner.is_sync:
            embedding(nodes)
        else:
            await embedding.acall(nodes)

    runner.run(program)
    assert counter.total_embedding_token_count == 6


@both
def test_the_token_counter_counts_the_text_of_nodes_with_images(
    make: Any, counter: TokenCountingHandler, runner: Runner, tmp_path: Any
) -> None:
    """Not the image, of which only the service knows tokens (see `usage`)."""
    path = tmp_path / "cat.png"
    path.write_bytes(png())
    manager = CallbackManager([counter])
    embedding = make(VoyageEmbedding, "voyage-multimodal-3.5", callback_manager=manager)
    nodes = [ImageNode(text="a cat", image_path=str(path))]

    async def program() -> None:
        if runner.is_sync:
            embedding(nodes)
        else:
            await embedding.acall(nodes)

    runner.run(program)
    assert counter.total_embedding_token_count == 2


@both
@pytest.mark.parametrize("verb", ["get_image_embedding", "get_image_embedding_batch"])
def test_the_token_counter_breaks_no_call_that_embeds_images(
    make: Any, counter: TokenCountingHandler, verb: str, runner: Runner
) -> None:
    """It treats inputs as texts, and would raise an error for a file in memory."""
    manager = CallbackManager([counter])
    embedding = make(VoyageEmbedding, "voyage-multimodal-3.5", callback_manager=manager)
    data = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    for image in (BytesIO(png()), png(), data):
        given = [image] if verb.endswith("batch") else image
        runner.run(partial(_asked, embedding, verb, given, runner))

    assert len(counter.embedding_token_counts) == 3
    assert counter.total_embedding_token_count == 0


def test_an_index_and_its_queries_are_counted(make: Any, counter: TokenCountingHandler) -> None:
    """Through LlamaIndex's own classes."""
    manager = CallbackManager([counter])
    embedding = make(VoyageEmbedding, "voyage-4", callback_manager=manager)
    index = VectorStoreIndex(
        [TextNode(text=text) for text in TEXTS],
        embed_model=embedding,
        storage_context=StorageContext.from_defaults(),
        callback_manager=manager,
    )
    index.as_retriever(similarity_top_k=1).retrieve(QUERY)

    assert counter.total_embedding_token_count == 10


# ── pairs ─────────────────────────────────────────────────────────────────────────────────────────


@both
def test_every_start_of_an_embedding_has_an_end(
    make: Any, callbacks: Any, events: list[Any], runner: Runner
) -> None:
    """In its own span, with texts and vectors; one for each batch, one for a query."""
    embedding = make(
        VoyageEmbedding, "voyage-4", callback_manager=callbacks.manager, embed_batch_size=2
    )
    runner.run(lambda: _embed_all(embedding, runner))

    starts, ends = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert len(starts) == 3
    assert [end.chunks for end in ends] == [TEXTS[:2], TEXTS[2:], [QUERY]]
    assert [len(end.embeddings) for end in ends] == [2, 1, 1]
    assert len(callbacks.starts) == len(callbacks.ends) == 3


VERBS = {
    "get_query_embedding": (QUERY, [[QUERY]]),
    "get_text_embedding": (QUERY, [[QUERY]]),
    "get_text_embedding_batch": (TEXTS, [TEXTS[:2], TEXTS[2:]]),
}


@both
@pytest.mark.parametrize("verb", VERBS)
def test_an_embedding_that_fails_has_an_end(
    make: Any, callbacks: Any, events: list[Any], verb: str, runner: Runner
) -> None:
    """Without vectors; LlamaIndex's own embeddings have none. Callbacks receive the error."""
    manager = callbacks.manager
    embedding = make(VoyageEmbedding, NOBODY, callback_manager=manager, embed_batch_size=2)
    given, batches = VERBS[verb]
    with pytest.raises(InvalidRequestError) as caught:
        runner.run(lambda: _asked(embedding, verb, given, runner))

    _, ends = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert [end.chunks for end in ends] == batches
    assert all(end.embeddings == [] for end in ends)
    assert len(callbacks.starts) == len(callbacks.ends) == len(batches)
    assert {EventPayload.EXCEPTION: caught.value} in [payload for _, payload in callbacks.ends]


async def _asked(embedding: Any, verb: str, given: Any, runner: Runner) -> Any:
    return (
        getattr(embedding, verb)(given)
        if runner.is_sync
        else await getattr(embedding, f"a{verb}")(given)
    )


@both
def test_batches_that_llama_index_splits_have_end_events_too(
    make: Any, emulator: Emulator, events: list[Any], runner: Runner
) -> None:
    """With its cache it emits the start itself."""
    embedding = make(VoyageEmbedding, NOBODY, embeddings_cache=SimpleKVStore(), embed_batch_size=2)
    with pytest.raises(VoyageError):
        runner.run(lambda: _asked(embedding, "get_text_embedding_batch", TEXTS[:2], runner))

    starts, _ = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert starts


@both
def test_nodes_that_fail_have_an_end(
    make: Any, callbacks: Any, events: list[Any], emulator: Emulator, runner: Runner
) -> None:
    """As a transformation, too."""
    embedding = make(
        VoyageContextualEmbedding,
        callback_manager=callbacks.manager,
        base_url=f"{emulator.url}/nowhere",
    )

    async def program() -> None:
        nodes = [TextNode(text=text) for text in TEXTS]
        if runner.is_sync:
            embedding(nodes)
        else:
            await embedding.acall(nodes)

    with pytest.raises(InvalidRequestError):
        runner.run(program)
    _, ends = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert [end.chunks for end in ends] == [TEXTS]
    assert len(callbacks.starts) == len(callbacks.ends) == 1


def test_an_embedding_that_is_cancelled_has_an_end(make: Any, events: list[Any]) -> None:
    """A cancelled call leaves no start without an end."""
    embedding = make(VoyageEmbedding, "voyage-4", base_url="http://127.0.0.1:9/v1", max_retries=99)

    async def program() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(embedding.aget_text_embedding(QUERY), 0.1)

    asyncio.run(program())
    _, ends = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert [end.chunks for end in ends] == [[QUERY]]


def test_a_ranking_has_a_start_and_an_end_in_one_span(
    reranker: VoyageAIRerank, events: list[Any], runner: Runner
) -> None:
    """As LlamaIndex's span handlers need it."""
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    runner.call(reranker, "postprocess_nodes", nodes, query_str=QUERY)

    starts, ends = pairs(events, ReRankStartEvent, ReRankEndEvent)
    assert (len(starts), len(ends[0].nodes)) == (1, 3)


def test_the_debug_handler_finds_its_pairs(make: Any) -> None:
    """LlamaIndex's debug handler finds an end for each start, failures included."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    embedding = make(VoyageEmbedding, "voyage-4", callback_manager=manager)
    reranker = make(VoyageAIRerank, "rerank-3-lite", callback_manager=manager)

    embedding.get_text_embedding_batch(TEXTS)
    with pytest.raises(InvalidRequestError):
        make(VoyageEmbedding, NOBODY, callback_manager=manager).get_text_embedding(QUERY)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    reranker.postprocess_nodes(nodes, query_str=QUERY)

    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 2
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1
    assert all(len(pair) == 2 for pair in debug.get_event_pairs())


def test_unavailability_is_an_error_only_after_all_retries(
    make: Any, emulator: Emulator, events: list[Any]
) -> None:
    """Retries are no events of LlamaIndex's: one start, one end, with vectors."""
    from voyage_rag.emulator import Emulator as Service

    with Service(faults=[status(503)]) as url:
        embedding = make(VoyageEmbedding, "voyage-4", base_url=url)
        embedding.get_text_embedding(QUERY)
        embedding.voyage.close()

    _, ends = pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
    assert [len(end.embeddings) for end in ends] == [1]


def test_what_fails_without_a_start_has_no_end(make: Any, events: list[Any]) -> None:
    """LlamaIndex's SentenceEmbeddingOptimizer embeds sentences without a start event."""
    optimizer = SentenceEmbeddingOptimizer(
        embed_model=make(VoyageEmbedding, NOBODY), percentile_cutoff=0.5
    )
    node = NodeWithScore(node=TextNode(text="One. Two. Three."))
    query = QueryBundle(QUERY, embedding=[1.0])
    with pytest.raises(InvalidRequestError):
        optimizer.postprocess_nodes([node], query)
    pairs(events, EmbeddingStartEvent, EmbeddingEndEvent)
