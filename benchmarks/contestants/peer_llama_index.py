"""The class of llama-index-embeddings-voyageai, with default settings.

It has no `base_url`, so the address is set on the clients it holds.
"""

from __future__ import annotations

from llama_index.embeddings.voyageai import VoyageEmbedding

from benchmarks.contestants import KEY, MODEL, Contestant
from benchmarks.contestants.peer_tokenizer import hand_over


def make(url: str) -> Contestant:
    """The sync variant."""
    made = _made(url)
    return Contestant(made.get_text_embedding_batch, made.get_query_embedding)


def amake(url: str) -> Contestant:
    """The async variant."""
    made = _made(url)
    return Contestant(made.aget_text_embedding_batch, made.aget_query_embedding)


def _made(url: str) -> VoyageEmbedding:
    hand_over()
    made = VoyageEmbedding(MODEL, KEY)
    for client in (made._client, made._aclient):  # noqa: SLF001
        client._params["base_url"] = url  # noqa: SLF001
    return made
