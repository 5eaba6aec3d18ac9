"""LlamaIndex's embedding interface for Voyage models."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from pydantic import (
    ConfigDict,
    PrivateAttr,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from voyage_rag.checks import instances
from voyage_rag.construction import constructor
from voyage_rag.llama_index.methods import EmbeddingMethods, traced
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
from voyage_rag.locks import is_first
from voyage_rag.models import OutputDtype, kind_of
from voyage_rag.queries import QueryOptions
from voyage_rag.types import EmptyText, InputType, InvalidText

LOG = logging.getLogger("voyage_rag")

COMPLETE = "voyage_rag.complete"
"""Context in which pydantic serialises every parameter."""

MAX_BATCH = 2_048
"""The maximum of LlamaIndex's `embed_batch_size`. With it, requests are as large as possible."""

KEYED_BY_TEXT = (
    "LlamaIndex's embeddings_cache is keyed by text only, so it can return the vector of another "
    "model or dimension, or that of a document for a query with the same text: use "
    "cache='vectors.db' instead"
)


class VoyageEmbedding(QueryOptions, EmbeddingMethods):
    """Voyage AI embeddings for LlamaIndex: of texts, chunks in context, images and videos.

    As a transformation, a contextualized model embeds nodes in the context of their documents (see
    `VoyageContextualEmbedding`); a multimodal model embeds images and videos in nodes.

    Accepts the parameters of `llama_index.embeddings.voyageai.VoyageEmbedding`, those of
    `BaseEmbedding` (`num_workers`, `embeddings_cache`, `rate_limiter`) and those of
    `voyage_rag.queries.QueryOptions` and `voyage_rag.connection.Connection`. An unknown parameter
    raises an error that suggests the closest name.

    Args:
        model_name: An embedding model, for example `voyage-4`.
        voyage_api_key: The API key, also accepted as `api_key`. Default: the key file, then
            `VOYAGE_API_KEY`.
        embed_batch_size: Maximum number of texts per request. With 2,048, requests are as large as
            the limits allow.
        truncation: Truncate texts to the model's context, also with None. False raises an error for
            longer texts.
        output_dtype: Number type of the vectors. Types other than `float` return integers.
        output_dimension: Length of the vectors, if the model supports several.
        callback_manager: LlamaIndex's callback manager.
        kwargs: The attributes below and the parameters named above.

    Attributes:
        empty_text: How to treat empty strings. `error` raises an error with their positions,
            `space` embeds a single space instead, `zeros` returns zero vectors, which some stores
            rank first.
        invalid_text: How to treat texts with a lone surrogate. `error` raises an error, `replace`
            sends a replacement character.
        text_input_type: The prompt for texts. Default: `document`. None for no prompt.
        image_input_type: The prompt for images. Default: `document`. None for no prompt.
        downscale: Scale images down to 2 million pixels, the most that is billed. Requires Pillow.

    Setup:
        Run `pip install 'voyage-rag[llama-index]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> from voyage_rag.llama_index import VoyageEmbedding
        >>> embedding = VoyageEmbedding("voyage-4")
        >>> documents = [Document(text="Read a CSV file."), Document(text="Send an email.")]
        >>> index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
        >>> index.as_retriever(similarity_top_k=1).retrieve("parse csv")[0].text
        'Read a CSV file.'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    truncation: bool | None = None
    output_dtype: OutputDtype | None = None
    output_dimension: int | None = None
    empty_text: EmptyText = "error"
    invalid_text: InvalidText = "error"
    downscale: bool = False

    _reported: dict[Hashable, object] = PrivateAttr(default_factory=dict)

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
            "embed_batch_size": MAX_BATCH if embed_batch_size is None else embed_batch_size,
            "truncation": truncation,
            "output_dtype": output_dtype,
            "output_dimension": output_dimension,
            "callback_manager": callback_manager or CallbackManager([]),
        }
        super().__init__(**fields, **kwargs)
        self.connect()
        if self.embeddings_cache is not None:
            LOG.warning(KEYED_BY_TEXT)

    @property
    def _vector_options(self) -> tuple[str, int | None, OutputDtype | None]:
        return self.model_name, self.output_dimension, self.output_dtype

    @property
    def _prompts(self) -> str:
        truncates = self.truncation is not False
        return f"{self.text_input_type}-{truncates}-{self.empty_text}-{self.invalid_text}"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed nodes. This is LlamaIndex's transformation, which a pipeline runs after a splitter.

        With a contextualized model (`voyage-context-4`), each node is embedded in the context of
        the other nodes with the same `ref_doc_id`, in the given order. A node without one is a
        separate document. With a multimodal model, nodes that contain an image or a video are
        embedded with it, and with their text if they have any.

        Args:
            nodes: The nodes, whose `embedding` is set.
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

    @traced
    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Async variant of `__call__`."""
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

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises this class."""
        return "VoyageEmbedding"

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """Return every parameter except the key.

        Args:
            kwargs: As for pydantic's method.
        """
        return super().model_dump(**kwargs | {"context": {COMPLETE: True}})

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Serialise this object, for example as a part of a semantic splitter.

        LlamaIndex also derives a key of its pipeline cache from the Python dictionary of a part.

        Returns:
            Every parameter; for a part, only those that change the vectors of nodes.
        """
        parameters = super().custom_model_dump(handler, info)
        if info.mode == "json" or (info.context and COMPLETE in info.context):
            return parameters
        return SerializedComponent(parameters, self.voyage.settings.base_url).changing_vectors

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return every parameter except the key.

        Args:
            kwargs: As for pydantic's `model_dump`.

        Returns:
            A dictionary. Its `str()`, from which LlamaIndex derives the keys of its pipeline cache,
            contains only parameters that change the vectors of nodes.
        """
        return SerializedComponent(super().to_dict(**kwargs), self.voyage.settings.base_url)

    def _embed_query(self, query: str) -> Embedding:
        return self._query_vector(query)

    async def _aembed_query(self, query: str) -> Embedding:
        return await self._aquery_vector(query)

    def _embed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        if self._is_inserted_document(texts):
            options = self._insertion_options(show_progress)
            found = self.voyage.embed_chunks(texts, passes_of(texts), **options)
        else:
            options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
            found = self.voyage.embed(texts, **options)
        return found.embeddings

    async def _aembed(
        self, texts: list[str], input_type: InputType | None, show_progress: bool = False
    ) -> list[Embedding]:
        if self._is_inserted_document(texts):
            options = self._insertion_options(show_progress)
            found = await self.voyage.aembed_chunks(texts, passes_of(texts), **options)
        else:
            options = self._options | {"input_type": input_type, "show_progress_bar": show_progress}
            found = await self.voyage.aembed(texts, **options)
        return found.embeddings

    def _embed_media(
        self, inputs: Sequence[object], input_type: InputType | None
    ) -> list[Embedding]:
        options = self._node_options({}) | self._media_options | {"input_type": input_type}
        return self.voyage.multimodal_embed(inputs, **options).embeddings

    async def _aembed_media(
        self, inputs: Sequence[object], input_type: InputType | None
    ) -> list[Embedding]:
        options = self._node_options({}) | self._media_options | {"input_type": input_type}
        found = await self.voyage.amultimodal_embed(inputs, **options)
        return found.embeddings

    @property
    def _is_contextualized(self) -> bool:
        return kind_of(self.model_name) == "contextualized"

    def _is_plain(self, nodes: Sequence[BaseNode]) -> bool:
        """Whether each node is embedded separately, by its text alone."""
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

    def _warn_of_media(self, texts: Sequence[str]) -> None:
        """Warn once that an index passes the texts of nodes, but not their images."""
        if not texts or kind_of(self.model_name) != "multimodal" or nodes_are_known():
            return
        if not is_first(self._reported, "media"):
            return
        LOG.warning(
            "%s received texts only, because a VectorStoreIndex does not embed images and videos. "
            "If your nodes have some, use MultiModalVectorStoreIndex, or run the embedding as a "
            "transformation, too, as in IngestionPipeline(transformations=[splitter, embedding]) "
            "or nodes = embedding(nodes)",
            self.model_name,
        )

    def _is_inserted_document(self, texts: Sequence[str]) -> bool:
        """Whether texts are the chunks of one document that LlamaIndex inserts into an index."""
        return len(texts) > 1 and self._is_contextualized and are_of_one_document()

    def _insertion_options(self, show_progress: bool) -> dict[str, Any]:
        options = self._node_options({"show_progress": show_progress})
        return options | self._text_policies

    @property
    def _text_policies(self) -> dict[str, Any]:
        return {"empty_text": self.empty_text, "invalid_text": self.invalid_text}

    @property
    def _media_options(self) -> dict[str, Any]:
        return {
            "truncation": self.truncation is not False,
            "downscale": self.downscale,
            "invalid_text": self.invalid_text,
        }

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "truncation": self.truncation is not False,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            **self._text_policies,
            "batch_size": None if self.embed_batch_size == MAX_BATCH else self.embed_batch_size,
            "as_lists": True,
        }
