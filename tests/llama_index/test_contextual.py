"""Nodes embedded with the context of their source document."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import (
    BaseNode,
    Document,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
    TransformComponent,
)

from voyage_rag import ConfigurationError, InvalidInputError, ServerError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner

MODEL = "voyage-context-4"
CONTRACT = ["The tenant pays the rent in advance.", "It is due on the third of each month."]
SOUP = ["Chop two onions.", "It is due on the third of each month.", "Simmer for an hour."]
KINDS = [VoyageEmbedding, VoyageContextualEmbedding]

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex sends lists of texts with asyncio.gather, so they are not for trio."""


def node(text: str, document: str | None = None, **fields: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)} if document else {}
    return TextNode(text=text, relationships=source, **fields)


def mixed_nodes() -> list[BaseNode]:
    """Two documents, their nodes mixed, and two nodes of no document."""
    return [
        node(SOUP[0], "soup"),
        node(CONTRACT[0], "contract"),
        node("alone"),
        node(SOUP[1], "soup"),
        node(CONTRACT[1], "contract"),
        node("alone"),
        node(SOUP[2], "soup"),
    ]


def transform(
    embedding: TransformComponent, runner: Runner, nodes: list[BaseNode]
) -> list[BaseNode]:
    """Call it as pipelines do."""

    async def run() -> Any:
        return embedding(nodes) if runner.is_sync else await embedding.acall(nodes)

    return runner.run(run)


@pytest.fixture
def contextual(make: Any) -> VoyageContextualEmbedding:
    return make(VoyageContextualEmbedding, MODEL, output_dimension=256)


def expected(embedding: VoyageEmbedding, *documents: list[str]) -> list[Any]:
    """The vectors of each document, by the client."""
    found = embedding.voyage.contextualized_embed(
        documents, MODEL, "document", output_dimension=256
    )
    return [result.embeddings for result in found.results]


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_are_grouped_by_their_source_document_in_order(
    kind: type[VoyageEmbedding], make: Any, emulator: Emulator, runner: Runner
) -> None:
    """One request, one list per document, and every node has its own vector."""
    embedding = make(kind, MODEL, output_dimension=256)
    nodes = mixed_nodes()

    given = transform(embedding, runner, nodes)

    [request] = emulator.requests
    assert request.path == "/v1/contextualizedembeddings"
    assert request.body["inputs"] == [SOUP, CONTRACT, ["alone"], ["alone"]]
    assert request.body["input_type"] == "document"
    soup, contract, alone, _ = expected(embedding, SOUP, CONTRACT, ["alone"], ["alone"])
    assert [node.embedding for node in given] == [
        *(soup[0], contract[0], alone[0], soup[1], contract[1], alone[0], soup[2])
    ]
    assert given is nodes


def test_a_nodes_vector_depends_on_its_own_document_and_on_nothing_else(
    contextual: VoyageEmbedding, runner: Runner
) -> None:
    first = transform(contextual, runner, mixed_nodes())
    alone = transform(contextual, runner, [node(text, "contract") for text in CONTRACT])
    changed = transform(contextual, runner, [node(CONTRACT[0], "x"), node("Something else.", "x")])
    assert [first[1].embedding, first[4].embedding] == [one.embedding for one in alone]
    assert changed[0].embedding != alone[0].embedding
    assert first[3].embedding != first[4].embedding  # the same words in two documents


def test_what_is_embedded_is_what_the_node_wants_embedded(
    contextual: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    """With the metadata that the node does not exclude."""
    one = node(
        "text", "a", metadata={"title": "T", "page": 3}, excluded_embed_metadata_keys=["page"]
    )
    transform(contextual, runner, [one])
    assert emulator.requests[0].body["inputs"] == [[one.get_content(MetadataMode.EMBED)]]
    assert "title: T" in emulator.requests[0].body["inputs"][0][0]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_pipeline_embeds_after_its_splitter(
    way: str, contextual: VoyageEmbedding, emulator: Emulator
) -> None:
    splitter = TokenTextSplitter(chunk_size=20, chunk_overlap=0, include_metadata=False)
    documents = [
        Document(id_=name, text=" ".join(f"{name}{number}" for number in range(60)))
        for name in ("a", "b")
    ]
    pipeline = IngestionPipeline(transformations=[splitter, contextual])

    run = {
        "sync": lambda: pipeline.run(documents=documents),
        "async": lambda: asyncio.run(pipeline.arun(documents=documents)),
    }[way]
    nodes = run()

    by_document = [
        [one.get_content() for one in nodes if one.ref_doc_id == name] for name in ("a", "b")
    ]
    assert min(map(len, by_document)) > 3
    assert [request.body["inputs"] for request in emulator.requests] == [by_document]
    assert all(len(one.embedding or []) == 256 for one in nodes)


def test_an_index_embeds_in_context_and_is_searched_as_usual(make: Any, emulator: Emulator) -> None:
    """Under 15 lines for a user: documents in, answers out."""
    embedding = make(VoyageContextualEmbedding)
    documents = [
        Document(text="\n\n".join(CONTRACT), metadata={"file": "contract.txt"}),
        Document(text="\n\n".join(SOUP), metadata={"file": "soup.txt"}),
    ]
    splitter = TokenTextSplitter(chunk_size=30, chunk_overlap=0)
    index = VectorStoreIndex.from_documents(
        documents, transformations=[splitter, embedding], embed_model=embedding
    )
    found = index.as_retriever(similarity_top_k=1).retrieve("How do I make it with onions?")
    assert found[0].node.metadata["file"] == "soup.txt"
    assert [request.body["input_type"] for request in emulator.requests] == ["document", "query"]
    assert len(emulator.requests[0].body["inputs"]) == 2


@both
@pytest.mark.parametrize("kind", KINDS)
def test_queries_and_lone_texts_are_embedded_as_they_are(
    kind: type[VoyageEmbedding], make: Any, emulator: Emulator, runner: Runner
) -> None:
    embedding = make(kind, MODEL)
    runner.call(embedding, "get_query_embedding", "rent?")
    runner.call(embedding, "get_text_embedding", "The rent.")
    runner.call(embedding, "get_text_embedding_batch", ["The rent."])
    assert [(r.path, r.body["inputs"], r.body["input_type"]) for r in emulator.requests] == [
        ("/v1/contextualizedembeddings", [["rent?"]], "query"),
        ("/v1/contextualizedembeddings", [["The rent."]], "document"),
        ("/v1/contextualizedembeddings", [["The rent."]], "document"),
    ]


@both
def test_texts_without_nodes_are_never_one_document(
    make: Any, emulator: Emulator, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """They are embedded separately, with a warning that names the remedy."""
    embedding = make(VoyageEmbedding, MODEL, output_dimension=256)
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        for _ in range(2):
            together = runner.call(embedding, "get_text_embedding_batch", SOUP)
    assert together == [vector for [vector] in expected(embedding, *([text] for text in SOUP))]
    assert emulator.requests[0].body["inputs"] == [[text] for text in SOUP]
    [record] = caplog.records
    assert "as a transformation" in record.getMessage()


@both
def test_the_strict_class_refuses_texts_without_nodes(
    contextual: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    with pytest.raises(InvalidInputError, match=r"IngestionPipeline\(transformations="):
        runner.call(contextual, "get_text_embedding_batch", SOUP)
    with pytest.raises(InvalidInputError, match="run this as a transformation"):
        VectorStoreIndex([node(text, "soup") for text in SOUP], embed_model=contextual)
    assert emulator.requests == []


def test_the_strict_class_is_for_models_of_chunks_only() -> None:
    with pytest.raises(ConfigurationError, match="'voyage-4' does not embed chunks in context"):
        VoyageContextualEmbedding("voyage-4", api_key="pa-x")


@both
def test_other_models_embed_nodes_as_before(make: Any, emulator: Emulator, runner: Runner) -> None:
    embedding = make(VoyageEmbedding, "voyage-4")
    transform(embedding, runner, mixed_nodes())
    assert [request.path for request in emulator.requests] == ["/v1/embeddings"]


def test_llama_index_receives_events(
    make: Any, callbacks: Any, events: list[Any], runner: Runner
) -> None:
    """Events and callbacks, as of any embedding."""
    embedding = make(VoyageContextualEmbedding, MODEL, callback_manager=callbacks.manager)
    transform(embedding, runner, mixed_nodes())
    start, end = (event for event in events if type(event).__name__.startswith("Embedding"))
    assert start.model_dict["model_name"] == MODEL
    assert len(end.chunks) == len(end.embeddings) == 7
    assert len(callbacks.starts) == 1
    [(_, payload)] = callbacks.ends
    assert payload["chunks"] == end.chunks


def test_a_failure_names_nodes_and_keeps_what_was_paid_for(runner: Runner) -> None:
    with Emulator(faults=[status(500)]) as url:
        embedding = VoyageEmbedding(MODEL, api_key="pa-x", base_url=url, max_retries=0)
        with pytest.raises(ServerError) as caught:
            transform(embedding, runner, mixed_nodes())
        embedding.voyage.close()
    assert caught.value.indices == (0, 1, 2, 3, 4, 5, 6)
    assert caught.value.partial.missing == (0, 1, 2, 3, 4, 5, 6)


def test_an_empty_node_is_refused_or_zeros(make: Any, runner: Runner) -> None:
    nodes = [node("a", "x"), node("", "x")]
    with pytest.raises(InvalidInputError, match=r"chunks\[1\] is empty"):
        transform(make(VoyageEmbedding, MODEL), runner, nodes)
    given = transform(make(VoyageEmbedding, MODEL, empty_text="zeros"), runner, nodes)
    assert set(given[1].embedding or []) == {0.0}
