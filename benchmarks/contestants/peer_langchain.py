"""The class of langchain-voyageai, with default settings."""

from __future__ import annotations

from langchain_voyageai import VoyageAIEmbeddings

from benchmarks.contestants import KEY, MODEL, Contestant
from benchmarks.contestants.peer_tokenizer import hand_over


def make(url: str) -> Contestant:
    """The sync variant."""
    hand_over()
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url)
    return Contestant(made.embed_documents, made.embed_query)


def amake(url: str) -> Contestant:
    """The async variant."""
    hand_over()
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url)
    return Contestant(made.aembed_documents, made.aembed_query)
