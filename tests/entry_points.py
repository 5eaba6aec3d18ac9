"""A scenario's call, made through the client, through LangChain and through LlamaIndex.

Each entry point takes the scenario's arguments under the names of its framework, and returns plain
vectors or a plain ranking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.documents import Document
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from scenarios import Chunked, Ranking, Scenario, Vectors, plain
from voyage_rag import Voyage
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings
from voyage_rag.langchain import VoyageAIRerank as LangChainRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageContextualEmbedding, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner

EntryPoint: TypeAlias = Callable[[Scenario, Voyage, "Runner"], Any]


def client(scenario: Scenario, voyage: Voyage, runner: Runner) -> Vectors | Chunked | Ranking:
    """`Voyage` itself."""
    if scenario.verb == "batch":
        return plain(scenario, runner.run(partial(batched, voyage, runner, **scenario.arguments)))
    return plain(scenario, runner.call(voyage, scenario.verb, **scenario.arguments))


async def batched(voyage: Voyage, runner: Runner, texts: Sequence[str], **params: Any) -> list[Any]:
    """Embeds texts in a batch, through `voyage.files` and `voyage.batches`."""
    lines = [{"custom_id": str(n), "body": {"input": [text]}} for n, text in enumerate(texts)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "input.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        file = await runner.ask(voyage.files, "upload", path)
    batch = await runner.ask(voyage.batches, "create", "/v1/embeddings", file.id, params)
    await runner.ask(voyage.batches, "wait", batch.id)
    if runner.is_sync:
        return list(voyage.batches.results(batch.id))
    return [line async for line in voyage.batches.aresults(batch.id)]


def langchain(scenario: Scenario, voyage: Voyage, runner: Runner) -> Vectors | Chunked | Ranking:
    """The embeddings and `VoyageAIRerank` of `voyage_rag.langchain`."""
    given = scenario.arguments
    if scenario.verb == "contextualized_embed":
        return _langchain_chunks(given, voyage, runner)
    if scenario.verb == "multimodal_embed":
        multimodal = VoyageAIMultimodalEmbeddings(
            client=voyage, **_without(given, "inputs", "input_type")
        )
        if given["input_type"] == "query":
            return [runner.call(multimodal, "embed_query", given["inputs"][0][0])]
        return runner.call(multimodal, "embed_multimodal", given["inputs"], given["input_type"])
    if scenario.verb == "rerank":
        reranker = LangChainRerank(client=voyage, **_without(given, "query", "documents"))
        documents = [
            Document(page_content=text, metadata={"position": position})
            for position, text in enumerate(given["documents"])
        ]
        found = runner.call(reranker, "compress_documents", documents, given["query"])
        return [(item.metadata["position"], item.metadata["relevance_score"]) for item in found]
    options = _without(given, "texts", "input_type")
    if given.get("input_type") == "query":
        embeddings = VoyageAIEmbeddings(client=voyage, **options)
        return [runner.call(embeddings, "embed_query", given["texts"][0])]
    embeddings = VoyageAIEmbeddings(
        client=voyage, document_input_type=given.get("input_type"), **options
    )
    return runner.call(embeddings, "embed_documents", given["texts"])


def llama_index(scenario: Scenario, voyage: Voyage, runner: Runner) -> Vectors | Chunked | Ranking:
    """The embeddings and `VoyageAIRerank` of `voyage_rag.llama_index`."""
    given = scenario.arguments
    if scenario.verb == "contextualized_embed":
        return _llama_index_chunks(given, voyage, runner)
    if scenario.verb == "multimodal_embed":
        options = _without(given, "inputs", "input_type", model="model_name")
        multimodal = VoyageEmbedding(client=voyage, **options)
        if given["input_type"] == "query":
            return [runner.call(multimodal, "get_query_embedding", given["inputs"][0][0])]
        verb = "get_multimodal_embeddings"
        return runner.call(multimodal, verb, given["inputs"], given["input_type"])
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
        found = runner.call(reranker, "postprocess_nodes", nodes, query_str=given["query"])
        return [(item.node.metadata["position"], item.score) for item in found]
    options = _without(
        given, "texts", "input_type", model="model_name", batch_size="embed_batch_size"
    )
    if given.get("input_type") == "query":
        embeddings = VoyageEmbedding(client=voyage, **options)
        return [runner.call(embeddings, "get_query_embedding", given["texts"][0])]
    embeddings = VoyageEmbedding(client=voyage, text_input_type=given.get("input_type"), **options)
    return runner.call(embeddings, "get_text_embedding_batch", given["texts"])


def is_of_one(scenario: Scenario) -> bool:
    """Whether LlamaIndex makes the call without dividing a list."""
    return scenario.verb != "embed" or scenario.arguments.get("input_type") == "query"


def _langchain_chunks(given: Mapping[str, Any], voyage: Voyage, runner: Runner) -> Chunked:
    embeddings = VoyageAIEmbeddings(client=voyage, **_without(given, "inputs", "input_type"))
    if given["input_type"] == "query":
        return [[runner.call(embeddings, "embed_query", given["inputs"][0])]]
    documents = [
        Document(page_content=chunk, metadata={"source": source})
        for source, chunks in enumerate(given["inputs"])
        for chunk in chunks
    ]
    contextual = embeddings.for_documents(documents)
    texts = [document.page_content for document in documents]
    return _nested(runner.call(contextual, "embed_documents", texts), given["inputs"])


def _llama_index_chunks(given: Mapping[str, Any], voyage: Voyage, runner: Runner) -> Chunked:
    options = _without(given, "inputs", "input_type", model="model_name")
    embedding = VoyageContextualEmbedding(client=voyage, **options)
    if given["input_type"] == "query":
        return [[runner.call(embedding, "get_query_embedding", given["inputs"][0])]]
    nodes = [
        TextNode(
            text=chunk,
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document {source}")},
        )
        for source, chunks in enumerate(given["inputs"])
        for chunk in chunks
    ]

    async def transform() -> Any:
        return embedding(nodes) if runner.is_sync else await embedding.acall(nodes)

    return _nested([node.embedding for node in runner.run(transform)], given["inputs"])


def _nested(vectors: Vectors, documents: Sequence[Sequence[str]]) -> Chunked:
    rest = iter(vectors)
    nested = [list(islice(rest, len(chunks))) for chunks in documents]
    assert not list(rest)
    return nested


def _without(arguments: Mapping[str, Any], *left_out: str, **renamed: str) -> dict[str, Any]:
    return {
        renamed.get(name, name): value for name, value in arguments.items() if name not in left_out
    }


ENTRY_POINTS: list[EntryPoint] = [client, langchain, llama_index]
