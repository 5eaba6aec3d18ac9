"""Voyage's own client, one batch after another, as its documentation shows."""

from __future__ import annotations

import voyageai

from benchmarks.clients import KEY, MODEL, BenchmarkClient

TEXTS_PER_REQUEST = 1_000
"""Users split lists themselves; the service accepts no more."""


def make(url: str) -> BenchmarkClient:
    """Create the sync client. Embedding needs no tokenizer here."""
    client = voyageai.Client(KEY, base_url=url)

    def documents(texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_PER_REQUEST):
            some = texts[start : start + TEXTS_PER_REQUEST]
            rows += client.embed(some, MODEL, "document").embeddings
        return rows

    return BenchmarkClient(
        documents, lambda text: client.embed([text], MODEL, "query").embeddings[0]
    )
