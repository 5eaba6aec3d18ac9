"""A host is one class: an invented one that differs from the Voyage API in every respect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from fakes import HTTPService, ok, served
from voyage_rag import InvalidInputError, RateLimitError, Voyage, langchain, llama_index
from voyage_rag.hosts import Host
from voyage_rag.hosts.failures import ErrorDetail
from voyage_rag.hosts.messages import Request, Response

SECRET = "s3cret"


class Elsewhere(Host):
    """Model in the path, signed header, no model in the body, own codes, numbers as strings."""

    name = "Elsewhere"
    endpoints = frozenset({"/embeddings", "/rerank"})
    fields = frozenset({"input", "query", "documents", "top_k", "input_type"})

    def url(self, request: Request) -> str:
        return f"{self.base_url}/run/{request.model}{request.path}"

    def headers(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        signature = hashlib.sha256(f"{SECRET}{method}{url}".encode() + body).hexdigest()
        return {"x-signature": signature}

    def decode(self, request: Request, document: Any) -> Any:
        for item in document["data"]:
            if "embedding" in item:
                item["embedding"] = list(map(float, item["embedding"]))
            else:
                item["relevance_score"] = float(item["relevance_score"])
        return document

    def error(self, response: Response) -> ErrorDetail:
        return ErrorDetail(429, json.loads(response.body)["problem"], RateLimitError)


@pytest.fixture
def host(http_service: HTTPService) -> Host:
    """The invented host, served on a socket."""
    http_service.always = elsewhere
    return Elsewhere(http_service.url)


def elsewhere(body: bytes) -> Response:
    """What it responds: as the service of the tests, with numbers written as strings."""
    document = json.loads(served(body).body)
    for index, item in enumerate(document["data"]):
        if "embedding" in item:
            item["embedding"] = [str(index + 0.5), "2"]
        else:
            item["relevance_score"] = str(item["relevance_score"])
    return ok(document)


def test_it_embeds_and_reranks_through_both_frameworks(
    host: Host, http_service: HTTPService, runner: Any
) -> None:
    """Sync, asyncio and trio, without a key anywhere."""
    embeddings = langchain.VoyageAIEmbeddings(model="m", host=host)
    reranker = langchain.VoyageAIRerank(model="rerank-m", host=host)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in ("one", "two")]
    texts = [Document("one"), Document("two")]

    assert runner.call(embeddings, "embed_documents", ["a", "b"]) == [[0.5, 2.0], [1.5, 2.0]]
    ranked = runner.call(reranker, "compress_documents", texts, "q")
    if runner.is_sync:
        other = llama_index.VoyageEmbedding("m", host=host)
        assert other.get_text_embedding_batch(["a", "b"]) == [[0.5, 2.0], [1.5, 2.0]]
        found = llama_index.VoyageAIRerank("rerank-m", host=host).postprocess_nodes(
            nodes, QueryBundle("q")
        )
        assert [n.node.get_content() for n in found] == [d.page_content for d in ranked]

    sent = http_service.received[0]
    assert sent.path.endswith("/run/m/embeddings")
    assert "authorization" not in sent.headers
    url = http_service.url + "/run/m/embeddings"
    assert sent.headers["x-signature"] == host.headers("POST", url, sent.body)["x-signature"]
    assert json.loads(sent.body) == {"input": ["a", "b"], "input_type": "document"}


def test_its_errors_are_ours(host: Host, http_service: HTTPService) -> None:
    """Its own code stands for a rate limit, which is retried."""
    http_service.always = lambda body: Response(461, {}, b'{"problem": "calm down"}')
    with pytest.raises(RateLimitError, match="calm down"):
        Voyage(host=host, max_retries=0).embed(["a"], "m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_dimension": 256}, "output_dimension=256"),
        ({"output_dtype": "int8"}, "output_dtype='int8'"),
        ({"truncation": False}, "truncation=False"),
    ],
)
def test_what_it_lacks_is_refused_by_name(
    host: Host, http_service: HTTPService, options: dict[str, Any], message: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidInputError, match=message):
        Voyage(host=host).embed(["a"], "voyage-4", **options)
    with pytest.raises(InvalidInputError, match="use the Voyage API for /contextualizedembeddings"):
        Voyage(host=host).contextualized_embed([["a"]], "voyage-context-4")

    assert http_service.received == []
