"""The parameters of `langchain_voyageai` work unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIRerank

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"

# The signature of the vendor's class, with other values than the defaults.
PEERS_EMBEDDINGS: dict[str, Any] = {
    "model": "voyage-3.5",
    "batch_size": 7,
    "output_dimension": 512,
    "show_progress_bar": True,
    "truncation": False,
    "api_key": SecretStr(KEY),
    "base_url": "https://ai.mongodb.com/v1",
}
PEERS_RERANK: dict[str, Any] = {
    "model": "rerank-2.5",
    "top_k": 3,
    "truncation": False,
    "api_key": SecretStr(KEY),
    "base_url": "https://ai.mongodb.com/v1",
}
PEERS = [(VoyageAIEmbeddings, PEERS_EMBEDDINGS), (VoyageAIRerank, PEERS_RERANK)]


@pytest.mark.parametrize(("kind", "given"), PEERS)
@pytest.mark.parametrize("key_name", ["api_key", "voyage_api_key"])
def test_the_vendors_parameters_are_taken(kind: type, given: dict[str, Any], key_name: str) -> None:
    """All of them together, the key under both of its names and as any SecretStr."""
    given = dict(given)
    key = given.pop("api_key")
    made = kind(**given, **{key_name: key})
    assert {name: getattr(made, name) for name in given} == given
    assert made.voyage_api_key.get_secret_value() == KEY
    assert made.voyage.settings.base_url == given["base_url"]


def test_the_vendors_embedding_parameters_reach_the_service(
    emulator: Emulator, make: Any, runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service receives the given values."""
    given = PEERS_EMBEDDINGS | {"base_url": emulator.url}
    made = make(VoyageAIEmbeddings, **given)
    runner.call(made, "embed_documents", [f"text {number}" for number in range(10)])
    assert sorted(len(request.body["input"]) for request in emulator.requests) == [3, 7]
    for request in emulator.requests:
        assert {**request.body, "input": None} == {
            "input": None,
            "model": "voyage-3.5",
            "input_type": "document",
            "output_dimension": 512,
            "truncation": False,
            "encoding_format": "base64",
        }
    assert "10/10" in capsys.readouterr().err


def test_the_vendors_rerank_parameters_reach_the_service(
    emulator: Emulator, make: Any, runner: Runner
) -> None:
    """The service receives the given values."""
    made = make(VoyageAIRerank, **PEERS_RERANK | {"base_url": emulator.url})
    assert len(runner.call(made, "rerank", ["a", "b", "c", "d"], "which?")) == 3
    assert emulator.requests[0].body == {
        "query": "which?",
        "documents": ["a", "b", "c", "d"],
        "model": "rerank-2.5",
        "top_k": 3,
        "truncation": False,
    }


def test_the_defaults_are_the_vendors() -> None:
    """Omitted parameters mean the same, except that batches are planned."""
    embeddings = VoyageAIEmbeddings(model="voyage-4", api_key=KEY)
    assert embeddings.batch_size is None
    assert embeddings.output_dimension is None
    assert (embeddings.truncation, embeddings.show_progress_bar) == (True, False)
    reranker = VoyageAIRerank(model="rerank-3", api_key=KEY)
    assert (reranker.top_k, reranker.truncation) == (None, True)
