"""Arguments that classes of both frameworks check alike."""

from __future__ import annotations

from enum import Enum

from voyage_rag.core import validation


class Unset(Enum):
    """The default of an argument of which None is a value."""

    UNSET = "unset"


UNSET = Unset.UNSET


def check_embedding_options(model: str, dimension: int | None, dtype: str | None) -> None:
    """Refuse a reranker, and a dimension or number type that the model is known to lack.

    Raises:
        InvalidInputError: One cannot work.
    """
    validation.check_output(validation.check_embedding_model(model), dimension, dtype)


def check_reranker(model: str) -> None:
    """Refuse an embedding model.

    Raises:
        InvalidInputError: It is known to be one.
    """
    validation.check_model(model, "rerank")
