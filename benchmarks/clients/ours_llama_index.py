"""Our class for LlamaIndex, with default settings except for the given options."""

from __future__ import annotations

from typing import Any

from benchmarks.clients import KEY, MODEL, BenchmarkClient
from voyage_rag.llama_index import VoyageEmbedding


def make(url: str, **options: Any) -> BenchmarkClient:
    """Create the sync client."""
    made = VoyageEmbedding(MODEL, KEY, base_url=url, **options)
    return BenchmarkClient(made.get_text_embedding_batch, made.get_query_embedding)


def amake(url: str, **options: Any) -> BenchmarkClient:
    """Create the async client."""
    made = VoyageEmbedding(MODEL, KEY, base_url=url, **options)
    return BenchmarkClient(made.aget_text_embedding_batch, made.aget_query_embedding)
