"""The options of a call to embed, checked once for calls that repeat them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from voyage_rag.checks import plain
from voyage_rag.core import validation
from voyage_rag.core.vectors import length_of

if TYPE_CHECKING:
    from voyage_rag.hosts.host import Host
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
    """Options of all inputs of a call.

    Attributes:
        model: Name of the model.
        input_type: `query`, `document` or None for neither prompt.
        truncation: Cut texts to the context instead of refusing them.
        output_dimension: Length of the vectors, None for the model's default.
        output_dtype: Number type of the vectors, None for float.
        expected_dimension: The length a response must have, None where it is not known.
    """

    model: str
    input_type: str | None
    truncation: bool
    output_dimension: int | None
    output_dtype: OutputDtype | None
    expected_dimension: int | None

    @cached_property
    def fields(self) -> dict[str, Any]:
        """As request fields, named by the Voyage API."""
        return {
            "model": self.model,
            "input_type": self.input_type,
            "truncation": self.truncation,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
        }

    @cached_property
    def expected_length(self) -> int | None:
        """The numbers that a vector of the response must have, None where it is not known."""
        if self.expected_dimension is None:
            return None
        return length_of(self.expected_dimension, self.dtype)

    @cached_property
    def dtype(self) -> OutputDtype:
        """The number type of the response."""
        return self.output_dtype or "float"


def checked_options(
    host: Host,
    kind: Kind | None,
    model: object,
    input_type: InputType | None,
    truncation: object,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
) -> tuple[Model, EmbedOptions]:
    """Check the options that every call has.

    Args:
        host: Where the model runs.
        kind: The kind of model that the call is for, None for any that embeds texts.
        model: Its name.
        input_type: The prompt.
        truncation: Whether to cut what is longer than the context.
        output_dimension: Length of the vectors.
        output_dtype: Their number type.

    Returns:
        The catalogue's row of the model, and the options.

    Raises:
        InvalidInputError: One of them cannot work; it is named, with the choices.
    """
    if kind is None:
        row = validation.check_embedding_model(model)
    else:
        row = validation.check_model(model, kind)
    options = options_of(row, input_type, truncation, output_dimension, output_dtype)
    fields = options.fields
    if row.kind == "contextualized":  # the endpoint has no truncation
        fields = {**fields, "truncation": None}
    host.require(ENDPOINTS[row.kind], fields)
    return row, options


def options_of(
    row: Model,
    input_type: InputType | None,
    truncation: object,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
) -> EmbedOptions:
    """The options for a model, wherever it runs; the errors are those of `checked_options`."""
    validation.check_input_type(input_type)
    output_dimension = plain(output_dimension)
    return EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=validation.check_flag("truncation", truncation),
        output_dimension=output_dimension,
        output_dtype=validation.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
