"""Checks of arguments that the classes of both frameworks share."""

from __future__ import annotations

from enum import Enum

from voyage_rag.core.validation import check_model


class Unset(Enum):
    """The default of an argument for which None is a valid value."""

    UNSET = "unset"


UNSET = Unset.UNSET


def check_reranker(model: str) -> None:
    """Raise an `InvalidInputError` for a model that the catalogue lists as another kind."""
    check_model(model, "rerank")
