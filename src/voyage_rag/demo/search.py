"""One question, two frameworks: the same vectors and the same reranker model behind both.

The passages are embedded once, through LangChain, and LlamaIndex is handed those vectors. LangChain
is asked synchronously and LlamaIndex asynchronously, so a run walks both faces of the client.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from voyage_rag import Voyage, langchain, llama_index
from voyage_rag.demo.options import CANDIDATES, SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import Runnable

    from voyage_rag.demo.corpus import Passage


@dataclass(frozen=True, slots=True)
class Service:
    """Whom to ask, and for what.

    Attributes:
        model: The embedding model.
        rerank_model: The reranker.
        base_url: The address.
        api_key: The key, None for that of the environment.
    """

    model: str
    rerank_model: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)

    def connect(self) -> Voyage:
        """A client of its own, so that what it spends can be told apart."""
        return Voyage(self.api_key, base_url=self.base_url)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found, and how relevant the reranker holds it to be (0 to 1).

    For a picture, which no reranker takes, the score is the cosine of the vectors.
    """

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The best hits for one question, best first, and the seconds they took."""

    hits: tuple[Hit, ...]
    seconds: float


class Searcher(Protocol):
    """Whoever answers a question at once."""

    def ask(self, question: str) -> Answer:
        """Find the best hits."""


class AsyncSearcher(Protocol):
    """Whoever answers a question in an event loop."""

    async def ask(self, question: str) -> Answer:
        """Find the best hits."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""


class LangChainSearch:
    """`InMemoryVectorStore`, its retriever and `compress_documents`, as one runnable.

    Attributes:
        embedder: The client that embeds; its `usage` tells what that took.
        ranker: The client that reranks.
    """

    def __init__(
        self, passages: Sequence[Passage], service: Service, *, show_progress: bool = False
    ) -> None:
        self._passages = passages
        self.embedder = service.connect()
        self.ranker = service.connect()
        embeddings = langchain.VoyageAIEmbeddings(
            model=service.model, client=self.embedder, show_progress_bar=show_progress
        )
        self._reranker = langchain.VoyageAIRerank(
            model=service.rerank_model, client=self.ranker, top_k=SHOWN
        )
        self._store = InMemoryVectorStore(embeddings)
        candidates = RunnableParallel(
            query=RunnablePassthrough(),
            documents=self._store.as_retriever(search_kwargs={"k": CANDIDATES}),
        )
        self._pipe: Runnable[str, list[Document]] = candidates | RunnableLambda(self._rerank)

    def index(self) -> None:
        """Embed and store the passages: the one call that spends more than a question's worth."""
        self._store.add_documents(
            [
                Document(page_content=passage.text, metadata={"position": position})
                for position, passage in enumerate(self._passages)
            ],
            ids=[str(position) for position in range(len(self._passages))],
        )

    @property
    def vectors(self) -> list[list[float]]:
        """The stored vectors, in the order of the passages."""
        return [self._store.store[str(place)]["vector"] for place in range(len(self._passages))]

    def ask(self, question: str) -> Answer:
        """Retrieve and rerank, synchronously."""
        start = time.perf_counter()
        documents = self._pipe.invoke(question)
        seconds = time.perf_counter() - start
        return Answer(
            tuple(
                Hit(
                    self._passages[document.metadata["position"]],
                    document.metadata["relevance_score"],
                )
                for document in documents
            ),
            seconds,
        )

    def _rerank(self, found: dict[str, Any]) -> list[Document]:
        return list(self._reranker.compress_documents(found["documents"], found["query"]))

    def close(self) -> None:
        """Close the connections."""
        self.embedder.close()
        self.ranker.close()


class LlamaIndexSearch:
    """`VectorStoreIndex`, its retriever and a node postprocessor, asynchronously.

    Attributes:
        embedder: The client that embeds; its `usage` tells what that took.
        ranker: The client that reranks.
    """

    def __init__(
        self, passages: Sequence[Passage], vectors: Sequence[list[float]], service: Service
    ) -> None:
        self._passages = passages
        self.embedder = service.connect()
        self.ranker = service.connect()
        embedding = llama_index.VoyageEmbedding(service.model, client=self.embedder)
        self._reranker = llama_index.VoyageAIRerank(
            service.rerank_model, client=self.ranker, top_n=SHOWN
        )
        nodes = [
            TextNode(id_=str(position), text=passage.text, embedding=vector)
            for position, (passage, vector) in enumerate(zip(passages, vectors, strict=True))
        ]
        index = VectorStoreIndex(nodes, embed_model=embedding)
        self._retriever = index.as_retriever(similarity_top_k=CANDIDATES)

    async def ask(self, question: str) -> Answer:
        """Retrieve and rerank, asynchronously."""
        start = time.perf_counter()
        candidates = await self._retriever.aretrieve(question)
        best = await self._reranker.apostprocess_nodes(candidates, query_str=question)
        seconds = time.perf_counter() - start
        return Answer(
            tuple(
                Hit(self._passages[int(found.node.node_id)], found.score or 0.0) for found in best
            ),
            seconds,
        )

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.embedder.aclose()
        await self.ranker.aclose()
