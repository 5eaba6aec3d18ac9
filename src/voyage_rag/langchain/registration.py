"""Register `voyageai:` with LangChain's `init_embeddings`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from langchain_core.embeddings import Embeddings

from voyage_rag.errors import ConfigurationError
from voyage_rag.models import kind_of

PROVIDER = "voyageai"
PACKAGES = ("langchain", "langchain_classic")
MODULES = ("embeddings", "embeddings.base")
"""Modules in which these packages export `init_embeddings`."""

MARK = "knows_voyageai"


def register() -> None:
    """Make `init_embeddings("voyageai:voyage-4")` return an object of this package.

    Call this function once, before `init_embeddings` is imported: it replaces `init_embeddings` in
    `langchain.embeddings` with a function that handles this provider and forwards all other calls.
    LangGraph's stores use it for `"embed": "voyageai:voyage-4"`, too. LangGraph's server creates
    its store before it imports a program; in `langgraph.json`, name a variable of the program.

    Raises:
        ConfigurationError: `langchain` is not installed.
    """
    found = [package for package in PACKAGES if find_spec(package)]
    if not found:
        raise ConfigurationError("register() needs langchain: pip install langchain")
    for package in found:
        for module in (import_module(f"{package}.{name}") for name in MODULES):
            original = getattr(module, "init_embeddings", None)
            if original is not None and not hasattr(original, MARK):
                module.init_embeddings = _with_voyageai(original)  # type: ignore[attr-defined]


def _with_voyageai(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def init_embeddings(model: str, *, provider: str | None = None, **kwargs: Any) -> Any:
        named, colon, name = model.partition(":")
        if provider == PROVIDER or (provider is None and colon and _is_voyageai(named)):
            return _make(name.strip() if colon and _is_voyageai(named) else model, kwargs)
        return original(model, provider=provider, **kwargs)

    setattr(init_embeddings, MARK, True)
    return init_embeddings


def _is_voyageai(name: str) -> bool:
    return name.strip().lower() == PROVIDER


def _make(model: str, options: dict[str, Any]) -> Embeddings:
    from voyage_rag.langchain.embeddings import VoyageAIEmbeddings  # noqa: PLC0415 - slow import
    from voyage_rag.langchain.multimodal import VoyageAIMultimodalEmbeddings  # noqa: PLC0415

    if kind_of(model) == "multimodal":
        return VoyageAIMultimodalEmbeddings(model=model, **options)
    return VoyageAIEmbeddings(model=model, **options)
