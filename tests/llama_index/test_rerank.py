"""VoyageAIRerank: what LlamaIndex's users rely on."""

from __future__ import annotations

import asyncio
import threading
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.core.schema import (
    ImageNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from voyage_rag import InvalidInputError, InvalidRequestError
from voyage_rag.llama_index import VoyageAIRerank

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"
QUERY = "Where does the cat sleep?"
ANSWER = "The cat sleeps on the sofa in the living room."
TEXTS = ["Interest rates rose in March.", ANSWER, "The train to Lyon leaves at noon."]


def nodes() -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=TextNode(
                id_=f"id-{number}",
                text=text,
                metadata={"title": f"Title {number}", "hidden": "secret", "deep": {"n": number}},
                excluded_embed_metadata_keys=["hidden", "deep"],
                excluded_llm_metadata_keys=["title"],
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
            ),
            score=0.25 * number,
        )
        for number, text in enumerate(TEXTS)
    ]


def rerank(one: VoyageAIRerank, runner: Runner, given: list[NodeWithScore], **options: Any) -> Any:
    options = options or {"query_str": QUERY}
    return runner.call(one, "postprocess_nodes", given, **options)


def test_the_answer_comes_first(reranker: VoyageAIRerank, runner: Runner) -> None:
    """All nodes, by falling relevance, which is their score now."""
    ranked = rerank(reranker, runner, nodes())
    assert ranked[0].node.text == ANSWER
    assert len(ranked) == 3
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


def test_ids_metadata_and_relationships_survive(reranker: VoyageAIRerank, runner: Runner) -> None:
    """Only the score is new."""
    by_id = {one.node.node_id: one.node for one in nodes()}
    for one in rerank(reranker, runner, nodes()):
        original = by_id.pop(one.node.node_id)
        assert one.node.text == original.text
        assert one.node.metadata.items() >= original.metadata.items()
        assert one.node.relationships == original.relationships
        assert one.node.ref_doc_id == "doc"
    assert by_id == {}


def test_the_originals_are_not_changed(reranker: VoyageAIRerank, runner: Runner) -> None:
    """Neither the nodes nor their scores."""
    given = nodes()
    before = deepcopy(given)
    rerank(reranker, runner, given)
    assert given == before


def test_nodes_are_returned_unchanged(reranker: VoyageAIRerank, runner: Runner) -> None:
    """A node with other metadata has another hash, by which LlamaIndex recognises nodes."""
    given = nodes()
    for one in rerank(reranker, runner, given):
        assert any(one.node is original.node for original in given)


def test_reranked_results_are_fused(reranker: VoyageAIRerank) -> None:
    """A node that two reranked retrievers found counts twice, whatever its retrieval scores."""
    lists = [nodes(), [NodeWithScore(node=one.node, score=7.0) for one in nodes()]]
    retrievers = [Reranked(found, reranker) for found in lists]
    fusion = QueryFusionRetriever(
        retrievers, llm=MockLLM(), num_queries=1, mode=FUSION_MODES.RECIPROCAL_RANK, use_async=False
    )
    best = fusion.retrieve(QUERY)[0]
    assert best.text == ANSWER
    assert best.score == pytest.approx(2 / 60)


class Reranked(BaseRetriever):
    """A retriever that reranks what it finds."""

    def __init__(self, found: list[NodeWithScore], reranker: VoyageAIRerank) -> None:
        super().__init__()
        self.found, self.reranker = found, reranker

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.reranker.postprocess_nodes(self.found, query_bundle)


@pytest.fixture
def keeping(make: Any) -> VoyageAIRerank:
    """A reranker that keeps the retrieval scores."""
    return make(VoyageAIRerank, "rerank-3-lite", keep_retrieval_score=True)


def test_the_retrieval_score_is_hidden_from_models(keeping: VoyageAIRerank, runner: Runner) -> None:
    """In the metadata, and in no text that a model reads."""
    for one in rerank(keeping, runner, nodes()):
        number = one.node.metadata["deep"]["n"]
        assert one.node.metadata["retrieval_score"] == 0.25 * number
        for mode in (MetadataMode.EMBED, MetadataMode.LLM):
            assert one.node.get_content(mode) == nodes()[number].node.get_content(mode)


def test_a_node_without_a_score_gets_none(keeping: VoyageAIRerank, runner: Runner) -> None:
    """None is not stored as a score."""
    (one,) = rerank(keeping, runner, [NodeWithScore(node=TextNode(text="a"))])
    assert "retrieval_score" not in one.node.metadata


def test_a_second_ranking_keeps_the_first_score(keeping: VoyageAIRerank, runner: Runner) -> None:
    """The score of the retriever is kept, not that of the first ranking, and hidden once."""
    (one,) = rerank(keeping, runner, rerank(keeping, runner, nodes()[1:2]))
    assert one.node.excluded_llm_metadata_keys.count("retrieval_score") == 1
    assert one.node.metadata["retrieval_score"] == 0.25


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("none", "Interest rates rose in March."),
        ("embed", "title: Title 0\n\nInterest rates rose in March."),
        (MetadataMode.LLM, "hidden: secret\ndeep: {'n': 0}\n\nInterest rates rose in March."),
        (
            MetadataMode.ALL,
            "title: Title 0\nhidden: secret\ndeep: {'n': 0}\n\nInterest rates rose in March.",
        ),
    ],
)
def test_the_metadata_that_is_ranked_can_be_chosen(
    mode: Any, text: str, make: Any, emulator: Emulator, runner: Runner
) -> None:
    """By LlamaIndex's names for it."""
    made = make(VoyageAIRerank, "rerank-3-lite", metadata_mode=mode)
    rerank(made, runner, nodes())
    assert emulator.requests[0].body["documents"][0] == text


def test_metadata_for_embedding_is_ranked_unless_told_otherwise(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """As by the vendor's class."""
    rerank(reranker, runner, nodes())
    assert emulator.requests[0].body["documents"][0].startswith("title: Title 0\n\n")


def test_an_image_without_text_is_refused_by_position(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """It has no text to rank; it is not sent as an empty text."""
    given = [*nodes(), NodeWithScore(node=ImageNode(image_url="https://a.host/cat.png"))]
    with pytest.raises(InvalidInputError) as caught:
        rerank(reranker, runner, given)
    assert caught.value.indices == (3,)
    assert emulator.requests == []


# ── events of LlamaIndex ───────────────────────────────────────────────────────────────────────


def reported(events: list[Any]) -> list[Any]:
    return [one for one in events if isinstance(one, ReRankStartEvent | ReRankEndEvent)]


def test_start_and_end_of_a_ranking_are_reported(
    make: Any, callbacks: Any, events: list[Any], runner: Runner
) -> None:
    """To callbacks and to instrumentation, with what they are about."""
    made = make(VoyageAIRerank, "rerank-3-lite", top_n=2, callback_manager=callbacks.manager)
    ranked = rerank(made, runner, nodes())
    start, end = reported(events)
    assert (start.model_name, start.top_n, start.query.query_str) == ("rerank-3-lite", 2, QUERY)
    assert [one.node.node_id for one in start.nodes] == ["id-0", "id-1", "id-2"]
    assert end.nodes == ranked
    assert [kind for kind, _ in callbacks.starts] == [CBEventType.RERANKING]
    payload = callbacks.starts[0][1]
    assert payload[EventPayload.QUERY_STR] == QUERY
    assert payload[EventPayload.TOP_K] == 2
    assert payload[EventPayload.MODEL_NAME] == "rerank-3-lite"
    assert [payload[EventPayload.NODES] for _, payload in callbacks.ends] == [ranked]
    assert KEY not in repr((events, callbacks.starts, callbacks.ends))


def test_an_empty_list_of_nodes_costs_nothing_and_is_reported(
    make: Any, callbacks: Any, events: list[Any], emulator: Emulator, runner: Runner
) -> None:
    """A start and an end, and no request."""
    made = make(VoyageAIRerank, "rerank-3-lite", callback_manager=callbacks.manager)
    assert rerank(made, runner, []) == []
    assert [type(one) for one in reported(events)] == [ReRankStartEvent, ReRankEndEvent]
    assert len(callbacks.starts) == len(callbacks.ends) == 1
    assert emulator.requests == []


@pytest.mark.parametrize("given", [[], nodes()], ids=["no nodes", "nodes"])
def test_a_missing_query_is_refused_and_reported(
    given: list[NodeWithScore],
    make: Any,
    callbacks: Any,
    events: list[Any],
    emulator: Emulator,
    runner: Runner,
) -> None:
    """A start and an end, and a ValueError as from the vendor's class."""
    made = make(VoyageAIRerank, "rerank-3-lite", callback_manager=callbacks.manager)
    with pytest.raises(ValueError, match="query_bundle"):
        rerank(made, runner, given, query_bundle=None)
    assert [type(one) for one in reported(events)] == [ReRankStartEvent, ReRankEndEvent]
    assert len(callbacks.starts) == len(callbacks.ends) == 1
    assert emulator.requests == []


def test_a_failure_is_reported(
    make: Any, callbacks: Any, events: list[Any], runner: Runner
) -> None:
    """The end event is emitted all the same, with the error for callbacks and no nodes."""
    made = make(VoyageAIRerank, "rerank-of-nobody", callback_manager=callbacks.manager)
    with pytest.raises(InvalidRequestError) as caught:
        rerank(made, runner, nodes())
    assert [type(one) for one in reported(events)] == [ReRankStartEvent, ReRankEndEvent]
    assert reported(events)[1].nodes == []
    assert [payload for _, payload in callbacks.ends] == [{EventPayload.EXCEPTION: caught.value}]


def test_query_bundle_and_query_str_are_the_same(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """LlamaIndex passes either of them."""
    rerank(reranker, runner, nodes(), query_bundle=QueryBundle(QUERY))
    rerank(reranker, runner, nodes(), query_str=QUERY)
    assert emulator.requests[0].body == emulator.requests[1].body


def test_async_is_async(
    reranker: VoyageAIRerank, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the event loop itself, once it is connected: no thread, no sync call."""
    monkeypatch.setattr("voyage_rag.Voyage.rerank", None)

    def ranking() -> list[Any]:
        return [reranker.apostprocess_nodes(nodes(), query_str=QUERY) for _ in range(5)]

    async def program() -> list[list[NodeWithScore]]:
        await asyncio.gather(*ranking())
        emulator.requests.clear()
        monkeypatch.setattr(threading.Thread, "start", _refuse)
        found = await asyncio.gather(*ranking())
        monkeypatch.undo()
        return found

    for ranked in asyncio.run(program()):
        assert ranked[0].node.text == ANSWER
    assert len(emulator.requests) == 5


def _refuse(thread: threading.Thread) -> None:
    raise AssertionError(f"a thread was started: {thread.name}")


def test_nodes_without_words_come_last_are_dropped_or_refused(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    """One blank node among those retrieved does not fail the question."""
    blank = NodeWithScore(node=TextNode(text=" ", id_="blank"), score=0.9)
    given = [blank, *nodes()]
    last = rerank(make(VoyageAIRerank, "rerank-3-lite"), runner, given)
    assert (last[-1].node.node_id, last[-1].score) == ("blank", 0.0)
    assert last[0].node.text == ANSWER
    assert len(emulator.requests[0].body["documents"]) == len(TEXTS)
    dropped = rerank(make(VoyageAIRerank, "rerank-3-lite", blank_documents="drop"), runner, given)
    assert [one.node.node_id for one in dropped] == [one.node.node_id for one in last[:-1]]
    with pytest.raises(InvalidInputError, match=r"documents\[0\] is empty"):
        rerank(make(VoyageAIRerank, "rerank-3-lite", blank_documents="error"), runner, given)


def test_half_a_character_may_be_replaced(make: Any, runner: Runner) -> None:
    given = [NodeWithScore(node=TextNode(text="half \ud83d", id_="half"), score=0.9), *nodes()]
    with pytest.raises(InvalidInputError, match="half a character"):
        rerank(make(VoyageAIRerank, "rerank-3-lite"), runner, given)
    lenient = make(VoyageAIRerank, "rerank-3-lite", invalid_text="replace")
    assert "half" in [one.node.node_id for one in rerank(lenient, runner, given)]


def test_nodes_below_a_threshold_are_left_out(
    make: Any, reranker: VoyageAIRerank, runner: Runner
) -> None:
    scores = [one.score for one in rerank(reranker, runner, nodes())]
    strict = make(VoyageAIRerank, "rerank-3-lite", score_threshold=scores[1])
    assert [one.score for one in rerank(strict, runner, nodes())] == scores[:2]


def test_a_call_can_lift_the_objects_top_n(make: Any, runner: Runner) -> None:
    one = make(VoyageAIRerank, "rerank-3-lite", top_n=1)
    assert len(rerank(one, runner, nodes())) == 1
    assert len(rerank(one, runner, nodes(), query_str=QUERY, top_n=None)) == len(TEXTS)
    assert len(rerank(one, runner, nodes(), query_str=QUERY, top_n=2)) == 2
    assert one.top_n == 1
