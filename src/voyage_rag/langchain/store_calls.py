"""Call a wrapped vector store from one generator for the sync and the async variant."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from voyage_rag.errors import ConfigurationError
from voyage_rag.langchain.precomputed import PrecomputedVectors, precomputed

T = TypeVar("T")

IGNORED = (
    "the vector store did not request the vectors of the added chunks from its embeddings, so the "
    "chunks were deleted again: create the store with the embeddings object that you pass to "
    "ContextualVectorStore; stores that embed in threads of their own are not supported"
)


@dataclass(frozen=True, slots=True)
class StoreCall:
    """A call of the wrapped store, and the vectors for it.

    Attributes:
        name: The name of the sync method.
        vectors: The vectors of its texts, if the call adds texts.
    """

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, list[float]] | None = None


Steps: TypeAlias = Generator[StoreCall, Any, T]
"""A generator of calls, which receives the result of each call."""


def run(steps: Steps[T], store: VectorStore, embeddings: Embeddings) -> T:
    """Make the calls in order.

    Raises:
        ConfigurationError: The store did not use the vectors that were created for it.
    """
    result = None
    try:
        while True:
            call = steps.send(result)
            with _vectors_of(call, embeddings) as vectors:
                result = getattr(store, call.name)(*call.args, **call.options)
            if _is_ignored(vectors):
                store.delete(result)
                raise ConfigurationError(IGNORED)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(steps: Steps[T], store: VectorStore, embeddings: Embeddings) -> T:
    """Async variant of `run`."""
    result = None
    try:
        while True:
            call = steps.send(result)
            with _vectors_of(call, embeddings) as vectors:
                result = await getattr(store, f"a{call.name}")(*call.args, **call.options)
            if _is_ignored(vectors):
                await store.adelete(result)
                raise ConfigurationError(IGNORED)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def delegated(name: str) -> Callable[..., Any]:
    """Return a sync or async method that calls the wrapped store."""

    def call(self: Any, *args: Any, **options: Any) -> Any:
        return getattr(self.vectorstore, name)(*args, **options)

    call.__name__ = name
    call.__doc__ = f"Call `{name}` of the wrapped store."
    return call


def _vectors_of(
    call: StoreCall, embeddings: Embeddings
) -> AbstractContextManager[PrecomputedVectors | None]:
    if call.vectors is None:
        return nullcontext()
    return precomputed(embeddings, call.vectors)


def _is_ignored(vectors: PrecomputedVectors | None) -> bool:
    return vectors is not None and bool(vectors.by_text) and not vectors.is_used
