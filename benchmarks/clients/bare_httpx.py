"""Lower bound for one text: httpx posts the same bytes and decodes the same response."""

from __future__ import annotations

import httpx

from benchmarks import baseline
from benchmarks.clients import KEY, MODEL, BenchmarkClient

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def make(url: str) -> BenchmarkClient:
    """Create the sync client."""
    client = httpx.Client()

    def query(text: str) -> list[float]:
        body = baseline.request_body([text], MODEL, "query")
        response = client.post(f"{url}/embeddings", content=body, headers=HEADERS)
        return baseline.decoded(response.content)[0]

    return BenchmarkClient(query=query)


def amake(url: str) -> BenchmarkClient:
    """Create the async client."""
    client = httpx.AsyncClient()

    async def query(text: str) -> list[float]:
        body = baseline.request_body([text], MODEL, "query")
        response = await client.post(f"{url}/embeddings", content=body, headers=HEADERS)
        return baseline.decoded(response.content)[0]

    return BenchmarkClient(query=query)
