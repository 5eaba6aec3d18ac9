"""Lower bound for one text in LlamaIndex: httpx behind its base class, which emits events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import PrivateAttr

from benchmarks.clients import BenchmarkClient, bare_httpx


class HttpxEmbedding(BaseEmbedding):
    """Embeds queries only."""

    _ask: Callable[[str], list[float]] = PrivateAttr()
    _aask: Callable[[str], Awaitable[list[float]]] = PrivateAttr()

    def __init__(self, url: str) -> None:
        super().__init__()
        self._ask, self._aask = bare_httpx.make(url).query, bare_httpx.amake(url).query

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._ask(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await self._aask(query)

    _get_text_embedding = _get_query_embedding


def make(url: str) -> BenchmarkClient:
    """Create the sync client."""
    return BenchmarkClient(query=HttpxEmbedding(url).get_query_embedding)


def amake(url: str) -> BenchmarkClient:
    """Create the async client."""
    made: Any = HttpxEmbedding(url)
    return BenchmarkClient(query=made.aget_query_embedding)
