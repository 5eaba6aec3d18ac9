"""The gateway api.aimlapi.com as its documentation shows it: one exchange, replayed by all."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cassette import load, played
from voyage_rag import InvalidInputError, Voyage
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner

CASSETTE = "aimlapi_voyage_2"
CONNECTION = {"api_key": "aimlapi-key", "base_url": "https://api.aimlapi.com/v1"}
TEXT, MODEL = "Laura is a DJ.", "voyage-2"


def documented() -> dict[str, Any]:
    """The response that the documentation shows."""
    return load(CASSETTE).interactions[0]["response"]["body"]


def is_the_documented_vector(vector: list[float]) -> bool:
    (item,) = documented()["data"]
    return len(vector) == 1_024 and vector == pytest.approx(item["embedding"], abs=1e-8)


def test_the_exchange_is_the_documented_one() -> None:
    """The request holds two fields, the answer 1,024 numbers and a usage of which half is null."""
    (exchange,) = load(CASSETTE).interactions
    assert exchange["request"] == {
        "method": "POST",
        "url": "https://api.aimlapi.com/v1/embeddings",
        "body": {"input": TEXT, "model": MODEL},
    }
    (item,) = documented()["data"]
    assert len(item["embedding"]) == 1_024
    assert sqrt(sum(number * number for number in item["embedding"])) == pytest.approx(1, abs=1e-6)
    assert documented()["usage"] == {"prompt_tokens": None, "total_tokens": 6}
    assert load(CASSETTE).provenance.kind == "documented exchange"
    assert "AI/ML API documentation" in load(CASSETTE).provenance.detail


@pytest.mark.parametrize("input_type", [None, "query", "document"])
@pytest.mark.parametrize("texts", [TEXT, [TEXT]], ids=["string", "list"])
def test_the_client_replays_the_cassette(texts: object, input_type: Any, runner: Runner) -> None:
    """1,024 numbers and 6 tokens; the input type, which the gateway does not know, is not sent."""
    voyage = Voyage(**CONNECTION)
    with played(CASSETTE):
        answer = runner.call(voyage, "embed", texts, MODEL, input_type)
    assert is_the_documented_vector(answer.embeddings[0])
    assert (answer.total_tokens, voyage.usage.total_tokens) == (6, 6)


def test_langchain_replays_the_cassette(runner: Runner) -> None:
    """A document and a query are sent as the same bytes."""
    embeddings = VoyageAIEmbeddings(model=MODEL, **CONNECTION)
    with played(CASSETTE):
        (vector,) = runner.call(embeddings, "embed_documents", [TEXT])
    with played(CASSETTE):
        assert runner.call(embeddings, "embed_query", TEXT) == vector
    assert is_the_documented_vector(vector)
    assert embeddings.usage.total_tokens == 12


def test_llama_index_replays_the_cassette(runner: Runner) -> None:
    """A text and a query are sent as the same bytes."""
    embedding = VoyageEmbedding(MODEL, **CONNECTION)
    with played(CASSETTE):
        vector = runner.call(embedding, "get_text_embedding", TEXT)
    with played(CASSETTE):
        assert runner.call(embedding, "get_query_embedding", TEXT) == vector
    assert is_the_documented_vector(vector)
    assert embedding.usage.total_tokens == 12


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": None, "total_tokens": None}, {}])
def test_a_usage_of_nothing_is_no_tokens(usage: object, runner: Runner) -> None:
    """The gateway's schema lets usage be null, whole or in part."""
    answer = documented() | {"usage": usage}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    voyage = Voyage(
        **CONNECTION,
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )
    found = runner.call(voyage, "embed", [TEXT], MODEL)
    assert is_the_documented_vector(found.embeddings[0])
    assert found.total_tokens == 0


def test_it_has_no_reranker(runner: Runner) -> None:
    """Refused before anything is sent, and the message says what to use."""
    with pytest.raises(InvalidInputError, match=r"api\.aimlapi\.com serves /embeddings only"):
        runner.call(Voyage(**CONNECTION), "rerank", TEXT, [TEXT], "rerank-3")
    with pytest.raises(InvalidInputError, match="use the Voyage API"):
        runner.call(LangChainRerank(model="rerank-3", **CONNECTION), "rerank", [TEXT], TEXT)


def test_it_always_truncates(runner: Runner) -> None:
    """truncation=False is not possible, and is refused rather than dropped."""
    with pytest.raises(InvalidInputError, match="does not support truncation=False"):
        runner.call(Voyage(**CONNECTION), "embed", [TEXT], MODEL, truncation=False)
    with pytest.raises(InvalidInputError, match="does not support truncation=False"):
        runner.call(
            VoyageEmbedding(MODEL, truncation=False, **CONNECTION), "get_text_embedding", TEXT
        )
