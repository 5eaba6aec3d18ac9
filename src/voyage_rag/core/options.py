"""The options of a call to embed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from voyage_rag.checks import plain
from voyage_rag.core import validation
from voyage_rag.core.vectors import length_of
from voyage_rag.models import Kind, Model, OutputDtype
from voyage_rag.types import InputType

ENDPOINTS: dict[Kind, str] = {
    "embedding": "/embeddings",
    "contextualized": "/contextualizedembeddings",
    "multimodal": "/multimodalembeddings",
    "rerank": "/rerank",
}


@dataclass(frozen=True)
class EmbedOptions:
    """Options of all inputs of a call, as for `Voyage.embed`.

    Attributes:
        expected_dimension: The required length in a response; None if it is unknown.
    """

    model: str
    input_type: str | None
    truncation: bool
    output_dimension: int | None
    output_dtype: OutputDtype | None
    expected_dimension: int | None

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The options as request fields of the Voyage API."""
        return {
            "model": self.model,
            "input_type": self.input_type,
            "truncation": self.truncation,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
        }

    @cached_property
    def expected_length(self) -> int | None:
        """The required number of numbers per vector of the response; None if it is unknown."""
        if self.expected_dimension is None:
            return None
        return length_of(self.expected_dimension, self.dtype)

    @cached_property
    def dtype(self) -> OutputDtype:
        """The number type of the response."""
        return self.output_dtype or "float"


def options_of(
    row: Model,
    input_type: InputType | None,
    truncation: object,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
) -> EmbedOptions:
    """Return the options of a model on any host.

    Raises:
        InvalidInputError: An option is invalid. The message names it and the choices.
    """
    validation.check_choice("input_type", input_type, (*get_args(InputType), None))
    output_dimension = plain(output_dimension)
    return EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=validation.check_flag("truncation", truncation),
        output_dimension=output_dimension,
        output_dtype=validation.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
