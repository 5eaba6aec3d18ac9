"""Arguments that classes of both frameworks check alike."""

from __future__ import annotations

from enum import Enum


class Unset(Enum):
    """The default of an argument of which None is a value."""

    UNSET = "unset"


UNSET = Unset.UNSET


def check_embedding_options(model: str, dimension: int | None, dtype: str | None) -> None:
    """Refuse a reranker, and a dimension or number type that the model is known to lack.

    Raises:
        InvalidInputError: One cannot work.
    """
    from voyage_rag.core import validation  # noqa: PLC0415 - classes are imported without it

    validation.check_output(validation.check_embedding_model(model), dimension, dtype)


def check_reranker(model: str) -> None:
    """Refuse an embedding model.

    Raises:
        InvalidInputError: It is known to be one.
    """
    from voyage_rag.core import validation  # noqa: PLC0415 - as above

    validation.check_model(model, "rerank")
