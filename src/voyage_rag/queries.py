"""Properties of vectors, and the embedding of queries, for the classes of both frameworks."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Annotated, Any

from pydantic import Field, PrivateAttr
from pydantic.json_schema import SkipJsonSchema

from voyage_rag.client import Voyage
from voyage_rag.client.notices import packed_bits
from voyage_rag.connection import Client, Connection
from voyage_rag.core.validation import check_embedding_model, check_output, check_text
from voyage_rag.errors import ConfigurationError, InvalidInputError
from voyage_rag.models import MODELS, OutputDtype, space_of
from voyage_rag.single_flight import SingleFlight
from voyage_rag.types import InputType

DIMENSIONS_PER_BYTE = 8
PACKED_DTYPES = {"binary", "ubinary"}
NOT_IN_KEYS = re.compile(r"[^\w.-]+", re.ASCII)
"""Characters that LangChain's stores do not accept in a key."""


class QueryOptions(Connection):
    """Fields and properties of a class that embeds documents and queries.

    Attributes:
        query_input_type: The prompt for queries. Default: `query`. None for no prompt.
        query_model: A model for queries that differs from the model for documents, in the same
            embedding space: `voyage-4-lite` finds documents of `voyage-4-large`.
        query_client: A `Voyage` that sends queries, for example to another host.
        query_cache: Number of query vectors to cache in memory; 0 disables the cache. With a cache,
            concurrent equal queries share one request.
    """

    query_input_type: InputType | None = "query"
    query_model: str | None = None
    query_client: SkipJsonSchema[Client | None] = Field(default=None, exclude=True, repr=False)
    query_cache: Annotated[int, Field(ge=0)] = 0

    _queries: SingleFlight[Hashable, list[float]] = PrivateAttr(default_factory=SingleFlight)

    @property
    def dimensions(self) -> int | None:
        """The length of the vectors, for a column or index of a store; None if unknown.

        The binary types pack eight dimensions into one number.
        """
        model, dimension, dtype = self._vector_options
        row = MODELS.get(model)
        length = dimension or (row.default_dimension if row else None)
        if length is not None and dtype in PACKED_DTYPES:
            return length // DIMENSIONS_PER_BYTE
        return length

    @property
    def space(self) -> str | None:
        """The embedding space of the vectors, which several models may share; None if unknown."""
        return space_of(self._vector_options[0])

    @property
    def cache_namespace(self) -> str:
        """A key of everything that the vectors of documents depend on besides their texts.

        Use it for caches that are keyed by text only, such as LangChain's `CacheBackedEmbeddings`.
        It contains the model, dimension, number type, prompts, truncation and the address of the
        service. `query_embedding_cache` needs a store of its own: with True, LangChain returns the
        vector of a document for a query of the same text.
        """
        model, dimension, dtype = self._vector_options
        parts = [model, str(dimension or self.dimensions or "default"), dtype or "float"]
        parts += [self._prompts, self.voyage.settings.base_url.partition("://")[2]]
        return "/".join(NOT_IN_KEYS.sub("-", part).strip("-") for part in parts)

    @property
    @abstractmethod
    def _vector_options(self) -> tuple[str, int | None, OutputDtype | None]:
        """The model, dimension and number type of documents."""

    @property
    @abstractmethod
    def _prompts(self) -> str:
        """The prompts, truncation and treatment of empty texts."""

    @property
    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """The arguments of `Voyage.embed` for documents and queries alike."""

    @property
    def _query_options(self) -> dict[str, Any]:
        model = {"model": self.query_model} if self.query_model else {}
        return self._options | model | {"input_type": self.query_input_type}

    def _query_vector(self, query: str) -> list[float]:
        options = self._query_options
        query = _checked(query, options)

        def embed(_: object = None) -> list[list[float]]:
            found = self._query_voyage.embed([query], **options)
            return found.embeddings

        if not self.query_cache:
            return embed()[0]
        key = self._query_key(query, options)
        return self._used(key, self._queries.get([key], embed)[key])

    async def _aquery_vector(self, query: str) -> list[float]:
        options = self._query_options
        query = _checked(query, options)

        async def embed(_: object = None) -> list[list[float]]:
            found = await self._query_voyage.aembed([query], **options)
            return found.embeddings

        if not self.query_cache:
            return (await embed())[0]
        key = self._query_key(query, options)
        return self._used(key, (await self._queries.aget([key], embed))[key])

    def _used(self, key: Hashable, vector: list[float]) -> list[float]:
        """Mark a cached vector as the most recently used one, and return a copy."""
        self._queries.use(key)
        self._queries.forget((), self.query_cache, size=None)
        return list(vector)

    def _query_key(self, query: str, options: dict[str, Any]) -> Hashable:
        """Return everything that a query vector depends on."""
        return query, repr(sorted(options.items())), self._query_voyage.settings.base_url

    @property
    def _query_voyage(self) -> Voyage:
        return self.query_client or self.voyage

    def check_options(self) -> None:
        """Check model, dimension and number type against the catalogue.

        Raises:
            InvalidInputError: The model does not support an option.
            ConfigurationError: The vectors of queries would differ in space, length or number type.
        """
        model, dimension, dtype = self._vector_options
        check_output(check_embedding_model(model), dimension, dtype)
        if dtype in PACKED_DTYPES and not getattr(self, "integers", False):
            packed_bits(dtype)
        if self.query_model is None or self.query_model == model:
            return
        space, other = space_of(model), space_of(self.query_model)
        if space is None or space != other:
            shared = [row.name for row in MODELS.values() if row.space]
            raise ConfigurationError(
                f"query_model={self.query_model!r} embeds in "
                f"{_named(other)}, and {model!r} in {_named(space)}: queries would find nothing. "
                f"Models that share a space: {', '.join(shared)}"
            )
        check_output(check_embedding_model(self.query_model), dimension, dtype)
        lengths = {MODELS[name].default_dimension for name in (model, self.query_model)}
        if dimension is None and len(lengths) > 1:
            raise ConfigurationError(
                f"{model!r} and query_model={self.query_model!r} have vectors of different lengths "
                "by default: pass output_dimension"
            )


def _checked(query: object, options: Mapping[str, Any]) -> str:
    """Return the query. The client's error messages would call it `texts[0]`."""
    text = check_text("query", query, invalid_text=options["invalid_text"])
    if not text and options["empty_text"] == "error":
        raise InvalidInputError(
            "query is empty: pass the question, or pass empty_text='space' to embed a single space"
        )
    return text


def _named(space: str | None) -> str:
    return "an unknown space" if space is None else f"the space {space!r}"
