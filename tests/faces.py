"""A scenario's call, made through the client, through LangChain and through LlamaIndex.

Each door takes the scenario's arguments under its own framework's names, and gives back plain
vectors or a plain ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode

from scenarios import Ranking, Scenario, Vectors
from voyage_rag import Voyage
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Face

Door: TypeAlias = Callable[[Scenario, Voyage, "Face"], Any]


def client(scenario: Scenario, voyage: Voyage, face: Face) -> Vectors | Ranking:
    """`Voyage` itself."""
    answer = face.call(voyage, scenario.verb, **scenario.arguments)
    if scenario.verb == "embed":
        return answer.embeddings
    return [(result.index, result.relevance_score) for result in answer.results]


def langchain(scenario: Scenario, voyage: Voyage, face: Face) -> Vectors | Ranking:
    """`VoyageAIEmbeddings` and `VoyageAIRerank` of `voyage_rag.langchain`."""
    given = scenario.arguments
    if scenario.verb == "rerank":
        reranker = LangChainRerank(client=voyage, **_without(given, "query", "documents"))
        documents = [
            Document(page_content=text, metadata={"position": position})
            for position, text in enumerate(given["documents"])
        ]
        found = face.call(reranker, "compress_documents", documents, given["query"])
        return [(item.metadata["position"], item.metadata["relevance_score"]) for item in found]
    options = _without(given, "texts", "input_type")
    if given.get("input_type") == "query":
        embeddings = VoyageAIEmbeddings(client=voyage, **options)
        return [face.call(embeddings, "embed_query", given["texts"][0])]
    embeddings = VoyageAIEmbeddings(
        client=voyage, document_input_type=given.get("input_type"), **options
    )
    return face.call(embeddings, "embed_documents", given["texts"])


def llama_index(scenario: Scenario, voyage: Voyage, face: Face) -> Vectors | Ranking:
    """`VoyageEmbedding` and `VoyageAIRerank` of `voyage_rag.llama_index`."""
    given = scenario.arguments
    if scenario.verb == "rerank":
        options = _without(given, "query", "documents", top_k="top_n")
        reranker = LlamaIndexRerank(client=voyage, **options)
        nodes = [
            NodeWithScore(
                node=TextNode(
                    text=text,
                    metadata={"position": position},
                    excluded_embed_metadata_keys=["position"],
                )
            )
            for position, text in enumerate(given["documents"])
        ]
        found = face.call(reranker, "postprocess_nodes", nodes, query_str=given["query"])
        return [(item.node.metadata["position"], item.score) for item in found]
    options = _without(
        given, "texts", "input_type", model="model_name", batch_size="embed_batch_size"
    )
    if given.get("input_type") == "query":
        embeddings = VoyageEmbedding(client=voyage, **options)
        return [face.call(embeddings, "get_query_embedding", given["texts"][0])]
    embeddings = VoyageEmbedding(client=voyage, text_input_type=given.get("input_type"), **options)
    return face.call(embeddings, "get_text_embedding_batch", given["texts"])


def is_of_one(scenario: Scenario) -> bool:
    """Whether LlamaIndex makes the call without cutting a list."""
    return scenario.verb == "rerank" or scenario.arguments.get("input_type") == "query"


def _without(arguments: Mapping[str, Any], *left_out: str, **renamed: str) -> dict[str, Any]:
    return {
        renamed.get(name, name): value for name, value in arguments.items() if name not in left_out
    }


DOORS: list[Door] = [client, langchain, llama_index]
