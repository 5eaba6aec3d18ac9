"""Our class for LangChain, with default settings except for the given options."""

from __future__ import annotations

from typing import Any

from benchmarks.clients import KEY, MODEL, BenchmarkClient
from voyage_rag.langchain import VoyageAIEmbeddings


def make(url: str, **options: Any) -> BenchmarkClient:
    """Create the sync client."""
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url, **options)
    return BenchmarkClient(made.embed_documents, made.embed_query)


def amake(url: str, **options: Any) -> BenchmarkClient:
    """Create the async client."""
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url, **options)
    return BenchmarkClient(made.aembed_documents, made.aembed_query)
