"""Documents in, nodes with vectors out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import Document, NodeRelationship

from voyage_rag import ConfigurationError, InvalidInputError
from voyage_rag.llama_index import VoyageAutoChunker, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

MODEL = "voyage-context-4"
TEXT = "Cats sleep in the sun. " * 30 + "Dogs run through the snow. " * 30


def documents() -> list[Document]:
    return [
        Document(text=TEXT, id_="pets", metadata={"file_name": "pets.md"}),
        Document(text=" \n", id_="blank"),
        Document(text="Onions are fried in butter.", id_="soup"),
    ]


@pytest.fixture
def chunker(make: Any) -> VoyageAutoChunker:
    return make(VoyageAutoChunker, chunk_size=32, output_dimension=256)


def parse(chunker: VoyageAutoChunker, given: list[Document], runner: Runner) -> list[Any]:
    async def program() -> Any:
        return chunker(given) if runner.is_sync else await chunker.acall(given)

    return runner.run(program)


def test_nodes_are_slices_of_their_documents_with_the_vectors_of_the_response(
    chunker: VoyageAutoChunker, emulator: Emulator, runner: Runner
) -> None:
    nodes = parse(chunker, documents(), runner)

    [request] = emulator.requests
    assert request.body["inputs"] == [[TEXT], ["Onions are fried in butter."]]
    assert (request.body["chunk_size"], request.body["enable_auto_chunking"]) == (32, True)
    results = chunker.voyage.contextualized_embed(
        [TEXT, "Onions are fried in butter."],
        MODEL,
        "document",
        output_dimension=256,
        enable_auto_chunking=True,
        chunk_size=32,
    ).results
    texts = [text for result in results for text in result.chunk_texts or []]
    assert [node.text for node in nodes] == texts
    assert [node.embedding for node in nodes] == [v for r in results for v in r.embeddings]
    pets = [node for node in nodes if node.ref_doc_id == "pets"]
    assert len(pets) == len(nodes) - 1 > 5
    assert [(node.start_char_idx, node.end_char_idx) for node in pets] == [
        (start, start + len(node.text))
        for node, start in zip(
            pets, (sum(len(n.text) for n in pets[:at]) for at in range(len(pets))), strict=True
        )
    ]
    assert all(TEXT[node.start_char_idx : node.end_char_idx] == node.text for node in pets)


def test_nodes_have_metadata_and_relationships(chunker: VoyageAutoChunker, runner: Runner) -> None:
    first, second, *_, last = parse(chunker, documents()[:1], runner)
    assert first.metadata == {"file_name": "pets.md"}
    assert first.relationships[NodeRelationship.SOURCE].node_id == "pets"
    assert first.relationships[NodeRelationship.NEXT].node_id == second.node_id
    assert second.relationships[NodeRelationship.PREVIOUS].node_id == first.node_id
    assert NodeRelationship.NEXT not in last.relationships


@pytest.mark.parametrize("way", ["index", "pipeline", "async pipeline"])
def test_nothing_is_embedded_twice(
    chunker: VoyageAutoChunker, make: Any, emulator: Emulator, way: str
) -> None:
    """Not by a pipeline's cache, nor by the index, which takes the vectors of the nodes."""
    embedding = make(VoyageEmbedding, MODEL, output_dimension=256)
    if way == "index":
        index = VectorStoreIndex.from_documents(
            documents(), transformations=[chunker], embed_model=embedding
        )
    else:
        pipeline = IngestionPipeline(transformations=[chunker])
        for _ in range(2):
            nodes = (
                pipeline.run(documents=documents())
                if way == "pipeline"
                else asyncio.run(pipeline.arun(documents=documents()))
            )
        index = VectorStoreIndex(nodes, embed_model=embedding)
    found = index.as_retriever(similarity_top_k=1).retrieve("onions")
    assert found[0].node.ref_doc_id == "soup"
    assert [request.body["input_type"] for request in emulator.requests] == ["document", "query"]


def test_a_document_is_refreshed(chunker: VoyageAutoChunker, make: Any, emulator: Emulator) -> None:
    embedding = make(VoyageEmbedding, MODEL, output_dimension=256)
    index = VectorStoreIndex.from_documents(
        documents(), transformations=[chunker], embed_model=embedding
    )
    changed = [Document(text="Dogs only.", id_="pets"), *documents()[2:]]
    assert index.refresh_ref_docs(changed) == [True, False]
    held = [index.docstore.get_node(id_) for id_ in index.vector_store.data.embedding_dict]
    assert sorted(node.text for node in held) == ["Dogs only.", "Onions are fried in butter."]
    assert len(emulator.requests) == 2


def test_a_serialised_object_is_restored(chunker: VoyageAutoChunker) -> None:
    again = VoyageAutoChunker.from_dict(chunker.to_dict())
    assert again.to_dict() == chunker.to_dict()
    assert "secret" not in repr(chunker) + chunker.to_json()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "voyage-4"}, "'voyage-4' does not split documents"),
        ({"chunk_size": 0}, "chunk_size must be a whole number of at least 1"),
        ({"chunk_size": 32_001}, "chunk_size must be at most 32000"),
        ({"chunk_overlap": 3}, "chunk_overlap requires chunk_size"),
        ({"chunk_size": 9, "chunk_overlap": 9}, "chunk_overlap must be"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigurationError, InvalidInputError), match=said):
        VoyageAutoChunker(api_key="pa-x", **options)


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="chunk_sise"):
        VoyageAutoChunker(api_key="pa-x", chunk_sise=3)


def test_a_document_that_cannot_be_sent_is_named(chunker: VoyageAutoChunker) -> None:
    bad = Document(text="half a pair \ud83d", id_="broken", metadata={"file_name": "b.md"})
    with pytest.raises(InvalidInputError, match=r"node broken, b\.md"):
        chunker([*documents(), bad])
