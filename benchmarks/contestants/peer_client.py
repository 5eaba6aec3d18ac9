"""Voyage's own client, one batch after another, as its users write it."""

from __future__ import annotations

import voyageai

from benchmarks.contestants import KEY, MODEL, Contestant

TEXTS_PER_REQUEST = 1_000
"""Its users cut lists themselves; the service takes no more."""


def make(url: str) -> Contestant:
    """The sync variant. Embedding needs no tokenizer here."""
    client = voyageai.Client(KEY, base_url=url)

    def documents(texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_PER_REQUEST):
            some = texts[start : start + TEXTS_PER_REQUEST]
            rows += client.embed(some, MODEL, "document").embeddings
        return rows

    return Contestant(documents, lambda text: client.embed([text], MODEL, "query").embeddings[0])
