"""The interface of the `voyageai` package: replace it with `import voyage_rag as voyageai`.

`Client` is `Voyage`. The methods of `AsyncClient` are coroutines under the same names.
"""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import SecretStr

from voyage_rag.client import Voyage
from voyage_rag.construction import constructor
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    EmbeddingsObject,
    MultimodalEmbeddingsObject,
    RerankingObject,
)
from voyage_rag.usage import Usage

Client = Voyage


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
    def __init__(self, api_key: str | SecretStr | None = None, *args: Any, **kwargs: Any) -> None:
        self.voyage: Voyage = Voyage(api_key, *args, **kwargs)

    async def embed(
        self, texts: Sequence[str] | str, *args: Any, **kwargs: Any
    ) -> EmbeddingsObject:
        """See `Voyage.embed`."""
        return await self.voyage.aembed(texts, *args, **kwargs)

    async def contextualized_embed(
        self, inputs: Sequence[Sequence[str]] | Sequence[str], model: str, *args: Any, **kwargs: Any
    ) -> ContextualizedEmbeddingsObject:
        """See `Voyage.contextualized_embed`."""
        return await self.voyage.acontextualized_embed(inputs, model, *args, **kwargs)

    async def multimodal_embed(
        self, inputs: Sequence[object], model: str, *args: Any, **kwargs: Any
    ) -> MultimodalEmbeddingsObject:
        """See `Voyage.multimodal_embed`."""
        return await self.voyage.amultimodal_embed(inputs, model, *args, **kwargs)

    def count_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """See `Voyage.count_usage`. This is not a coroutine in the `voyageai` package, either."""
        return self.voyage.count_usage(inputs, model)

    def count_tokens(self, texts: Sequence[str] | str, model: str | None = None) -> int:
        """See `Voyage.count_tokens`. This is not a coroutine in the `voyageai` package, either."""
        return self.voyage.count_tokens(texts, model)

    async def rerank(
        self, query: str, documents: Sequence[str], model: str, *args: Any, **kwargs: Any
    ) -> RerankingObject:
        """See `Voyage.rerank`."""
        return await self.voyage.arerank(query, documents, model, *args, **kwargs)

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
