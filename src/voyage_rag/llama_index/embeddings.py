"""Voyage embeddings under LlamaIndex's names and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from pydantic import ConfigDict, SecretStr

from voyage_rag.connection import Connection, check_embedding_options
from voyage_rag.construction import constructor
from voyage_rag.llama_index.media import MediaEmbedding
from voyage_rag.llama_index.nodes import (
    batch_events,
    documents_of,
    embedding_event,
    end_on_failure,
    has_media,
    starting,
)
from voyage_rag.models import OutputDtype, kind_of
from voyage_rag.types import EmptyText, InputType

LARGEST_BATCH = 2_048
"""LlamaIndex's largest `embed_batch_size`, which leaves the planning to the client."""


class VoyageEmbedding(Connection, MediaEmbedding):
    """Voyage AI embeddings for LlamaIndex: of texts, of chunks in context, of images and videos.

    Any embedding model will do. A contextualized one embeds nodes with their documents' context
    where it is used as a transformation (see `VoyageContextualEmbedding`); a multimodal one embeds
    images and videos, too, alone or in nodes.

    Takes the parameters of `llama_index.embeddings.voyageai.VoyageEmbedding`, those of
    `BaseEmbedding` (`num_workers`, `embeddings_cache`, `rate_limiter`) and those of
    `voyage_rag.connection.Connection`. Unknown parameters are refused by name.

    Args:
        model_name: An embedding model, e.g. `voyage-4`.
        voyage_api_key: The key, also as `api_key`; else it is looked for.
        embed_batch_size: Most texts in one request; 2,048 leaves it to the planner.
        truncation: Cut texts to the model's context (None does, too); False refuses longer ones.
        output_dtype: Number type; other than `float` gives vectors of whole numbers.
        output_dimension: Length of the vectors, where the model offers several.
        callback_manager: LlamaIndex's.
        kwargs: The attributes below, and the parameters above.

    Attributes:
        empty_text: `error` refuses empty strings by position, `zeros` gives them zero vectors.
        text_input_type: The prompt of texts, `document` unless given; None for none.
        query_input_type: The prompt of queries, `query` unless given; None for none.
        image_input_type: The prompt of images, `document` unless given; None for none.
        downscale: Reduce images to the 2 million pixels that are counted at most (needs Pillow).
    """

    model_config = ConfigDict(extra="forbid")

    truncation: bool | None = None
    output_dtype: OutputDtype | None = None
    output_dimension: int | None = None
    empty_text: EmptyText = "error"
    text_input_type: InputType | None = "document"
    query_input_type: InputType | None = "query"
    downscale: bool = False

    @constructor
    def __init__(
        self,
        model_name: str,
        voyage_api_key: str | SecretStr | None = None,
        embed_batch_size: int | None = None,
        truncation: bool | None = None,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        callback_manager: CallbackManager | None = None,
        **kwargs: Any,
    ) -> None:
        if voyage_api_key is not None:
            kwargs["voyage_api_key"] = voyage_api_key
        fields: dict[str, Any] = {
            "model_name": model_name,
            "embed_batch_size": LARGEST_BATCH if embed_batch_size is None else embed_batch_size,
            "truncation": truncation,
            "output_dtype": output_dtype,
            "output_dimension": output_dimension,
            "callback_manager": callback_manager or CallbackManager([]),
        }
        super().__init__(**fields, **kwargs)
        self.connect()

    def check_options(self) -> None:
        """Check model, dimension and number type, as far as the catalogue knows the model.

        Raises:
            InvalidInputError: One cannot work.
        """
        check_embedding_options(self.model_name, self.output_dimension, self.output_dtype)

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed nodes: LlamaIndex's transformation, which a pipeline runs after a splitter.

        With a contextualized model (`voyage-context-4`) each node is embedded with the context of
        the other nodes of its document: those of one `ref_doc_id`, in the order given. A node
        without one is a document of its own. With a multimodal model nodes that hold an image or a
        video are embedded with it, and with their text if they have some.

        Args:
            nodes: What to embed. They are given their `embedding`.
            kwargs: `show_progress`.

        Returns:
            The same nodes.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed_chunks` and `multimodal_embed`.
        """
        with_context, with_media = self._what_of(nodes)
        if not (with_context or with_media):
            return super().__call__(nodes, **kwargs)
        with embedding_event(self, nodes) as chunks:
            options = self._node_options(kwargs)
            if with_context:
                documents = documents_of(nodes)
                found = self.voyage.embed_chunks(
                    chunks.texts, documents, **options, empty_text=self.empty_text
                )
            else:
                found = self.voyage.multimodal_embed(
                    chunks.contents, **options, **self._media_options
                )
            return chunks.embedded(found.embeddings)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Async twin of calling it."""
        with_context, with_media = self._what_of(nodes)
        if not (with_context or with_media):
            return await super().acall(nodes, **kwargs)
        with embedding_event(self, nodes) as chunks:
            options = self._node_options(kwargs)
            if with_context:
                documents = documents_of(nodes)
                found = await self.voyage.aembed_chunks(
                    chunks.texts, documents, **options, empty_text=self.empty_text
                )
            else:
                found = await self.voyage.amultimodal_embed(
                    chunks.contents, **options, **self._media_options
                )
            return chunks.embedded(found.embeddings)

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Embed texts: one vector per text, in order.

        All of them are planned together, and up to `concurrency` requests are under way. With an
        `embeddings_cache` or a `rate_limiter` LlamaIndex cuts them, and embeds one
        `embed_batch_size` after the other.

        Args:
            texts: What to embed.
            show_progress: Show a tqdm bar that counts texts.
            kwargs: Ignored, as by LlamaIndex.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`; what was finished is in its `partial`.
        """
        if self._is_cut_by_llama_index(texts):
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(self._get_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Async twin of `get_text_embedding_batch`.

        With `num_workers`, too, LlamaIndex cuts them, and has that many `embed_batch_size` under
        way.
        """
        if self._is_cut_by_llama_index(texts) or self.num_workers:
            return await super().aget_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(await self._aget_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "VoyageEmbedding"

    def to_payload(self) -> dict[str, Any]:
        """What LlamaIndex says of it where an embedding starts."""
        starting()
        return super().to_payload()

    def _get_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return self._embed([query], self.query_input_type)[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return (await self._aembed([query], self.query_input_type))[0]

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

    def _embed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
        return cast("list[Embedding]", self.voyage.embed(texts, **options).embeddings)

    async def _aembed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
        return cast("list[Embedding]", (await self.voyage.aembed(texts, **options)).embeddings)

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
        """Async twin of `get_general_text_embedding`."""
        return (await self._aembed([text], input_type))[0]

    def _embed_media(
        self, inputs: Sequence[object], input_type: InputType | None
    ) -> list[Embedding]:
        options = self._node_options({}) | self._media_options | {"input_type": input_type}
        return cast("list[Embedding]", self.voyage.multimodal_embed(inputs, **options).embeddings)

    async def _aembed_media(
        self, inputs: Sequence[object], input_type: InputType | None
    ) -> list[Embedding]:
        options = self._node_options({}) | self._media_options | {"input_type": input_type}
        found = await self.voyage.amultimodal_embed(inputs, **options)
        return cast("list[Embedding]", found.embeddings)

    def _is_cut_by_llama_index(self, texts: list[str]) -> bool:
        """Whether its base class is to plan, which knows its own cache and rate limiter."""
        return not texts or self.embeddings_cache is not None or self.rate_limiter is not None

    def _batches(self, texts: list[str]) -> list[list[str]]:
        size = self.embed_batch_size
        return [texts[start : start + size] for start in range(0, len(texts), size)]

    def _what_of(self, nodes: Sequence[BaseNode]) -> tuple[bool, bool]:
        """Whether nodes are embedded with their context, or with media."""
        kind = kind_of(self.model_name)
        return kind == "contextualized", kind == "multimodal" and any(map(has_media, nodes))

    def _node_options(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "input_type": self.text_input_type,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            "show_progress_bar": kwargs.get("show_progress", False),
        }

    @property
    def _media_options(self) -> dict[str, Any]:
        return {"truncation": self.truncation is not False, "downscale": self.downscale}

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "truncation": self.truncation is not False,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            "empty_text": self.empty_text,
            "batch_size": None if self.embed_batch_size == LARGEST_BATCH else self.embed_batch_size,
            "as_lists": True,
        }


def _shown(show_progress: bool) -> dict[str, bool]:
    """For a method that a subclass may have with `texts` alone."""
    return {"show_progress": True} if show_progress else {}
