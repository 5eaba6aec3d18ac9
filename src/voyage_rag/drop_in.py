"""Voyage's own client by name: replace `import voyageai` by `import voyage_rag as voyageai`.

`Client` is `Voyage`. `AsyncClient` is a `Voyage` whose methods are coroutines without a prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from voyage_rag.client import Voyage
from voyage_rag.construction import constructor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from voyage_rag.types import (
        ContextualizedEmbeddingsObject,
        EmbeddingsObject,
        MultimodalEmbeddingsObject,
        RerankingObject,
    )
    from voyage_rag.usage import Usage

Client = Voyage


class AsyncClient:
    """Voyage's `AsyncClient`: takes the arguments of `Voyage`, and its methods are coroutines."""

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
        """See `Voyage.count_usage`; not a coroutine, as with Voyage's own client."""
        return self.voyage.count_usage(inputs, model)

    async def rerank(
        self, query: str, documents: Sequence[str], model: str, *args: Any, **kwargs: Any
    ) -> RerankingObject:
        """See `Voyage.rerank`."""
        return await self.voyage.arerank(query, documents, model, *args, **kwargs)

    @property
    def usage(self) -> Usage:
        """Usage of this object so far (see `Voyage.usage`)."""
        return self.voyage.usage

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.voyage.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
