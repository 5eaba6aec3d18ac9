"""VoyageAIRerank: what LangChain's users rely on."""

from __future__ import annotations

from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document

from voyage_rag import InvalidInputError
from voyage_rag.langchain import VoyageAIRerank

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

QUERY = "Where does the cat sleep?"
ANSWER = "The cat sleeps on the sofa in the living room."
TEXTS = ["Interest rates rose in March.", ANSWER, "The train to Lyon leaves at noon."]


def documents() -> list[Document]:
    return [
        Document(
            id=f"id-{number}",
            page_content=text,
            metadata={"source": {"page": number}, "relevance_score": "from before"},
        )
        for number, text in enumerate(TEXTS)
    ]


def test_the_answer_comes_first(reranker: VoyageAIRerank, runner: Runner) -> None:
    """All documents, by falling score, the score in the metadata."""
    ranked = runner.call(reranker, "compress_documents", documents(), QUERY)
    scores = [document.metadata["relevance_score"] for document in ranked]
    assert ranked[0].page_content == ANSWER
    assert len(ranked) == 3
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float and 0 <= score <= 1 for score in scores)


def test_ids_and_metadata_survive(reranker: VoyageAIRerank, runner: Runner) -> None:
    """Each document keeps its id, text, class and metadata; the score and the bill are new."""
    before = reranker.usage.total_tokens
    by_id = {document.id: document for document in documents()}
    for document in runner.call(reranker, "compress_documents", documents(), QUERY):
        original = by_id.pop(document.id)
        assert document.page_content == original.page_content
        assert type(document) is type(original)
        assert document.metadata.keys() - original.metadata.keys() == {"total_tokens"}
        assert document.metadata["total_tokens"] == reranker.usage.total_tokens - before > 0
        assert document.metadata["source"] == original.metadata["source"]
    assert by_id == {}


def test_the_originals_are_not_changed(reranker: VoyageAIRerank, runner: Runner) -> None:
    """Not even deep inside their metadata, nor by what is done to the copies."""
    given = documents()
    before = deepcopy(given)
    for document in runner.call(reranker, "compress_documents", given, QUERY):
        document.metadata["source"]["page"] = "changed"
    assert given == before


def test_a_value_that_cannot_be_copied_is_shared(reranker: VoyageAIRerank, runner: Runner) -> None:
    """An error after the response would lose a ranking that was paid for."""
    lock = Lock()
    given = [Document(text, metadata={"lock": lock, "tags": ["a"]}) for text in TEXTS]

    best = runner.call(reranker, "compress_documents", given, QUERY)[0]

    best.metadata["tags"].append("b")
    assert best.page_content == ANSWER
    assert best.metadata["lock"] is lock
    assert all(document.metadata == {"lock": lock, "tags": ["a"]} for document in given)


def test_a_subclass_keeps_its_type(reranker: VoyageAIRerank, runner: Runner) -> None:
    """A subclass of Document comes back as it was, with its fields."""

    class Page(Document):
        number: int

    (page,) = runner.call(reranker, "compress_documents", [Page(page_content="a", number=7)], QUERY)
    assert isinstance(page, Page)
    assert page.number == 7


@pytest.mark.parametrize("top_k", [1, 2, 3, 9])
def test_top_k_cuts(top_k: int, reranker: VoyageAIRerank, runner: Runner) -> None:
    """To the best `top_k`, or to all if there are fewer."""
    cut = reranker.model_copy(update={"top_k": top_k})
    ranked = runner.call(cut, "compress_documents", documents(), QUERY)
    assert len(ranked) == min(top_k, 3)
    assert ranked[0].page_content == ANSWER
    cut.voyage.close()


@pytest.mark.parametrize("top_k", [0, -1])
def test_a_top_k_that_cannot_work_is_refused(top_k: int, make: Any, runner: Runner) -> None:
    """At construction, and where it is given to the call."""
    with pytest.raises(ValueError, match="top_k"):
        make(VoyageAIRerank, model="rerank-3", top_k=top_k)
    made = make(VoyageAIRerank, model="rerank-3")
    with pytest.raises(InvalidInputError, match="top_k"):
        runner.call(made, "rerank", TEXTS, QUERY, top_k=top_k)


def test_no_documents_cost_nothing(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """An empty list gives an empty list, without a request."""
    assert list(runner.call(reranker, "compress_documents", [], QUERY)) == []
    assert runner.call(reranker, "rerank", [], QUERY) == []
    assert emulator.requests == []


def test_a_document_without_words_comes_last_and_is_never_sent(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """One blank passage among those retrieved does not fail the question."""
    found = runner.call(reranker, "rerank", ["", *TEXTS, " \n"], QUERY)
    assert [one["index"] for one in found[-2:]] == [0, len(TEXTS) + 1]
    assert [one["relevance_score"] for one in found[-2:]] == [0.0, 0.0]
    assert TEXTS[found[0]["index"] - 1] == ANSWER
    assert emulator.requests[0].body["documents"] == TEXTS
    kept = runner.call(reranker, "compress_documents", [Document(""), *documents()], QUERY)
    assert kept[-1].page_content == ""


def test_documents_without_words_alone_cost_nothing(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    assert runner.call(reranker, "rerank", ["", " "], QUERY) == [
        {"index": 0, "relevance_score": 0.0},
        {"index": 1, "relevance_score": 0.0},
    ]
    assert emulator.requests == []


def test_documents_without_words_can_be_dropped_or_refused(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    dropping = make(VoyageAIRerank, model="rerank-3-lite", blank_documents="drop")
    assert {one["index"] for one in runner.call(dropping, "rerank", ["a", "", "b"], QUERY)} == {
        0,
        2,
    }
    emulator.requests.clear()
    strict = make(VoyageAIRerank, model="rerank-3-lite", blank_documents="error")
    with pytest.raises(InvalidInputError, match=r"documents\[1\] is empty") as caught:
        runner.call(strict, "rerank", ["a", "", "b"], QUERY)
    assert caught.value.indices == (1,)
    assert emulator.requests == []


def test_half_a_character_may_be_replaced(make: Any, runner: Runner) -> None:
    """The documents that come back are those that were given."""
    given = [Document("half \ud83d"), *documents()]
    with pytest.raises(InvalidInputError, match="half a character"):
        runner.call(make(VoyageAIRerank, model="rerank-3-lite"), "compress_documents", given, QUERY)
    lenient = make(VoyageAIRerank, model="rerank-3-lite", invalid_text="replace")
    found = runner.call(lenient, "compress_documents", given, QUERY)
    assert "half \ud83d" in [document.page_content for document in found]


def test_documents_below_a_threshold_are_left_out(
    make: Any, reranker: VoyageAIRerank, runner: Runner
) -> None:
    scores = [one["relevance_score"] for one in runner.call(reranker, "rerank", TEXTS, QUERY)]
    strict = make(VoyageAIRerank, model="rerank-3-lite", score_threshold=scores[1])
    assert [one["relevance_score"] for one in runner.call(strict, "rerank", TEXTS, QUERY)] == (
        scores[:2]
    )
    assert runner.call(strict, "rerank", [""], QUERY) == []
    assert len(runner.call(strict, "compress_documents", documents(), QUERY)) == 2


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "high"])
def test_a_threshold_that_no_score_can_have_is_refused(make: Any, threshold: Any) -> None:
    with pytest.raises(ValueError, match="score_threshold"):
        make(VoyageAIRerank, model="rerank-3-lite", score_threshold=threshold)


def test_a_call_can_lift_the_objects_top_k(make: Any, runner: Runner) -> None:
    reranker = make(VoyageAIRerank, model="rerank-3-lite", top_k=1)
    assert len(runner.call(reranker, "rerank", TEXTS, QUERY)) == 1
    assert len(runner.call(reranker, "rerank", TEXTS, QUERY, top_k=None)) == len(TEXTS)


def test_texts_and_documents_are_ranked_alike(reranker: VoyageAIRerank, runner: Runner) -> None:
    """`rerank` takes both and gives positions and scores."""
    of_texts = runner.call(reranker, "rerank", TEXTS, QUERY)
    assert of_texts == runner.call(reranker, "rerank", documents(), QUERY)
    assert of_texts[0].keys() == {"index", "relevance_score"}
    assert TEXTS[of_texts[0]["index"]] == ANSWER


def test_a_call_can_name_its_own_model_and_top_k(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """Instead of the object's, for this call."""
    assert len(runner.call(reranker, "rerank", TEXTS, QUERY, model="rerank-3", top_k=1)) == 1
    assert len(runner.call(reranker, "rerank", TEXTS, QUERY)) == 3
    assert [request.body["model"] for request in emulator.requests] == ["rerank-3", "rerank-3-lite"]


def test_more_documents_than_a_request_holds(
    reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """Two requests, one ranking."""
    many = [f"Filler number {number}." for number in range(1_200)]
    many[1_100] = ANSWER
    ranked = runner.call(reranker, "rerank", many, QUERY, top_k=5)
    assert len(emulator.requests) == 2
    assert len(ranked) == 5
    assert ranked[0]["index"] == 1_100


def test_usage_adds_up(reranker: VoyageAIRerank, emulator: Emulator, runner: Runner) -> None:
    """On the object, whatever the call."""
    runner.call(reranker, "compress_documents", documents(), QUERY)
    assert reranker.usage.total_tokens == emulator.requests[0].tokens
