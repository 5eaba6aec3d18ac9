"""The measured clients behind one interface: ours, the peers, and the lower bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

MODEL = "voyage-4"
KEY = "key"


def _unsupported(*_: object) -> Any:
    raise NotImplementedError("the client does not support this task")


@dataclass(frozen=True, slots=True)
class BenchmarkClient:
    """The operations of a client: functions, coroutine functions, or async iterators.

    Attributes:
        documents: Returns the vectors of many texts.
        query: Returns the vector of one text.
        stream: Yields the vectors of an iterable of texts.
    """

    documents: Callable[[list[str]], Any] = _unsupported
    query: Callable[[str], Any] = _unsupported
    stream: Callable[[Iterable[str]], Any] = _unsupported


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
"""Module of each client; it is imported only in the environment that has its packages."""

ASYNC = " async"


def make(name: str, url: str, options: dict[str, Any]) -> BenchmarkClient:
    """Create a client for the server at `url`."""
    module = import_module(f"{__name__}.{MODULES[name.removesuffix(ASYNC)]}")
    maker = module.amake if name.endswith(ASYNC) else module.make
    made: BenchmarkClient = maker(url, **options)
    return made
