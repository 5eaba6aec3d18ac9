"""VoyageEmbedding in LlamaIndex's ingestion, in this process and in others."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SemanticSplitterNodeParser
from llama_index.core.schema import Document, TextNode
from llama_index.core.vector_stores import SimpleVectorStore

from voyage_rag import AuthenticationError
from voyage_rag.emulator import Emulator
from voyage_rag.llama_index import VoyageEmbedding

KEY = "pa-a-key-that-must-stay-secret"
OTHER_KEY = "pa-another-key-entirely"
TEXTS = [f"document number {number}" for number in range(8)]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.schema import BaseNode


def documents() -> list[Document]:
    return [Document(id_=str(number), text=text) for number, text in enumerate(TEXTS)]


def check(nodes: Sequence[BaseNode], embedding: VoyageEmbedding) -> None:
    assert [node.get_content() for node in nodes] == TEXTS
    expected = embedding.get_text_embedding_batch(TEXTS)
    assert [node.embedding for node in nodes] == expected


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_pipeline_embeds(way: str, embedding: VoyageEmbedding, emulator: Emulator) -> None:
    """Every node, and a vector store is filled on the way."""
    store = SimpleVectorStore()
    pipeline = IngestionPipeline(transformations=[embedding], vector_store=store)
    run = {
        "sync": lambda: pipeline.run(documents=documents()),
        "async": lambda: asyncio.run(pipeline.arun(documents=documents())),
    }[way]
    nodes = run()
    assert len(emulator.requests) == 1
    check(nodes, embedding)
    assert len(store.data.embedding_dict) == len(TEXTS)


def test_a_pipeline_remembers(make: Any, emulator: Emulator) -> None:
    """The same object embeds once; another model, dimension or prompt is another transformation."""
    cache = IngestionCache()

    def run(**options: Any) -> int:
        before = len(emulator.requests)
        one = make(VoyageEmbedding, **{"model_name": "voyage-4", "output_dimension": 256} | options)
        IngestionPipeline(transformations=[one], cache=cache).run(nodes=[TextNode(text="a")])
        return len(emulator.requests) - before

    assert run() == 1
    assert run() == 0
    assert run(model_name="voyage-4-lite") == 1
    assert run(output_dimension=512) == 1
    assert run(output_dtype="int8") == 1
    assert run(text_input_type=None) == 1
    assert run() == 0


def test_a_semantic_splitter_is_remembered(make: Any, emulator: Emulator) -> None:
    """Its cached nodes depend on vectors of sentences, but not on the key or a timeout."""
    cache = IngestionCache()

    def run(**options: Any) -> int:
        before = len(emulator.requests)
        splitter = SemanticSplitterNodeParser(
            embed_model=make(VoyageEmbedding, "voyage-4", **options)
        )
        document = Document(text="Cats sleep. Dogs run. Onions fry.")
        IngestionPipeline(transformations=[splitter], cache=cache).run(documents=[document])
        return len(emulator.requests) - before

    assert run() == 1
    assert run(timeout=9, max_retries=0, concurrency=1) == 0
    assert run(api_key=OTHER_KEY, query_cache=5) == 0
    assert run(output_dimension=256) == 1


def test_every_parameter_is_dumped(make: Any) -> None:
    """Even if the embedding is not a part of another object, and in JSON."""
    embedding = make(VoyageEmbedding, "voyage-4", timeout=9)
    assert embedding.model_dump()["timeout"] == 9
    assert json.loads(embedding.model_dump_json())["timeout"] == 9


def test_workers_use_the_key_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """In worker processes, whose environment has another key."""
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    emulator = Emulator(keys={KEY})
    with emulator as url:
        embedding = VoyageEmbedding("voyage-4", KEY, output_dimension=256, base_url=url)
        pipeline = IngestionPipeline(transformations=[embedding], disable_cache=True)
        nodes = pipeline.run(documents=documents(), num_workers=2)
        assert len(emulator.requests) == 2
        assert all(request.status == 200 for request in emulator.requests)
        check(nodes, embedding)
        embedding.voyage.close()


def test_an_error_in_a_worker_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same class, and does not contain the key."""
    emulator = Emulator(keys={OTHER_KEY})
    with emulator as url:
        embedding = VoyageEmbedding("voyage-4", KEY, base_url=url)
        pipeline = IngestionPipeline(transformations=[embedding], disable_cache=True)
        with pytest.raises(AuthenticationError) as caught:
            pipeline.run(documents=documents(), num_workers=2)
    assert caught.value.http_status == 401
    assert KEY not in str(caught.value)
