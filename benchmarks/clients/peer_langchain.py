"""The class of langchain-voyageai, with default settings."""

from __future__ import annotations

from langchain_voyageai import VoyageAIEmbeddings

from benchmarks.clients import KEY, MODEL, BenchmarkClient
from benchmarks.clients.blank_tokenizer import use_blank_tokenizer


def make(url: str) -> BenchmarkClient:
    """Create the sync client."""
    use_blank_tokenizer()
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url)
    return BenchmarkClient(made.embed_documents, made.embed_query)


def amake(url: str) -> BenchmarkClient:
    """Create the async client."""
    use_blank_tokenizer()
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url)
    return BenchmarkClient(made.aembed_documents, made.aembed_query)
