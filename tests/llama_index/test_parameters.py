"""The parameters of LlamaIndex's Voyage classes work unchanged, positions included."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import ValidationError

from voyage_rag.llama_index import VoyageAIRerank, VoyageAutoChunker, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"

# The signatures of the vendor's classes, in their order, with other values than the defaults.
PEERS_EMBEDDING: dict[str, Any] = {
    "model_name": "voyage-3.5",
    "voyage_api_key": KEY,
    "embed_batch_size": 7,
    "truncation": False,
    "output_dtype": "int8",
    "output_dimension": 512,
    "callback_manager": CallbackManager([]),
}
PEERS_RERANK: dict[str, Any] = {
    "model": "rerank-2.5",
    "api_key": KEY,
    "top_n": 2,
    "truncation": False,
    "top_k": 3,
}
PEERS = [(VoyageEmbedding, PEERS_EMBEDDING), (VoyageAIRerank, PEERS_RERANK)]


@pytest.mark.parametrize(("kind", "given"), PEERS)
def test_the_order_of_the_parameters_is_the_vendors(kind: type, given: dict[str, Any]) -> None:
    """Positional arguments have the same order."""
    named = list(inspect.signature(kind.__init__).parameters)
    assert named[1 : 1 + len(given)] == list(given)


@pytest.mark.parametrize("by_position", [True, False])
@pytest.mark.parametrize(("kind", "given"), PEERS)
def test_the_vendors_parameters_are_taken(
    kind: type, given: dict[str, Any], by_position: bool
) -> None:
    """All of them together, by position and by name."""
    made = kind(*given.values()) if by_position else kind(**given)
    for name, value in given.items():
        if name not in {"voyage_api_key", "api_key", "top_k"}:
            assert getattr(made, name) == value
    assert made.voyage.settings.api_key.get_secret_value() == KEY


def test_the_vendors_embedding_parameters_reach_the_service(
    emulator: Emulator, runner: Runner
) -> None:
    """The service receives the given values."""
    made = VoyageEmbedding(**PEERS_EMBEDDING, base_url=emulator.url)
    texts = [f"text {number}" for number in range(10)]
    if runner.name == "trio":  # LlamaIndex sends lists with asyncio.gather
        texts = texts[:1]
        runner.call(made, "get_text_embedding", texts[0])
    else:
        runner.call(made, "get_text_embedding_batch", texts)
    assert max(len(request.body["input"]) for request in emulator.requests) == min(7, len(texts))
    for request in emulator.requests:
        assert {**request.body, "input": None} == {
            "input": None,
            "model": "voyage-3.5",
            "input_type": "document",
            "output_dtype": "int8",
            "output_dimension": 512,
            "truncation": False,
            "encoding_format": "base64",
        }


@pytest.mark.parametrize(
    ("given", "top_k"),
    [({"top_n": 2}, 2), ({"top_k": 3}, 3), ({"top_n": 2, "top_k": 3}, 2), ({}, None)],
)
def test_the_older_name_of_top_n_works(
    given: dict[str, int], top_k: int | None, make: Any, emulator: Emulator, runner: Runner
) -> None:
    """As in the vendor's class, top_n goes first."""
    made = make(VoyageAIRerank, "rerank-2.5", truncation=False, **given)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in "abcd"]
    ranked = runner.call(made, "postprocess_nodes", nodes, query_str="which?")
    assert len(ranked) == (top_k or 4)
    assert emulator.requests[0].body == {
        "query": "which?",
        "documents": ["a", "b", "c", "d"],
        "model": "rerank-2.5",
        "truncation": False,
        **({"top_k": top_k} if top_k else {}),
    }


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (VoyageEmbedding, ("voyage-4",)),
        (VoyageAIRerank, ("rerank-3",)),
        (VoyageAutoChunker, ()),
    ],
)
def test_a_callback_manager_may_be_none(make: Any, kind: type, arguments: tuple[str, ...]) -> None:
    """For example if a program forwards its own optional one."""
    made = make(kind, *arguments, callback_manager=None)
    assert made.callback_manager.handlers == []


@pytest.mark.parametrize("name", ["top_n", "top_k"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_top_n_that_cannot_work_is_refused(name: str, value: int) -> None:
    """0 does not mean all."""
    with pytest.raises(ValidationError, match="top_n"):
        VoyageAIRerank("rerank-3", KEY, **{name: value})


def test_the_defaults_are_the_vendors() -> None:
    """Omitted parameters mean the same, except that batches are planned by the client."""
    embedding = VoyageEmbedding("voyage-4", KEY)
    assert embedding.embed_batch_size == 2_048
    assert (embedding.truncation, embedding.output_dtype, embedding.output_dimension) == (None,) * 3
    assert isinstance(embedding.callback_manager, CallbackManager)
    assert VoyageEmbedding.class_name() == "VoyageEmbedding"
    reranker = VoyageAIRerank("rerank-3", KEY)
    assert (reranker.top_n, reranker.truncation) == (None, True)
    assert VoyageAIRerank.class_name() == "VoyageAIRerank"


def test_the_parameters_of_the_base_class_are_taken() -> None:
    """What every embedding of LlamaIndex has."""
    cache, limiter = SimpleKVStore(), TokenBucketRateLimiter(requests_per_minute=60)
    made = VoyageEmbedding(
        "voyage-4", KEY, num_workers=3, embeddings_cache=cache, rate_limiter=limiter
    )
    assert made.num_workers == 3
    assert made.embeddings_cache is cache
    assert made.rate_limiter is limiter


def test_a_reranker_takes_a_callback_manager(callbacks: Any) -> None:
    """Which the vendor's does not."""
    manager = callbacks.manager
    assert VoyageAIRerank("rerank-3", KEY, callback_manager=manager).callback_manager is manager


@pytest.mark.parametrize("truncation", [None, True])
def test_no_truncation_given_is_truncation(
    truncation: bool | None, make: Any, emulator: Emulator, runner: Runner
) -> None:
    """As in the vendor's class."""
    made = make(VoyageEmbedding, "voyage-4", truncation=truncation)
    runner.call(made, "get_text_embedding", "a")
    assert emulator.requests[0].body["truncation"] is True


@pytest.mark.parametrize("prompt", [None, "query", "document"])
def test_a_text_can_have_a_prompt_of_its_own(
    prompt: Any, make: Any, emulator: Emulator, runner: Runner
) -> None:
    """Under the name the vendor's class has for it."""
    made = make(VoyageEmbedding, "voyage-4")
    vector = runner.call(made, "get_general_text_embedding", "a text", prompt)
    assert len(vector) == 1_024
    assert emulator.requests[0].body.get("input_type") == prompt
