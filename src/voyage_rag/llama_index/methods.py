"""The methods that LlamaIndex's base class calls, in terms of one that embeds texts."""

from __future__ import annotations

from abc import abstractmethod

from llama_index.core.base.embeddings.base import Embedding

from voyage_rag.llama_index.events import end_on_failure
from voyage_rag.llama_index.media import MediaEmbedding
from voyage_rag.types import InputType


class EmbeddingMethods(MediaEmbedding):
    """Texts and queries under LlamaIndex's names, for a class that can send texts.

    Attributes:
        text_input_type: The prompt of texts, `document` unless given; None for none.
        query_input_type: The prompt of queries, `query` unless given; None for none.
    """

    text_input_type: InputType | None = "document"
    query_input_type: InputType | None = "query"

    @abstractmethod
    def _embed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]: ...

    @abstractmethod
    async def _aembed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]: ...

    @abstractmethod
    def _embed_query(self, query: str) -> Embedding: ...

    @abstractmethod
    async def _aembed_query(self, query: str) -> Embedding: ...

    def get_general_text_embedding(
        self, text: str, input_type: InputType | None = None
    ) -> Embedding:
        """Embed a text with a prompt of its own.

        Args:
            text: What to embed.
            input_type: The prompt: `document`, `query` or None.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`.
        """
        return self._embed([text], input_type)[0]

    async def aget_general_text_embedding(
        self, text: str, input_type: InputType | None = None
    ) -> Embedding:
        """Async variant of `get_general_text_embedding`."""
        return (await self._aembed([text], input_type))[0]

    def _get_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return self._embed_query(query)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return await self._aembed_query(query)

    def _get_text_embedding(self, text: str) -> Embedding:
        with end_on_failure([text]):
            return self._embed([text], self.text_input_type)[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        with end_on_failure([text]):
            return (await self._aembed([text], self.text_input_type))[0]

    def _get_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        with end_on_failure(texts):
            return self._embed(texts, self.text_input_type, show_progress)

    async def _aget_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        with end_on_failure(texts):
            return await self._aembed(texts, self.text_input_type, show_progress)
