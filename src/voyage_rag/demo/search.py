"""Search the same vectors with the same models in both frameworks.

The passages are embedded once, through LangChain, and their vectors are passed to LlamaIndex.
LangChain is called synchronously and LlamaIndex asynchronously, so a run uses both variants of the
client.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import ImageNode, TextNode

from voyage_rag import Voyage, langchain, llama_index
from voyage_rag.demo.options import CANDIDATES, SHOWN, DemoService
from voyage_rag.demo.report import DemoPlan, Hit, SearchResult


def connect(service: DemoService) -> Voyage:
    """Return a new client."""
    return Voyage(service.api_key, base_url=service.base_url)


class LangChainSearch:
    """`InMemoryVectorStore` and, for text, `VoyageAIRerank`, used synchronously."""

    def __init__(self, plan: DemoPlan, client: Voyage, *, show_progress: bool = False) -> None:
        self._plan, service = plan, plan.service
        embeddings = (
            langchain.VoyageAIMultimodalEmbeddings
            if plan.of_images
            else langchain.VoyageAIEmbeddings
        )
        self._embeddings = embeddings(
            model=service.model,
            client=client,
            output_dimension=service.dimension,
            show_progress_bar=show_progress,
        )
        self._store = InMemoryVectorStore(self._embeddings)
        self._reranker = langchain.VoyageAIRerank(
            model=service.rerank_model, client=client, top_k=SHOWN
        )

    def index(self) -> list[list[float]]:
        """Embed and store the passages, and return their vectors."""
        passages, embeddings = self._plan.passages, self._embeddings
        if isinstance(embeddings, langchain.VoyageAIMultimodalEmbeddings):
            vectors = embeddings.embed_images([Path(passage.source) for passage in passages])
        else:
            vectors = embeddings.embed_documents([passage.text for passage in passages])
        for position, (passage, vector) in enumerate(zip(passages, vectors, strict=True)):
            # `add_documents` would embed texts, which images do not have, and would not return the
            # vectors, which LlamaIndex needs.
            self._store.store[str(position)] = {
                "id": str(position),
                "vector": vector,
                "text": passage.text,
                "metadata": {"position": position},
            }
        return vectors

    def search(self, question: str) -> SearchResult:
        """Find the nearest passages, and rerank text."""
        start = time.perf_counter()
        limit = SHOWN if self._plan.of_images else CANDIDATES
        found = self._store.similarity_search_with_score(question, k=limit)
        if not self._plan.of_images:
            documents = [document for document, _ in found]
            ranked = self._reranker.compress_documents(documents, question)
            found = [(document, document.metadata["relevance_score"]) for document in ranked]
        seconds = time.perf_counter() - start
        passages = self._plan.passages
        return SearchResult(
            tuple(
                Hit(passages[found_one.metadata["position"]], score) for found_one, score in found
            ),
            seconds,
        )


class LlamaIndexSearch:
    """`VectorStoreIndex`, its retriever and, for text, a postprocessor, used asynchronously."""

    def __init__(self, plan: DemoPlan, client: Voyage, vectors: Sequence[list[float]]) -> None:
        self._plan, service = plan, plan.service
        embedding = llama_index.VoyageEmbedding(
            service.model, client=client, output_dimension=service.dimension
        )
        self._reranker = llama_index.VoyageAIRerank(
            service.rerank_model, client=client, top_n=SHOWN
        )
        nodes: list[TextNode] = []
        for position, (passage, vector) in enumerate(zip(plan.passages, vectors, strict=True)):
            id_, text = str(position), passage.text
            nodes.append(
                ImageNode(id_=id_, text=text, image_path=passage.source, embedding=vector)
                if plan.of_images
                else TextNode(id_=id_, text=text, embedding=vector)
            )
        index = VectorStoreIndex(nodes, embed_model=embedding)
        self._retriever = index.as_retriever(
            similarity_top_k=SHOWN if plan.of_images else CANDIDATES
        )

    async def search(self, question: str) -> SearchResult:
        """Find the nearest passages, and rerank text."""
        start = time.perf_counter()
        found = await self._retriever.aretrieve(question)
        if not self._plan.of_images:
            found = await self._reranker.apostprocess_nodes(found, query_str=question)
        seconds = time.perf_counter() - start
        passages = self._plan.passages
        return SearchResult(
            tuple(Hit(passages[int(one.node.node_id)], one.score or 0.0) for one in found), seconds
        )
