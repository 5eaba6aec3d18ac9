"""One call to rerank: one ranking, however many requests it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import (
    FREE_TIER,
    RERANKER,
    TOO_MANY_TOKENS,
    FakeService,
    failed,
    ok,
    score_of,
    served,
    voyage_over,
)
from voyage_rag.errors import InvalidInputError, InvalidRequestError, ServerError
from voyage_rag.hosts.messages import Response
from voyage_rag.types import RerankingResult
from voyage_rag.usage import Usage


def documents_up_to(count: int) -> list[str]:
    """Return documents that differ."""
    return [f"document {number}" for number in range(count)]


def expected(query: str, documents: list[str], top_k: int | None = None) -> list[RerankingResult]:
    """The ranking of one request that holds everything."""
    results = [
        RerankingResult(index, document, score_of(query, document))
        for index, document in enumerate(documents)
    ]
    results.sort(key=lambda result: -result.relevance_score)
    return results[:top_k]


@pytest.mark.parametrize("top_k", [None, 1, 3, 99])
def test_documents_come_by_falling_relevance(runner, top_k: int | None) -> None:
    """Each with its position and its text, up to top_k."""
    documents = documents_up_to(8)
    voyage = voyage_over(FakeService())

    result = runner.call(voyage, "rerank", "q", documents, RERANKER, top_k)

    assert expected("q", documents, top_k) == result.results
    assert Usage(sum(map(len, documents)), 1) == result.usage == voyage.usage
    assert (RERANKER, result.usage.total_tokens) == (result.model, result.total_tokens)


@pytest.mark.parametrize("top_k", [None, 5, 1_500])
def test_more_documents_than_a_request_may_hold_are_ranked_in_several(
    runner, top_k: int | None
) -> None:
    """2,500 documents are three requests and one ranking."""
    documents = documents_up_to(2_500)
    service = FakeService()

    result = runner.call(voyage_over(service), "rerank", "q", documents, RERANKER, top_k)

    assert sorted(len(body["documents"]) for body in service.bodies) == [500, 1_000, 1_000]
    key = {(result.relevance_score, result.index) for result in expected("q", documents, top_k)}
    scores = [result.relevance_score for result in result.results]
    assert scores == [result.relevance_score for result in expected("q", documents, top_k)]
    assert all(documents[each.index] == each.document for each in result.results)
    assert top_k is not None or key == {(r.relevance_score, r.index) for r in result.results}
    assert result.usage.requests == 3


@given(st.integers(1, 30), st.integers(1, 30), st.none() | st.integers(1, 40))
def test_too_many_tokens_are_ranked_in_halves(count: int, fits: int, top_k: int | None) -> None:
    """Both halves give the same ranking as a single request."""
    documents = documents_up_to(count)

    def always(body: bytes) -> Response:
        few = len(json.loads(body)["documents"]) <= fits
        return served(body) if few else failed(400, TOO_MANY_TOKENS)

    voyage = voyage_over(FakeService(always=always))
    result = voyage.rerank("q", documents, RERANKER, top_k)

    assert voyage.usage == result.usage
    assert [each.relevance_score for each in expected("q", documents, top_k)] == [
        each.relevance_score for each in result.results
    ]
    assert all(documents[each.index] == each.document for each in result.results)


def test_documents_are_cut_by_their_tokens_too() -> None:
    """The query counts once per document: a long query makes smaller requests."""
    sent = []
    for query in ("q", "a long question " * 300):
        service = FakeService()
        documents = [f"{number} " + "word " * 400 for number in range(300)]
        voyage_over(service).rerank(query, documents, RERANKER)
        sent.append(len(service.bodies))
        assert sum(len(body["documents"]) for body in service.bodies) == 300

    assert 1 < sent[0] < sent[1] < 300


def test_documents_of_equal_relevance_keep_their_order_over_requests() -> None:
    """A tie is decided by the order of the documents."""

    def always(body: bytes) -> Response:
        count = len(json.loads(body)["documents"])
        data = [{"index": index, "relevance_score": 0.5} for index in range(count)]
        return ok({"data": data})

    result = voyage_over(FakeService(always=always)).rerank(
        "q", list(map(str, range(1_200))), RERANKER
    )

    assert list(range(1_200)) == [each.index for each in result.results]


@pytest.mark.parametrize("top_k", [None, 3])
def test_equal_documents_are_sent_once(runner, top_k: int | None) -> None:
    """Several retrievers may find the same document. Each copy has the score."""
    service = FakeService()
    documents = ["b", "a", "", "b", "c", "a", "b"]
    found = runner.call(voyage_over(service), "rerank", "q", documents, RERANKER, top_k)

    assert service.bodies[0]["documents"] == ["b", "a", "c"]
    scored = [(n, text, score_of("q", text) if text else 0.0) for n, text in enumerate(documents)]
    ranked = sorted(scored, key=lambda each: -each[2])
    assert found.results == [RerankingResult(*each) for each in ranked[:top_k]]


def test_top_k_beyond_the_documents_is_not_sent() -> None:
    """Each request asks for no more than it holds."""
    service = FakeService()
    voyage_over(service).rerank("q", ["a", "b"], RERANKER, top_k=9)

    assert service.bodies[0]["top_k"] == 2


def test_a_document_that_does_not_fit_is_named_by_its_position() -> None:
    """The request is halved down to one document, which the error names."""

    def always(body: bytes) -> Response:
        huge = "huge" in json.loads(body)["documents"]
        return failed(400, TOO_MANY_TOKENS) if huge else served(body)

    with pytest.raises(InvalidRequestError) as caught:
        voyage_over(FakeService(always=always)).rerank("q", ["a", "b", "huge", "d"], RERANKER)

    assert caught.value.indices == (2,)


def test_a_failure_of_one_request_fails_the_ranking(runner) -> None:
    """There are no incomplete rankings."""
    service = FakeService(always=lambda body: failed(500) if b"1200" in body else served(body))
    voyage = voyage_over(service, max_retries=0)

    with pytest.raises(ServerError):
        runner.call(voyage, "rerank", "q", documents_up_to(1_500), RERANKER)


def test_an_error_of_any_class_names_its_documents() -> None:
    """As for texts, `indices` are the positions that were in the request."""
    service = FakeService(always=lambda body: failed(500) if b"1200" in body else served(body))

    with pytest.raises(ServerError) as caught:
        voyage_over(service, max_retries=0).rerank("q", documents_up_to(1_500), RERANKER)

    assert tuple(range(1_000, 1_500)) == caught.value.indices


def test_a_ranking_beyond_a_minutes_tokens_is_cut(runner) -> None:
    """The free tier would always reject it as a whole, so it is sent in parts and merged."""
    service = FakeService(failed(429, FREE_TIER))
    documents = [f"{number} " + "word " * 400 for number in range(60)]

    found = runner.call(voyage_over(service), "rerank", "q", documents, RERANKER)

    assert len(found.results) == 60
    assert len(service.bodies[0]["documents"]) == 60
    assert all(len(body["documents"]) <= 30 for body in service.bodies[1:])


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────


def test_a_failure_carries_the_documents_that_were_ranked(runner) -> None:
    """By falling relevance, with the positions of the others and what the ranking cost."""
    service = FakeService(always=lambda body: failed(500) if b"1200" in body else served(body))
    documents = documents_up_to(1_500)

    with pytest.raises(ServerError) as caught:
        runner.call(voyage_over(service, max_retries=0), "rerank", "q", documents, RERANKER, 3)

    partial = caught.value.partial
    assert partial.results == expected("q", documents[:1_000], 3)
    assert partial.missing == tuple(range(1_000, 1_500))
    assert (partial.usage, partial.model) == (
        Usage(sum(map(len, documents[:1_000])), 1),
        RERANKER,
    )


@pytest.mark.parametrize("top_k", [None, 2])
def test_scores_are_cached_by_query_and_document(runner, tmp_path: Path, top_k: int | None) -> None:
    """A later call asks for the documents that are new, whatever the order and the others."""
    service = FakeService()
    documents = documents_up_to(6)
    with voyage_over(service, cache=tmp_path / "cache.db") as voyage:
        runner.call(voyage, "rerank", "q", documents, RERANKER)
        again = runner.call(voyage, "rerank", "q", [*documents[::-1], "new"], RERANKER, top_k)
        other = runner.call(voyage, "rerank", "another", documents, RERANKER)

    assert expected("q", [*documents[::-1], "new"], top_k) == again.results
    assert expected("another", documents) == other.results
    assert [body["documents"] for body in service.bodies] == [documents, ["new"], documents]
    assert again.usage == Usage(len("new"), 1)


def test_documents_beyond_top_k_are_not_cached(tmp_path: Path) -> None:
    """They have no score, so they are sent again. The ranking is that of one request."""
    service = FakeService()
    documents = documents_up_to(6)
    with voyage_over(service, cache=tmp_path / "cache.db") as voyage:
        first = voyage.rerank("q", documents, RERANKER, top_k=2)
        every = voyage.rerank("q", documents, RERANKER)

    assert expected("q", documents, 2) == first.results
    assert expected("q", documents) == every.results
    assert len(service.bodies[1]["documents"]) == 4


def test_the_ranking_of_another_model_or_truncation_is_not_taken(tmp_path: Path) -> None:
    """Scores depend on both."""
    service = FakeService()
    with voyage_over(service, cache=tmp_path / "cache.db") as voyage:
        voyage.rerank("q", ["a"], "rerank-3")
        voyage.rerank("q", ["a"], "rerank-3", truncation=False)
        voyage.rerank("q", ["a"], "rerank-3-lite")

    assert len(service.attempts) == 3


# ── blank documents and thresholds ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "blanks"), [("last", [(1, "", 0.0), (3, " \n", 0.0)]), ("drop", [])]
)
def test_blank_documents_are_not_sent(runner, policy: str, blanks: list[Any]) -> None:
    """They come last, with a score of 0, or are left out."""
    service = FakeService()
    documents = ["a", "", "b", " \n"]
    voyage = voyage_over(service)

    found = runner.call(voyage, "rerank", "q", documents, RERANKER, blank_documents=policy)

    assert service.bodies[0]["documents"] == ["a", "b"]
    ranked = sorted([(n, documents[n], score_of("q", documents[n])) for n in (0, 2)], key=by_score)
    assert found.results == ranked + blanks


def by_score(result: tuple[int, str, float]) -> float:
    return -result[2]


def test_blank_documents_alone_are_ranked_without_a_request(runner) -> None:
    """And a threshold leaves them out."""
    service = FakeService()
    voyage = voyage_over(service)

    assert [
        r.index for r in runner.call(voyage, "rerank", "q", ["", " "], RERANKER, 1).results
    ] == [0]
    found = runner.call(voyage, "rerank", "q", ["", " "], RERANKER, score_threshold=0.1)

    assert (found.results, service.attempts) == ([], [])


def test_a_threshold_leaves_out_lower_scores(runner) -> None:
    """Of those that top_k leaves; a score that reaches it stays."""
    documents = documents_up_to(9)
    best = expected("q", documents, 6)
    threshold = best[3].relevance_score

    found = runner.call(
        voyage_over(FakeService()), "rerank", "q", documents, RERANKER, 6, score_threshold=threshold
    )

    assert found.results == best[:4]


def test_half_a_character_may_be_replaced(runner) -> None:
    """In the query and in documents; one retrieved passage does not fail the question."""
    service = FakeService()
    voyage = voyage_over(service)

    with pytest.raises(InvalidInputError, match=r"documents\[1\] contains a lone surrogate"):
        runner.call(voyage, "rerank", "q", ["a", "b\ud83d"], RERANKER)
    with pytest.raises(InvalidInputError, match="invalid_text must be one of"):
        runner.call(voyage, "rerank", "q", ["a"], RERANKER, invalid_text="drop")
    runner.call(voyage, "rerank", "\ud83d?", ["a", "b\ud83d"], RERANKER, invalid_text="replace")

    (body,) = service.bodies
    assert (body["query"], body["documents"]) == ("\ufffd?", ["a", "b\ufffd"])
