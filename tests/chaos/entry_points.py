"""The entry points: both frameworks on sync, asyncio and trio, with texts, chunks and rankings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import anyio
from langchain_core.documents import Document
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from chaos.corpus import QUERY, Passage
from voyage_rag import Voyage
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding

BATCH = 8
RANKED = 40
"""Passages to a ranking, which is one request."""
DIMENSION = 256

Results: TypeAlias = list[Any]
EntryPoint: TypeAlias = Callable[[Voyage, Sequence[Passage]], Results]
"""Embeds every passage, then every source in context, then ranks all, some at a time."""


def _ranked(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    return (passages[start : start + RANKED] for start in range(0, len(passages), RANKED))


def _order(ranking: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """A ranking, checked to fall; texts of one score in an order of ours: the service's is free."""
    pairs = list(ranking)
    scores = [score for _, score in pairs]
    assert scores == sorted(scores, reverse=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


# ── LangChain ─────────────────────────────────────────────────────────────────────────────────────


def _langchain(voyage: Voyage) -> tuple[Any, Any, Any]:
    options = {"client": voyage, "output_dimension": DIMENSION}
    return (
        VoyageAIEmbeddings(model="voyage-4", batch_size=BATCH, **options),
        VoyageAIEmbeddings(model="voyage-context-4", **options),
        LangChainRerank(model="rerank-3", client=voyage),
    )


def _documents(passages: Sequence[Passage]) -> list[Document]:
    return [Document(p.text, metadata={"source": p.source}) for p in passages]


def langchain_sync(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    plain, contextual, reranker = _langchain(voyage)
    texts = [passage.text for passage in passages]
    results = [
        *plain.embed_documents(texts),
        *contextual.for_documents(_documents(passages)).embed_documents(texts),
    ]
    for some in _ranked(passages):
        ranking = reranker.compress_documents(_documents(some), QUERY)
        results.append(_order((d.page_content, d.metadata["relevance_score"]) for d in ranking))
    return results


async def langchain_async(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    plain, contextual, reranker = _langchain(voyage)
    texts = [passage.text for passage in passages]
    results = [
        *await plain.aembed_documents(texts),
        *await contextual.for_documents(_documents(passages)).aembed_documents(texts),
    ]
    for some in _ranked(passages):
        ranking = await reranker.acompress_documents(_documents(some), QUERY)
        results.append(_order((d.page_content, d.metadata["relevance_score"]) for d in ranking))
    return results


# ── LlamaIndex ────────────────────────────────────────────────────────────────────────────────────


def _llama_index(voyage: Voyage) -> tuple[Any, Any, Any]:
    options = {"client": voyage, "output_dimension": DIMENSION}
    return (
        VoyageEmbedding("voyage-4", embed_batch_size=BATCH, **options),
        VoyageContextualEmbedding("voyage-context-4", **options),
        LlamaIndexRerank("rerank-3", top_n=RANKED, client=voyage),
    )


def _nodes(passages: Sequence[Passage]) -> list[TextNode]:
    source = NodeRelationship.SOURCE
    return [
        TextNode(text=p.text, relationships={source: RelatedNodeInfo(node_id=p.source)})
        for p in passages
    ]


def _scored(passages: Sequence[Passage]) -> list[NodeWithScore]:
    return [NodeWithScore(node=node) for node in _nodes(passages)]


def llama_index_sync(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    plain, contextual, reranker = _llama_index(voyage)
    results = [node.embedding for kind in (plain, contextual) for node in kind(_nodes(passages))]
    for some in _ranked(passages):
        ranking = reranker.postprocess_nodes(_scored(some), query_str=QUERY)
        results.append(_order((found.node.text, found.score) for found in ranking))
    return results


async def llama_index_asyncio(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    plain, _, _ = _llama_index(voyage)
    nodes = await plain.acall(_nodes(passages))
    return [node.embedding for node in nodes] + await _llama_index_rest(voyage, passages)


async def llama_index_trio(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    """LlamaIndex sends lists with `asyncio.gather`; on trio texts go one by one, many at once."""
    plain, _, _ = _llama_index(voyage)
    vectors: Results = [None] * len(passages)
    places = iter(enumerate(passages))

    async def work() -> None:
        for place, passage in places:
            vectors[place] = await plain.aget_text_embedding(passage.text)

    async with anyio.create_task_group() as tasks:
        for _ in range(BATCH):
            tasks.start_soon(work)
    return vectors + await _llama_index_rest(voyage, passages)


async def _llama_index_rest(voyage: Voyage, passages: Sequence[Passage]) -> Results:
    _, contextual, reranker = _llama_index(voyage)
    results = [node.embedding for node in await contextual.acall(_nodes(passages))]
    for some in _ranked(passages):
        ranking = await reranker.apostprocess_nodes(_scored(some), query_str=QUERY)
        results.append(_order((found.node.text, found.score) for found in ranking))
    return results


def _on(backend: str, program: Callable[..., Awaitable[Results]]) -> EntryPoint:
    def entry_point(voyage: Voyage, passages: Sequence[Passage]) -> Results:
        return anyio.run(partial(program, voyage, passages), backend=backend)

    return entry_point


ENTRY_POINTS: dict[str, EntryPoint] = {
    "LangChain, sync": langchain_sync,
    "LangChain, asyncio": _on("asyncio", langchain_async),
    "LangChain, trio": _on("trio", langchain_async),
    "LlamaIndex, sync": llama_index_sync,
    "LlamaIndex, asyncio": _on("asyncio", llama_index_asyncio),
    "LlamaIndex, trio": _on("trio", llama_index_trio),
}
