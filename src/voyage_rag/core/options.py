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
        input_type: The prompt: `query`, `document` or None.
        truncation: Truncate texts to the context instead of rejecting them.
        output_dimension: Length of the vectors; None for the model's default.
        output_dtype: Number type of the vectors; None for float.
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
        host: The host of the model.
        kind: The kind of model that the call requires; None for any that embeds texts.
        model: Name of the model.
        input_type: The prompt.
        truncation: Whether to truncate longer texts to the context.
        output_dimension: Length of the vectors.
        output_dtype: Their number type.

    Returns:
        The catalogue's row of the model, and the options.

    Raises:
        InvalidInputError: An option is invalid. The message names it and the choices.
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
    """Return the options of a model on any host. The errors are those of `checked_options`."""
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
