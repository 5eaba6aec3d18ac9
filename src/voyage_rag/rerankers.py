"""Fields of a reranker, for the classes of both frameworks."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import Field

from voyage_rag.connection import Connection
from voyage_rag.core.validation import check_model
from voyage_rag.types import BlankDocuments, InvalidText


class Unset(Enum):
    """The default of an argument for which None is a valid value."""

    UNSET = "unset"


UNSET = Unset.UNSET


class RerankOptions(Connection):
    """Fields of a class that ranks documents.

    Attributes:
        model: A reranker, for example `rerank-3`.
        truncation: Truncate query and documents to the model's limits. False raises an error for
            longer ones.
        blank_documents: How to treat documents without words, which are never sent: `last`, `drop`
            or `error` (see `voyage_rag.Voyage.rerank`).
        invalid_text: How to treat texts with a lone surrogate: `error` or `replace`.
        score_threshold: Omit documents with a lower score, from 0 to 1.
    """

    model: str
    truncation: bool = True
    blank_documents: BlankDocuments = "last"
    invalid_text: InvalidText = "error"
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None

    def check_options(self) -> None:
        """Raise an `InvalidInputError` if the model is not a reranker."""
        check_model(self.model, "rerank")

    @property
    def _rules(self) -> dict[str, Any]:
        """The arguments of `Voyage.rerank` that are the same for every call."""
        return {
            "truncation": self.truncation,
            "blank_documents": self.blank_documents,
            "invalid_text": self.invalid_text,
            "score_threshold": self.score_threshold,
        }
