"""Chunks with their documents' context, and pictures, in stores that know texts and paths only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from pictures import png
from stores import langchain_stores, llama_index_stores
from stores.place import Place
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings
from voyage_rag.llama_index import VoyageContextualEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

SYNC_AND_ASYNC = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore:table_names.. is deprecated:DeprecationWarning"),
]

TEXTS = {
    "soup": ["Onion soup for four people.", "Fry them in butter.", "Add water and salt."],
    "lease": ["A lease of a flat in Lyon.", "The rent is due monthly.", "Repairs are the owner's."],
}
QUERY = "Fry the onions in butter."
CONTEXT = "/v1/contextualizedembeddings"
STORES = ["chroma", "qdrant", "lancedb", "faiss", "postgres"]


@SYNC_AND_ASYNC
@pytest.mark.parametrize("store", STORES)
def test_langchain_stores_keep_chunks_in_context(
    store: str, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """Each document is sent complete, and each chunk has the vector of its document."""
    chunks = [
        Document(text, metadata={"source": name, "topic": name})
        for name, texts in TEXTS.items()
        for text in texts
    ]
    embeddings = VoyageAIEmbeddings(
        model="voyage-context-4", api_key="pa-key", base_url=emulator.url
    )
    contextual: Any = embeddings.for_documents(chunks)

    async def program() -> None:
        async with langchain_stores.OF_FLOATS[store].opened(place, contextual, 1_024) as opened:
            await runner.ask(opened, "add_documents", chunks)
            found = await runner.ask(opened, "similarity_search", QUERY, k=1)
            assert [document.page_content for document in found] == [TEXTS["soup"][1]]
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
    embeddings.voyage.close()
    sent = [request.body["inputs"] for request in emulator.requests if request.path == CONTEXT]
    assert list(TEXTS.values()) in sent


@SYNC_AND_ASYNC
@pytest.mark.parametrize("store", STORES)
def test_llama_index_stores_keep_chunks_in_context(
    store: str, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """With the embedding as a transformation after the splitter."""
    embedding = VoyageContextualEmbedding(api_key="pa-key", base_url=emulator.url)
    chunks = [
        TextNode(
            text=text,
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=name)},
        )
        for name, texts in TEXTS.items()
        for text in texts
    ]

    async def program() -> None:
        async with llama_index_stores.OF_FLOATS[store].opened(place, 1_024) as opened:
            nodes = embedding(chunks) if runner.is_sync else await embedding.acall(chunks)
            context = StorageContext.from_defaults(vector_store=opened)
            index = VectorStoreIndex([], storage_context=context, embed_model=embedding)
            await runner.ask(index, "insert_nodes", nodes)
            found = await runner.ask(index.as_retriever(similarity_top_k=1), "retrieve", QUERY)
            assert found[0].text == TEXTS["soup"][1]
        await runner.ask(embedding.voyage, "close")

    runner.run(program)
    embedding.voyage.close()
    sent = [request.body["inputs"] for request in emulator.requests if request.path == CONTEXT]
    assert list(TEXTS.values()) in sent


@pytest.mark.parametrize("runner", ["sync"], indirect=True)
@pytest.mark.parametrize("store", ["chroma", "lancedb"])
def test_langchain_stores_that_add_images_find_them(
    store: str, runner: Runner, place: Place, emulator: Emulator, tmp_path: Path
) -> None:
    """By words, with `add_images` of the store and `embed_image` of ours."""
    embeddings = VoyageAIMultimodalEmbeddings(api_key="pa-key", base_url=emulator.url)
    paths = [tmp_path / f"{colour}.png" for colour in ("red", "green", "blue")]
    for path in paths:
        path.write_bytes(png(path.stem))
    pictures = [{"topic": path.stem} for path in paths]

    async def program() -> None:
        async with langchain_stores.OF_FLOATS[store].opened(place, embeddings, 1_024) as opened:
            opened.add_images(uris=list(map(str, paths)), metadatas=pictures)
            found = opened.similarity_search("something red", k=1)
            assert [document.metadata["topic"] for document in found] == ["red"]

    runner.run(program)
    embeddings.voyage.close()
