"""Both classes in chains of LangChain's own parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

if TYPE_CHECKING:
    from voyage_rag.emulator import Emulator
    from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIRerank

QUERY = "Where does the cat sleep?"
ANSWER = "The cat sleeps on the sofa in the living room."
TEXTS = [
    "Interest rates rose in March.",
    "The train to Lyon leaves at noon.",
    ANSWER,
    "Rivers provide water and habitat.",
    "The cat eats fish.",
]


def documents() -> list[Document]:
    return [
        Document(id=str(n), page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)
    ]


def reranking(reranker: VoyageAIRerank) -> RunnableLambda[Any, Any]:
    """The reranker as a step: {"query", "documents"} in, documents out."""

    def rank(found: dict[str, Any]) -> Any:
        return reranker.compress_documents(found["documents"], found["query"])

    async def arank(found: dict[str, Any]) -> Any:
        return await reranker.acompress_documents(found["documents"], found["query"])

    return RunnableLambda(rank, afunc=arank)


def chain(store: InMemoryVectorStore, reranker: VoyageAIRerank) -> Runnable[str, Any]:
    retriever = store.as_retriever(search_kwargs={"k": 3})
    return {"query": RunnablePassthrough(), "documents": retriever} | reranking(reranker)


def check(found: list[Document]) -> None:
    assert found[0].page_content == ANSWER
    assert found[0].id == "2"
    assert found[0].metadata["n"] == 2
    assert [document.metadata["relevance_score"] for document in found] == sorted(
        (document.metadata["relevance_score"] for document in found), reverse=True
    )
    assert len(found) == 3


def test_retriever_and_reranker_in_a_chain(
    embeddings: VoyageAIEmbeddings, reranker: VoyageAIRerank, emulator: Emulator
) -> None:
    """Stored, retrieved and reranked: three requests, and the answer first."""
    store = InMemoryVectorStore(embeddings)
    store.add_documents(documents())
    check(chain(store, reranker).invoke(QUERY))
    assert [request.path for request in emulator.requests] == [
        "/v1/embeddings",
        "/v1/embeddings",
        "/v1/rerank",
    ]
    # LangChain's store takes documents in as documents and questions as queries.
    assert [request.body.get("input_type") for request in emulator.requests] == [
        "document",
        "query",
        None,
    ]


def test_the_same_chain_async(
    embeddings: VoyageAIEmbeddings,
    reranker: VoyageAIRerank,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the event loop, without a sync call."""
    for verb in ("embed", "rerank"):
        monkeypatch.setattr(f"voyage_rag.Voyage.{verb}", None)

    async def program() -> list[Document]:
        store = InMemoryVectorStore(embeddings)
        await store.aadd_documents(documents())
        return await chain(store, reranker).ainvoke(QUERY)

    check(asyncio.run(program()))
    assert len(emulator.requests) == 3


def test_the_chain_in_a_batch(
    embeddings: VoyageAIEmbeddings, reranker: VoyageAIRerank, emulator: Emulator
) -> None:
    """LangChain's threads and tasks share the objects."""
    store = InMemoryVectorStore(embeddings)
    store.add_documents(documents())
    for found in chain(store, reranker).batch([QUERY] * 8):
        check(found)

    async def program() -> list[Any]:
        return await chain(store, reranker).abatch([QUERY] * 8)

    for found in asyncio.run(program()):
        check(found)
    assert len(emulator.requests) == 1 + 2 * 8 * 2


def test_one_object_serves_one_loop_after_another(embeddings: VoyageAIEmbeddings) -> None:
    """As in a web server's workers or a notebook's cells."""
    vectors = [asyncio.run(embeddings.aembed_query(QUERY)) for _ in range(3)]
    assert vectors[0] == vectors[1] == vectors[2]
