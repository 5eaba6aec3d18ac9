"""What embedding classes of both frameworks say of their vectors, and how they embed queries."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from voyage_rag.connection import Client, Connection, check_embedding_options
from voyage_rag.errors import ConfigurationError
from voyage_rag.models import MODELS, OutputDtype, space_of

if TYPE_CHECKING:
    from voyage_rag.client import Voyage

DIMENSIONS_PER_BYTE = 8
NOT_IN_KEYS = re.compile(r"[^\w.-]+", re.ASCII)
"""What stores of LangChain do not take in a key."""


class QueryOptions(Connection):
    """Fields and properties of a class that embeds documents and queries.

    Attributes:
        query_model: The model of queries, where it is another than that of documents, in the same
            embedding space: documents of `voyage-4-large` are found with `voyage-4-lite`.
        query_client: A `Voyage` that sends queries, for example to another host.
    """

    query_model: str | None = None
    query_client: SkipJsonSchema[Client | None] = Field(default=None, exclude=True, repr=False)

    @property
    def dimensions(self) -> int | None:
        """Numbers in a vector, for the column or index of a store; None where it is not known.

        The binary types hold eight dimensions in one number.
        """
        model, dimension, dtype = self._vector_options()
        row = MODELS.get(model)
        length = dimension or (row.default_dimension if row else None)
        if length is not None and dtype in {"binary", "ubinary"}:
            return length // DIMENSIONS_PER_BYTE
        return length

    @property
    def space(self) -> str | None:
        """The embedding space of the vectors, whose models can be mixed; None where not known."""
        return space_of(self._vector_options()[0])

    @property
    def cache_namespace(self) -> str:
        """What the vectors of documents depend on besides their texts, as part of a key.

        For caches that know texts only, such as LangChain's `CacheBackedEmbeddings`: model, length,
        number type, prompts, truncation and the address of the service.
        """
        model, dimension, dtype = self._vector_options()
        parts = [model, str(dimension or self.dimensions or "default"), dtype or "float"]
        parts += [self._prompts(), self.voyage.settings.base_url.partition("://")[2]]
        return "/".join(NOT_IN_KEYS.sub("-", part).strip("-") for part in parts)

    @abstractmethod
    def _vector_options(self) -> tuple[str, int | None, OutputDtype | None]:
        """Model, dimension and number type of documents."""

    @abstractmethod
    def _prompts(self) -> str:
        """Prompts, truncation, and what becomes of empty texts."""

    @property
    def _query_voyage(self) -> Voyage:
        return self.query_client or self.voyage

    def check_options(self) -> None:
        """Check model, dimension and number type, as far as the catalogue knows the models.

        Raises:
            InvalidInputError: One cannot work.
            ConfigurationError: Queries would have vectors of another space, length or number type.
        """
        model, dimension, dtype = self._vector_options()
        check_embedding_options(model, dimension, dtype)
        if self.query_model is None or self.query_model == model:
            return
        space, other = space_of(model), space_of(self.query_model)
        if space is None or space != other:
            raise ConfigurationError(
                f"query_model={self.query_model!r} embeds in "
                f"{_named(other)}, and {model!r} in {_named(space)}: queries would find nothing. "
                "Of one space are voyage-4-large, voyage-4, voyage-4-lite and voyage-4-nano"
            )
        check_embedding_options(self.query_model, dimension, dtype)
        lengths = {MODELS[name].default_dimension for name in (model, self.query_model)}
        if dimension is None and len(lengths) > 1:
            raise ConfigurationError(
                f"{model!r} and query_model={self.query_model!r} have vectors of other lengths "
                "unless output_dimension is given"
            )


def _named(space: str | None) -> str:
    return "a space that is not known" if space is None else f"the space {space!r}"
