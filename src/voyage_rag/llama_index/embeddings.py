"""Voyage embeddings under LlamaIndex's names and types."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from pydantic import ConfigDict, PrivateAttr, SecretStr

from voyage_rag.checks import instances, texts_of
from voyage_rag.construction import constructor
from voyage_rag.llama_index.methods import EmbeddingMethods, batch_events
from voyage_rag.llama_index.nodes import (
    are_of_one_document,
    embedding_nodes,
    has_media,
    naming_nodes,
    nodes_are_known,
    passes_of,
    warn_of_orphans,
)
from voyage_rag.llama_index.serialized import SerializedComponent
from voyage_rag.models import OutputDtype, kind_of
from voyage_rag.queries import QueryOptions
from voyage_rag.types import EmptyText, InputType, InvalidText

LOG = logging.getLogger("voyage_rag")

LARGEST_BATCH = 2_048
"""LlamaIndex's largest `embed_batch_size`, which leaves the planning to the client."""


class VoyageEmbedding(QueryOptions, EmbeddingMethods):
    """Voyage AI embeddings for LlamaIndex: of texts, of chunks in context, of images and videos.

    Any embedding model will do. A contextualized one embeds nodes with their documents' context
    where it is used as a transformation (see `VoyageContextualEmbedding`); a multimodal one embeds
    images and videos, too, alone or in nodes.

    Takes the parameters of `llama_index.embeddings.voyageai.VoyageEmbedding`, those of
    `BaseEmbedding` (`num_workers`, `embeddings_cache`, `rate_limiter`) and those of
    `voyage_rag.queries.QueryOptions` and `voyage_rag.connection.Connection`. Unknown parameters are
    refused by name.

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
        empty_text: `error` refuses empty strings by position, `space` embeds a single space for
            them, `zeros` gives them zero vectors, which some stores find first.
        invalid_text: `error` refuses texts with half a character (a lone surrogate), `replace`
            sends them with a replacement character.
        text_input_type: The prompt of texts, `document` unless given; None for none.
        query_input_type: The prompt of queries, `query` unless given; None for none.
        image_input_type: The prompt of images, `document` unless given; None for none.
        downscale: Reduce images to the 2 million pixels that are counted at most (needs Pillow).
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    truncation: bool | None = None
    output_dtype: OutputDtype | None = None
    output_dimension: int | None = None
    empty_text: EmptyText = "error"
    invalid_text: InvalidText = "error"
    downscale: bool = False

    _has_warned: bool = PrivateAttr(default=False)

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

    def _vector_options(self) -> tuple[str, int | None, OutputDtype | None]:
        return self.model_name, self.output_dimension, self.output_dtype

    def _prompts(self) -> str:
        truncates = self.truncation is not False
        return f"{self.text_input_type}-{truncates}-{self.empty_text}-{self.invalid_text}"

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
        nodes = instances("nodes", nodes, BaseNode)
        if self._is_plain(nodes):
            with naming_nodes(nodes):
                return super().__call__(nodes, **kwargs)
        with embedding_nodes(self, nodes) as batch:
            options = self._node_options(kwargs)
            if self._is_contextualized:
                options |= self._text_policies
                found = self.voyage.embed_chunks(batch.texts, batch.documents, **options)
            else:
                options |= self._media_options
                found = self.voyage.multimodal_embed(batch.contents, **options)
            return batch.embedded(found.embeddings)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Async variant of calling it."""
        nodes = instances("nodes", nodes, BaseNode)
        if self._is_plain(nodes):
            with naming_nodes(nodes):
                return await super().acall(nodes, **kwargs)
        with embedding_nodes(self, nodes) as batch:
            options = self._node_options(kwargs)
            if self._is_contextualized:
                options |= self._text_policies
                found = await self.voyage.aembed_chunks(batch.texts, batch.documents, **options)
            else:
                options |= self._media_options
                found = await self.voyage.amultimodal_embed(batch.contents, **options)
            return batch.embedded(found.embeddings)

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
        texts = texts if type(texts) is list else list(texts_of("texts", texts))
        self._warn_of_media()
        if self._is_cut_by_llama_index(texts):
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(self._get_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Async variant of `get_text_embedding_batch`.

        With `num_workers`, too, LlamaIndex cuts them, and has that many `embed_batch_size` under
        way.
        """
        texts = texts if type(texts) is list else list(texts_of("texts", texts))
        self._warn_of_media()
        if self._is_cut_by_llama_index(texts) or self.num_workers:
            return await super().aget_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(await self._aget_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "VoyageEmbedding"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Every parameter but the key.

        Args:
            kwargs: As of pydantic's `model_dump`.

        Returns:
            A dictionary whose text, of which LlamaIndex makes the keys of its pipeline cache, holds
            only what changes the vectors of nodes.
        """
        return SerializedComponent(super().to_dict(**kwargs), self.voyage.settings.base_url)

    def _embed_query(self, query: str) -> Embedding:
        return self._query_vector(query, self._query_options)

    async def _aembed_query(self, query: str) -> Embedding:
        return await self._aquery_vector(query, self._query_options)

    def _embed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        if self._is_inserted_document(texts):
            options = self._insertion_options(show_progress)
            found = self.voyage.embed_chunks(texts, passes_of(texts), **options)
        else:
            options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
            found = self.voyage.embed(texts, **options)
        return cast("list[Embedding]", found.embeddings)

    async def _aembed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        if self._is_inserted_document(texts):
            options = self._insertion_options(show_progress)
            found = await self.voyage.aembed_chunks(texts, passes_of(texts), **options)
        else:
            options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
            found = await self.voyage.aembed(texts, **options)
        return cast("list[Embedding]", found.embeddings)

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

    @property
    def _is_contextualized(self) -> bool:
        return kind_of(self.model_name) == "contextualized"

    def _is_plain(self, nodes: Sequence[BaseNode]) -> bool:
        """Whether nodes are embedded by their texts alone, one by one."""
        if self._is_contextualized:
            warn_of_orphans(nodes)
            return False
        return kind_of(self.model_name) != "multimodal" or not any(map(has_media, nodes))

    def _node_options(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "input_type": self.text_input_type,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            "show_progress_bar": kwargs.get("show_progress", False),
        }

    def _warn_of_media(self) -> None:
        """Say once that an index hands over the texts of nodes, and no images."""
        if kind_of(self.model_name) != "multimodal" or nodes_are_known() or self._has_warned:
            return
        self._has_warned = True
        LOG.warning(
            "%s gets the texts of nodes only, not the images and videos they may hold: run the "
            "embedding as a transformation over the nodes, too, as in IngestionPipeline("
            "transformations=[splitter, embedding]) or nodes = embedding(nodes)",
            self.model_name,
        )

    def _is_inserted_document(self, texts: Sequence[str]) -> bool:
        """Whether texts are the chunks of one document, which LlamaIndex inserts into an index."""
        return len(texts) > 1 and self._is_contextualized and are_of_one_document()

    def _insertion_options(self, show_progress: bool) -> dict[str, Any]:
        options = self._node_options({"show_progress": show_progress})
        return options | self._text_policies

    @property
    def _text_policies(self) -> dict[str, Any]:
        return {"empty_text": self.empty_text, "invalid_text": self.invalid_text}

    @property
    def _media_options(self) -> dict[str, Any]:
        return {"truncation": self.truncation is not False, "downscale": self.downscale}

    @property
    def _query_options(self) -> dict[str, Any]:
        options = self._options | {"input_type": self.query_input_type}
        return options | {"model": self.query_model} if self.query_model else options

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "truncation": self.truncation is not False,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            **self._text_policies,
            "batch_size": None if self.embed_batch_size == LARGEST_BATCH else self.embed_batch_size,
            "as_lists": True,
        }


def _shown(show_progress: bool) -> dict[str, bool]:
    """For a method that a subclass may have with `texts` alone."""
    return {"show_progress": True} if show_progress else {}
