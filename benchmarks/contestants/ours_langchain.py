"""Our class for LangChain, with default settings but for what is asked."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import KEY, MODEL, Contestant
from voyage_rag.langchain import VoyageAIEmbeddings


def make(url: str, **options: Any) -> Contestant:
    """The sync variant."""
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url, **options)
    return Contestant(made.embed_documents, made.embed_query)


def amake(url: str, **options: Any) -> Contestant:
    """The async variant."""
    made = VoyageAIEmbeddings(model=MODEL, api_key=KEY, base_url=url, **options)
    return Contestant(made.aembed_documents, made.aembed_query)
