"""Our client, with default settings except for the given options; vectors stay compact."""

from __future__ import annotations

from typing import Any

from benchmarks.clients import KEY, MODEL, BenchmarkClient
from voyage_rag import Vectors, Voyage


def make(url: str, **options: Any) -> BenchmarkClient:
    """Create the sync client."""
    voyage = Voyage(KEY, base_url=url, **options)
    return BenchmarkClient(
        lambda texts: voyage.embed(texts, MODEL, "document").vectors,
        lambda text: voyage.embed([text], MODEL, "query").embeddings[0],
        lambda texts: voyage.embed_iter(texts, MODEL, "document"),
    )


def amake(url: str, **options: Any) -> BenchmarkClient:
    """Create the async client."""
    voyage = Voyage(KEY, base_url=url, **options)

    async def documents(texts: list[str]) -> Vectors:
        return (await voyage.aembed(texts, MODEL, "document")).vectors

    async def query(text: str) -> Any:
        return (await voyage.aembed([text], MODEL, "query")).embeddings[0]

    return BenchmarkClient(
        documents, query, lambda texts: voyage.aembed_iter(texts, MODEL, "document")
    )
