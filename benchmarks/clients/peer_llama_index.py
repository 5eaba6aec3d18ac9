"""The class of llama-index-embeddings-voyageai, with default settings.

It has no `base_url`, so the address is set on its two clients.
"""

from __future__ import annotations

from llama_index.embeddings.voyageai import VoyageEmbedding

from benchmarks.clients import KEY, MODEL, BenchmarkClient
from benchmarks.clients.blank_tokenizer import use_blank_tokenizer


def make(url: str) -> BenchmarkClient:
    """Create the sync client."""
    made = _made(url)
    return BenchmarkClient(made.get_text_embedding_batch, made.get_query_embedding)


def amake(url: str) -> BenchmarkClient:
    """Create the async client."""
    made = _made(url)
    return BenchmarkClient(made.aget_text_embedding_batch, made.aget_query_embedding)


def _made(url: str) -> VoyageEmbedding:
    use_blank_tokenizer()
    made = VoyageEmbedding(MODEL, KEY)
    for client in (made._client, made._aclient):  # noqa: SLF001
        client._params["base_url"] = url  # noqa: SLF001
    return made
