"""Who is measured: ours, the peers, and the floors below both, all with the same verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

MODEL = "voyage-4"
KEY = "key"


def _cannot(*_: object) -> Any:
    raise NotImplementedError("this contestant does not take part in that")


@dataclass(frozen=True, slots=True)
class Contestant:
    """What it can do. A verb may be a coroutine function, or give an async iterator.

    Attributes:
        documents: Vectors of many texts.
        query: The vector of one text.
        stream: Vectors of any iterable of texts, one at a time.
    """

    documents: Callable[[list[str]], Any] = _cannot
    query: Callable[[str], Any] = _cannot
    stream: Callable[[Iterable[str]], Any] = _cannot


MODULES = {
    "Voyage": "ours_client",
    "LangChain": "ours_langchain",
    "LlamaIndex": "ours_llama_index",
    "voyageai": "peer_client",
    "langchain-voyageai": "peer_langchain",
    "llama-index-embeddings-voyageai": "peer_llama_index",
    "raw sockets": "raw_sockets",
    "bare httpx": "bare_httpx",
    "bare httpx in LlamaIndex": "bare_llama_index",
}
"""The module of each; it is imported only in the environment that has its packages."""

ASYNC = " async"


def make(name: str, url: str, options: dict[str, Any]) -> Contestant:
    """The contestant of that name, talking to `url`."""
    module = import_module(f"{__name__}.{MODULES[name.removesuffix(ASYNC)]}")
    maker = module.amake if name.endswith(ASYNC) else module.make
    made: Contestant = maker(url, **options)
    return made
