"""The floor for one text: httpx, posting the same bytes and decoding the same answer."""

from __future__ import annotations

import httpx

from benchmarks import floor
from benchmarks.contestants import KEY, MODEL, Contestant

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def make(url: str) -> Contestant:
    """The sync variant."""
    client = httpx.Client()

    def query(text: str) -> list[float]:
        body = floor.asked([text], MODEL, "query")
        answer = client.post(f"{url}/embeddings", content=body, headers=HEADERS)
        return floor.decoded(answer.content)[0]

    return Contestant(query=query)


def amake(url: str) -> Contestant:
    """The async variant."""
    client = httpx.AsyncClient()

    async def query(text: str) -> list[float]:
        body = floor.asked([text], MODEL, "query")
        answer = await client.post(f"{url}/embeddings", content=body, headers=HEADERS)
        return floor.decoded(answer.content)[0]

    return Contestant(query=query)
