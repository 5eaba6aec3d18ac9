"""The interface of the `voyageai` package: replace it with `import voyage_rag as voyageai`.

`Client` is `Voyage`. The methods of `AsyncClient` are coroutines under the same names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from voyage_rag.client import Voyage
from voyage_rag.construction import constructor
from voyage_rag.usage import Usage

Client = Voyage

P = ParamSpec("P")
T = TypeVar("T")


def _parameters_of(
    init: Callable[Concatenate[Voyage, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[AsyncClient, P], None]]:
    """Give a constructor the signature of `Voyage`, for type checkers, editors and `help`."""
    return wraps(init)


def _coroutine(
    method: Callable[Concatenate[Voyage, P], Awaitable[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Return a method with the signature of an async method of `Voyage`, which it calls."""

    @wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        own: Callable[P, Awaitable[T]] = getattr(self.voyage, method.__name__)
        return await own(*args, **kwargs)

    return call


class AsyncClient:
    """A client whose methods are coroutines, like `voyageai.AsyncClient`.

    The arguments are those of `Voyage`.

    Examples:
        >>> import asyncio
        >>> from voyage_rag import AsyncClient
        >>> async def main():
        ...     client = AsyncClient()
        ...     result = await client.embed(["Hello, world"], model="voyage-4")
        ...     await client.aclose()
        ...     return result
        >>> asyncio.run(main()).vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    @constructor
    @_parameters_of(Voyage.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.voyage: Voyage = Voyage(*args, **kwargs)

    embed = _coroutine(Voyage.aembed)
    """See `Voyage.embed`."""

    contextualized_embed = _coroutine(Voyage.acontextualized_embed)
    """See `Voyage.contextualized_embed`."""

    multimodal_embed = _coroutine(Voyage.amultimodal_embed)
    """See `Voyage.multimodal_embed`."""

    rerank = _coroutine(Voyage.arerank)
    """See `Voyage.rerank`."""

    def count_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """See `Voyage.count_usage`. This is not a coroutine in the `voyageai` package, either."""
        return self.voyage.count_usage(inputs, model)

    def count_tokens(self, texts: Sequence[str] | str, model: str | None = None) -> int:
        """See `Voyage.count_tokens`. This is not a coroutine in the `voyageai` package, either."""
        return self.voyage.count_tokens(texts, model)

    @property
    def usage(self) -> Usage:
        """The usage of this object so far (see `Voyage.usage`)."""
        return self.voyage.usage

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.voyage.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
