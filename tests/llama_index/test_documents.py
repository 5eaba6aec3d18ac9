"""Chunks in context through an index: inserted, refreshed, of several sizes, without a source."""

from __future__ import annotations

import logging
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import HierarchicalNodeParser, TokenTextSplitter, get_leaf_nodes
from llama_index.core.schema import (
    Document,
    ImageNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)

from voyage_rag import InvalidInputError, ServerError
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import status
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding
from voyage_rag.llama_index.nodes import passes_of

if TYPE_CHECKING:
    from conftest import Runner

MODEL = "voyage-context-4"
SPLITTER = TokenTextSplitter(chunk_size=20, chunk_overlap=0, include_metadata=False)
LONG = " ".join(f"word{number}" for number in range(60))
LONGER = LONG + " " + " ".join(f"more{number}" for number in range(60))

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
kinds = pytest.mark.parametrize("kind", [VoyageEmbedding, VoyageContextualEmbedding])


def stored(index: Any) -> dict[str, list[float]]:
    """The vectors of an index by the texts of their nodes."""
    vectors = index.vector_store.data.embedding_dict
    return {index.docstore.get_node(id_).get_content(): vectors[id_] for id_ in vectors}


def split(text: str) -> list[str]:
    """The chunks that the splitter makes of a document."""
    return [one.get_content() for one in SPLITTER.get_nodes_from_documents([Document(text=text)])]


def expected(embedding: VoyageEmbedding, *texts: str) -> dict[str, list[float]]:
    """The same by the client."""
    documents = list(map(split, texts))
    found = embedding.voyage.contextualized_embed(
        documents, MODEL, "document", output_dimension=256
    )
    return {
        chunk: [*vector]
        for chunks, result in zip(documents, found.results, strict=True)
        for chunk, vector in zip(chunks, result.embeddings, strict=True)
    }


async def transform(embedding: Any, nodes: list[Any], runner: Runner) -> Any:
    """Call it as pipelines do."""
    return embedding(nodes) if runner.is_sync else await embedding.acall(nodes)


@both
@kinds
@pytest.mark.parametrize("verb", ["refresh_ref_docs", "update_ref_doc", "insert"])
def test_a_reloaded_index_takes_documents_in_context(
    make: Any, kind: Any, verb: str, emulator: Emulator, runner: Runner, tmp_path: Any
) -> None:
    """Its transformations are not stored: it splits documents itself and passes only texts."""
    embedding = make(kind, MODEL, output_dimension=256)
    old, new = Document(text=LONG, id_="a"), Document(text=LONGER, id_="a")
    VectorStoreIndex.from_documents(
        [old], transformations=[SPLITTER, embedding], embed_model=embedding
    ).storage_context.persist(str(tmp_path))
    emulator.requests.clear()
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path))
    index = load_index_from_storage(storage, embed_model=embedding, transformations=[SPLITTER])

    given: Any = [new] if verb == "refresh_ref_docs" else new
    if verb == "insert":
        runner.call(index, "delete_ref_doc", "a", delete_from_docstore=True)
    runner.run(lambda: runner.ask(index, verb, given))

    assert stored(index) == expected(embedding, LONGER)
    assert emulator.requests[0].body["inputs"] == [split(LONGER)]


def test_the_strict_class_refuses_nodes_of_unknown_documents_before_anything_is_deleted(
    make: Any, emulator: Emulator
) -> None:
    embedding = make(VoyageContextualEmbedding, MODEL, output_dimension=256)
    index = VectorStoreIndex([], embed_model=embedding)
    with pytest.raises(InvalidInputError, match="need a text model instead"):
        index.insert_nodes([TextNode(text="a"), TextNode(text="b")])
    assert emulator.requests == []


def test_a_failed_refresh_is_repaired_by_the_next(make: Any) -> None:
    """LlamaIndex deletes first; the next refresh inserts the document that failed."""
    service = Emulator(faults=[None, status(500)])
    with service:
        embedding = VoyageContextualEmbedding(
            MODEL, api_key="pa-x", base_url=service.url, max_retries=0, output_dimension=256
        )
        index = VectorStoreIndex.from_documents(
            [Document(text=LONG, id_="a")],
            transformations=[SPLITTER, embedding],
            embed_model=embedding,
        )
        new = Document(text=LONGER, id_="a")
        with pytest.raises(ServerError, match="has deleted the old version of the document: call"):
            index.refresh_ref_docs([new])
        assert index.refresh_ref_docs([new]) == [True]
        assert stored(index) == expected(embedding, LONGER)
        embedding.voyage.close()


@both
@kinds
@pytest.mark.parametrize("transforms", [True, False])
def test_what_is_embedded_before_a_refresh_is_taken_from_the_cache(
    kind: Any, transforms: bool, runner: Runner
) -> None:
    """A failure of the service then occurs before anything is deleted."""
    service = Emulator(faults=chain([None, status(500), None], repeat(status(500))))
    with service:
        embedding = kind(
            MODEL,
            api_key="pa-x",
            base_url=service.url,
            max_retries=0,
            output_dimension=256,
            cache=":memory:",
        )
        transformations = [SPLITTER, *([embedding] if transforms else [])]
        index = VectorStoreIndex([], transformations=transformations, embed_model=embedding)
        index.insert(Document(text=LONG, id_="a"))
        old, new = stored(index), [Document(text=LONGER, id_="a")]
        with pytest.raises(ServerError) as caught:
            embedding(SPLITTER(new))
        assert "deleted" not in str(caught.value)
        assert stored(index) == old

        embedding(SPLITTER(new))
        runner.run(lambda: runner.ask(index, "refresh_ref_docs", new))
        assert list(stored(index)) == split(LONGER)
        embedding.voyage.close()


@kinds
@pytest.mark.parametrize("metadata", [{}, {"file_name": "a.md", "page": 3}])
def test_an_index_inserts_each_size_of_a_hierarchical_parser_as_a_document(
    make: Any, kind: Any, metadata: dict[str, Any], emulator: Emulator
) -> None:
    """It passes only texts, of all sizes in one list. (`ainsert` does not run the parser.)"""
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[120, 60, 30], chunk_overlap=5)
    embedding = make(kind, MODEL, output_dimension=256)
    index = VectorStoreIndex([], transformations=[parser], embed_model=embedding)
    document = Document(text=LONGER, id_="a", metadata=metadata)
    index.insert(document)

    sizes = emulator.requests[0].body["inputs"]
    nodes = parser.get_nodes_from_documents([document])
    assert [chunk for chunks in sizes for chunk in chunks] == [
        one.get_content(MetadataMode.EMBED) for one in nodes
    ]
    assert len(sizes) == 3
    assert sorted(map(len, sizes)) == list(map(len, sizes))
    assert len(sizes[-1]) == len(get_leaf_nodes(nodes))


@pytest.mark.parametrize(
    ("chunks", "passes"),
    [
        (["a b", "c d"], [0, 0]),
        (["a b c d", "a b", "c d", "a", "b", "c", "d"], [0, 1, 1, 2, 2, 2, 2]),
        (["title", "one", "title", "two"], [0, 0, 0, 0]),
        (["short", "short"], [0, 1]),
        (["short", "short", "sh", "ort"], [0, 1, 2, 2]),
        (["one", "two", "one", "two"], [0, 0, 0, 0]),
        (["one", "two", "one", "three", "two"], [0, 0, 0, 0, 0]),
        (["one", "one", "two", "one"], [0, 0, 0, 0]),
        (["one", "two", "one", "two", "two"], [0, 0, 0, 0, 0]),
        (["one", "two", "one", "one"], [0, 0, 0, 0]),
        (["x: 1\n\na b", "x: 1\n\na", "x: 1\n\nb"], [0, 1, 1]),
    ],
)
def test_passes_of_a_parser_begin_and_end_where_the_document_does(
    chunks: list[str], passes: list[int]
) -> None:
    assert passes_of(chunks) == passes


@both
def test_each_size_of_a_hierarchical_parser_is_a_document(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    """Otherwise the document would contain every sentence once per chunk size."""
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[80, 40], chunk_overlap=0)
    nodes = parser.get_nodes_from_documents([Document(text=LONGER, id_="a")])
    leaves = get_leaf_nodes(nodes)
    roots = [one for one in nodes if one not in leaves]
    assert len(leaves) > len(roots) > 1
    embedding = make(VoyageEmbedding, MODEL)

    runner.run(lambda: transform(embedding, nodes, runner))
    assert sorted(emulator.requests[0].body["inputs"]) == sorted(
        [[one.get_content() for one in group] for group in (roots, leaves)]
    )


def test_nodes_without_a_source_are_warned_of(
    make: Any, caplog: pytest.LogCaptureFixture, emulator: Emulator
) -> None:
    embedding = make(VoyageEmbedding, MODEL)
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        embedding([TextNode(text="alone", id_="lonely")])
        assert caplog.records == []
        embedding([TextNode(text="alone", id_="lonely"), TextNode(text="too")])
    [record] = caplog.records
    assert "2 nodes have no source document" in record.getMessage()
    assert "lonely" in record.getMessage()


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


@both
@pytest.mark.parametrize("model", ["voyage-4", MODEL])
def test_a_blank_node_is_named_with_its_document_and_file(
    make: Any, model: str, runner: Runner, emulator: Emulator
) -> None:
    embedding = make(VoyageEmbedding, model)
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="the-document")}
    blank = TextNode(
        text="",
        id_="the-node",
        relationships=source,
        metadata={"file_path": "/docs/empty.md"},
        excluded_embed_metadata_keys=["file_path"],
    )

    async def program() -> None:
        await transform(embedding, [TextNode(text="a", relationships=source), blank], runner)

    with pytest.raises(InvalidInputError) as caught:
        runner.run(program)
    assert "(node the-node, document the-document, /docs/empty.md)" in str(caught.value)
    assert emulator.requests == []


@both
@pytest.mark.parametrize("model", ["voyage-4-large", MODEL])
def test_nodes_that_were_finished_keep_their_vectors(model: str, runner: Runner) -> None:
    """Two requests, of which the second fails."""
    service = Emulator(faults=[None, status(500)])
    with service:
        embedding = VoyageEmbedding(
            model, api_key="pa-x", base_url=service.url, max_retries=0, concurrency=1
        )
        nodes = [TextNode(text=f"{n} " + "word " * 25_000, id_=f"n{n}") for n in range(8)]

        async def program() -> None:
            with pytest.raises(ServerError) as caught:
                await transform(embedding, nodes, runner)
            await runner.ask(embedding.voyage, "close")
            assert caught.value.partial.missing
            finished = [n for n, one in enumerate(nodes) if one.embedding is not None]
            assert finished == sorted(caught.value.partial.vectors)
            assert finished

        runner.run(program)
        embedding.voyage.close()


# ── LlamaIndex's pipeline cache ───────────────────────────────────────────────────────────────────


def test_only_what_changes_a_vector_is_embedded_again(make: Any, emulator: Emulator) -> None:
    """The pipeline's cache stays valid when a timeout, limit, concurrency or key changes."""
    documents = [Document(text=LONG, id_="a")]
    pipeline = IngestionPipeline(transformations=[SPLITTER, make(VoyageEmbedding, "voyage-4")])
    pipeline.run(documents=documents)
    for same in (
        {"timeout": 5.0, "max_retries": 1, "concurrency": 2, "total_timeout": None},
        {"requests_per_minute": 100, "tokens_per_minute": 1_000_000},
        {"api_key": "pa-another-key", "embed_batch_size": 9, "num_workers": 2},
        {"query_input_type": None},
    ):
        pipeline.transformations = [SPLITTER, make(VoyageEmbedding, "voyage-4", **same)]
        assert pipeline.run(documents=documents)[0].embedding
        assert len(emulator.requests) == 1
    for count, other in enumerate(
        ({"output_dimension": 256}, {"text_input_type": None}, {"output_dtype": "int8"}), 2
    ):
        pipeline.transformations = [SPLITTER, make(VoyageEmbedding, "voyage-4", **other)]
        pipeline.run(documents=documents)
        assert len(emulator.requests) == count


# ── images ────────────────────────────────────────────────────────────────────────────────────────


@both
def test_an_index_of_a_multimodal_model_says_that_it_sees_no_images(
    make: Any, caplog: pytest.LogCaptureFixture, runner: Runner
) -> None:
    embedding = make(VoyageEmbedding, "voyage-multimodal-3.5")
    node = ImageNode(text="a cat", image_url="https://example.com/cat.png")
    index = VectorStoreIndex([], embed_model=embedding)
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        runner.call(index, "insert_nodes", [node])
        runner.call(index, "insert_nodes", [node])
    [record] = caplog.records
    assert "nodes = embedding(nodes)" in record.getMessage()


def test_nodes_without_images_are_embedded_as_a_transformation_without_a_warning(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    embedding = make(VoyageEmbedding, "voyage-multimodal-3.5")
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        embedding([TextNode(text="a cat")])
    assert caplog.records == []
