"""What people write, for the type checkers: every constructor and every result. Never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import httpx
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import SecretStr

import voyage_rag
from voyage_rag import (
    AsyncClient,
    Client,
    EmbeddingsObject,
    Image,
    InvalidRequestError,
    MultimodalEmbeddingsObject,
    RerankingObject,
    RerankingResult,
    Usage,
    Vectors,
    Voyage,
    VoyageError,
)
from voyage_rag.langchain import (
    ContextualEmbeddings,
    ContextualVectorStore,
    VoyageAIEmbeddings,
    VoyageAIMultimodalEmbeddings,
)
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import (
    VoyageAutoChunker,
    VoyageContextualEmbedding,
    VoyageEmbedding,
)

KEY = SecretStr("pa-a-key")


def clients() -> None:
    Voyage()
    Voyage("pa-a-key", 3, 10.0)
    Voyage(api_key=KEY, total_timeout=None, cache=Path("vectors.sqlite"))
    with Voyage(KEY, http_client=httpx.Client(), async_http_client=httpx.AsyncClient()) as voyage:
        assert_type(voyage, Voyage)
        assert_type(voyage.usage, Usage)
    assert_type(Voyage().with_options(timeout=5, max_retries=0, observers=[print]), Voyage)
    Voyage().with_options(time_out=5)  # type: ignore[call-arg] # an unknown name is found
    Client(api_key="pa-a-key")
    AsyncClient(api_key=KEY, max_retries=2)


def results(voyage: Voyage) -> None:
    found = voyage.embed(["a"], "voyage-4", input_type="document", output_dimension=256)
    assert_type(found, EmbeddingsObject)
    assert_type(found.embeddings, list[list[float]])
    theirs: list[list[float]] | list[list[int]] = found.embeddings  # the type in `voyageai`
    len(theirs)
    assert_type(found.vectors, Vectors)
    assert_type(found.usage.dollars, float | None)
    assert_type(found.total_tokens, int)
    for vector in voyage.embed_iter(iter(["a"]), "voyage-4"):
        len(vector)
    ranking = voyage.rerank("q", ["a", "b"], "rerank-3", top_k=1)
    assert_type(ranking, RerankingObject)
    assert_type(ranking.results, list[RerankingResult])
    assert_type(ranking.results[0].relevance_score, float)
    chunks = voyage.contextualized_embed([["a", "b"]], "voyage-context-4", input_type="document")
    assert_type(chunks.results[0].chunk_texts, list[str] | None)
    assert_type(voyage.embed_chunks(["a"], ["x"], "voyage-context-4"), EmbeddingsObject)
    media = voyage.multimodal_embed(
        [["a", Path("a.png")], Image("https://example.com/a.png")], "voyage-multimodal-3.5"
    )
    assert_type(media, MultimodalEmbeddingsObject)
    assert_type(media.image_pixels, int)


async def async_results(voyage: Voyage) -> None:
    found = await voyage.aembed(["a"], "voyage-4")
    assert_type(found, EmbeddingsObject)
    async for vector in voyage.aembed_iter(["a"], "voyage-4"):
        len(vector)
    assert_type(await voyage.arerank("q", ["a"], "rerank-3"), RerankingObject)
    async with AsyncClient() as client:
        assert_type(await client.embed(["a"], "voyage-4", input_type="query"), EmbeddingsObject)
        assert_type(await client.rerank("q", ["a"], "rerank-3", top_k=1), RerankingObject)


def errors(voyage: Voyage) -> None:
    try:
        voyage.embed(["a"], "voyage-4")
    except voyage_rag.error.InvalidRequestError as error:  # as with `voyageai.error`
        assert_type(error, InvalidRequestError)
    except voyage_rag.RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except VoyageError as error:
        assert_type(error.indices, tuple[int, ...])


def langchain(documents: list[Document]) -> None:
    embeddings: Embeddings = VoyageAIEmbeddings(model="voyage-4", api_key=KEY)
    VoyageAIEmbeddings(model="voyage-4")
    VoyageAIEmbeddings(model="voyage-4", voyage_api_key=KEY, batch_size=10, output_dtype="int8")
    VoyageAIEmbeddings(
        model="voyage-4",
        api_key=SecretStr("pa-a-key"),
        output_dimension=256,
        truncation=False,
        show_progress_bar=True,
        max_retries=3,
        timeout=10.0,
        base_url="https://example.com/v1",
        requests_per_minute=100,
        cache="vectors.sqlite",
    )
    VoyageAIEmbeddings(model="voyage-4", client=Voyage(KEY))
    assert_type(embeddings.embed_documents(["a"]), list[list[float]])
    assert_type(embeddings.embed_query("a"), list[float])
    contextual = VoyageAIEmbeddings(model="voyage-context-4", api_key=KEY).for_documents(documents)
    assert_type(contextual, ContextualEmbeddings)
    pictures = VoyageAIMultimodalEmbeddings(api_key=KEY, downscale=True)
    assert_type(pictures.embed_image(["a.png"]), list[list[float]])
    store = InMemoryVectorStore.from_documents(documents, embeddings)
    retriever: BaseRetriever = store.as_retriever()
    reranker = LangChainRerank(model="rerank-3", api_key=KEY, top_k=3)
    found = reranker.compress_documents(retriever.invoke("a"), "a")
    assert_type(found[0], Document)


def llama_index(nodes: list[NodeWithScore]) -> None:
    embedding: BaseEmbedding = VoyageEmbedding("voyage-4", "pa-a-key")
    VoyageEmbedding(model_name="voyage-4", api_key=KEY, output_dimension=256)
    VoyageEmbedding("voyage-4", voyage_api_key=KEY, embed_batch_size=10, truncation=True)
    contextual = VoyageContextualEmbedding(api_key=KEY)
    assert_type(embedding.get_query_embedding("a"), list[float])
    IngestionPipeline(transformations=[contextual]).run(nodes=[TextNode(text="a")])
    VectorStoreIndex([], embed_model=embedding)
    reranker: BaseNodePostprocessor = LlamaIndexRerank("rerank-3", "pa-a-key", top_n=3)
    LlamaIndexRerank(model="rerank-3", api_key=KEY, top_k=3, keep_retrieval_score=False)
    assert_type(reranker.postprocess_nodes(nodes, query_str="a"), list[NodeWithScore])


def chunks_in_context(client: Voyage) -> None:
    embeddings = VoyageAIEmbeddings(
        "voyage-context-4", api_key=KEY, query_cache=100, query_client=client, query_max_retries=1
    )
    store = ContextualVectorStore(InMemoryVectorStore(embeddings), embeddings, by="source")
    assert_type(store.include([Document("a")]), list[Document])
    assert_type(store.add_documents([Document("a")]), list[str])
    assert_type(store.similarity_search("a"), list[Document])
    ContextualVectorStore(store.vectorstore, embeddings, auto_chunk=True, chunk_size=256)
    assert_type(embeddings.dimensions, int | None)
    assert_type(embeddings.space, str | None)
    assert_type(embeddings.cache_namespace, str)
    VoyageAutoChunker(chunk_size=256, api_key=KEY)
    VoyageEmbedding("voyage-4-large", query_model="voyage-4-lite", query_cache=10)
    LangChainRerank("rerank-3", blank_documents="drop", score_threshold=0.5).rerank(
        ["a"], "b", top_k=None
    )
    LlamaIndexRerank("rerank-3", top_n=3).postprocess_nodes([], query_str="b", top_n=None)
