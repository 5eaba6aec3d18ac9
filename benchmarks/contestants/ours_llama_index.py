"""Our class for LlamaIndex, with default settings but for what is asked."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import KEY, MODEL, Contestant
from voyage_rag.llama_index import VoyageEmbedding


def make(url: str, **options: Any) -> Contestant:
    """The sync variant."""
    made = VoyageEmbedding(MODEL, KEY, base_url=url, **options)
    return Contestant(made.get_text_embedding_batch, made.get_query_embedding)


def amake(url: str, **options: Any) -> Contestant:
    """The async variant."""
    made = VoyageEmbedding(MODEL, KEY, base_url=url, **options)
    return Contestant(made.aget_text_embedding_batch, made.aget_query_embedding)
