"""Both classes in an index, a retriever and a query engine of LlamaIndex's own parts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator
    from voyage_rag.llama_index import VoyageAIRerank, VoyageEmbedding

KEY = "pa-a-key-that-must-stay-secret"
QUERY = "Where does the cat sleep?"
ANSWER = "The cat sleeps on the sofa in the living room."
TEXTS = [
    "Interest rates rose in March.",
    "The train to Lyon leaves at noon.",
    ANSWER,
    "Rivers provide water and habitat.",
    "The cat eats fish.",
]

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex's indices and engines are asyncio's alone."""


@pytest.fixture
def index(embedding: VoyageEmbedding) -> VectorStoreIndex:
    """An index in memory."""
    nodes = [TextNode(id_=str(number), text=text) for number, text in enumerate(TEXTS)]
    return VectorStoreIndex(nodes, embed_model=embedding)


def inputs(emulator: Emulator) -> list[tuple[str, str | None]]:
    return [(request.path, request.body.get("input_type")) for request in emulator.requests]


def nearest(index: VectorStoreIndex, question: str) -> str:
    return index.as_retriever(similarity_top_k=1).retrieve(question)[0].node.node_id


def check(found: list[NodeWithScore]) -> None:
    assert found[0].node.node_id == "2"
    assert found[0].node.get_content(MetadataMode.NONE) == ANSWER


@both
def test_retrieve_and_rerank(
    index: VectorStoreIndex, reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """Nodes as documents, the question as a query, then the ranking."""
    retriever = index.as_retriever(similarity_top_k=3)
    found = retriever.retrieve(QUERY) if runner.is_sync else asyncio.run(retriever.aretrieve(QUERY))
    ranked = runner.call(reranker, "postprocess_nodes", found, query_str=QUERY)
    assert len(ranked) == 3
    check(ranked)
    assert inputs(emulator) == [
        ("/v1/embeddings", "document"),
        ("/v1/embeddings", "query"),
        ("/v1/rerank", None),
    ]


@both
def test_a_query_engine_answers(
    index: VectorStoreIndex, reranker: VoyageAIRerank, emulator: Emulator, runner: Runner
) -> None:
    """The language model receives the reranked text, without scores."""
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=4, node_postprocessors=[reranker]
    )
    reranker.top_n = 2
    answer = engine.query(QUERY) if runner.is_sync else asyncio.run(engine.aquery(QUERY))
    check(answer.source_nodes)
    assert len(answer.source_nodes) == 2
    assert ANSWER in str(answer)  # a MockLLM repeats its prompt
    assert len(emulator.requests) == 3


@both
def test_an_index_is_changed(index: VectorStoreIndex, runner: Runner) -> None:
    """Inserted nodes are found, deleted ones are not."""
    node = TextNode(id_="new", text="A dog sleeps in the kennel.")
    if runner.is_sync:
        index.insert_nodes([node])
    else:
        asyncio.run(index.ainsert_nodes([node]))
    assert nearest(index, node.text) == "new"
    index.delete_nodes(["new"])
    assert nearest(index, node.text) != "new"


def test_an_index_on_disk_holds_no_key(
    index: VectorStoreIndex, embedding: VoyageEmbedding, tmp_path: Path, emulator: Emulator
) -> None:
    """And is loaded without embedding anything again."""
    index.storage_context.persist(str(tmp_path))
    assert not [path for path in tmp_path.iterdir() if KEY in path.read_text("utf-8")]
    emulator.requests.clear()
    stored = StorageContext.from_defaults(persist_dir=str(tmp_path))
    loaded: Any = load_index_from_storage(stored, embed_model=embedding)
    assert nearest(loaded, QUERY) == "2"
    assert inputs(emulator) == [("/v1/embeddings", "query")]
