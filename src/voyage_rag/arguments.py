"""Checks of arguments that the classes of both frameworks share."""

from __future__ import annotations

from enum import Enum

from voyage_rag.core import validation


class Unset(Enum):
    """The default of an argument for which None is a valid value."""

    UNSET = "unset"


UNSET = Unset.UNSET


def check_embedding_options(model: str, dimension: int | None, dtype: str | None) -> None:
    """Raise an error for a reranker, or for a dimension or dtype that the model does not support.

    Raises:
        InvalidInputError: The model is a reranker, or does not support the option.
    """
    validation.check_output(validation.check_embedding_model(model), dimension, dtype)


def check_reranker(model: str) -> None:
    """Raise an error for an embedding model.

    Raises:
        InvalidInputError: The catalogue lists the model as an embedding model.
    """
    validation.check_model(model, "rerank")
