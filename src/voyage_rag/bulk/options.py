"""What a job is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.outputs import OutputFormat
from voyage_rag.bulk.sources import InputFormat
from voyage_rag.bulk.store import ROWS_PER_PART
from voyage_rag.core import validation
from voyage_rag.core.vectors import length_of
from voyage_rag.models import Model, OutputDtype
from voyage_rag.types import InputType

Engine: TypeAlias = Literal["realtime", "batch"]
OnError: TypeAlias = Literal["stop", "skip"]

NOT_OF_THE_VECTORS = {"batch_size", "on_error", "overwrite"}


class JobOptions(BaseModel):
    """Options of an `EmbeddingJob`. Frozen.

    Attributes:
        model: An embedding model (docs: "Text Embeddings").
        text_column: Where the text is in a table or a JSON object.
        id_column: Where the name of a row is: strings or whole numbers, no two alike. Unless given,
            `id` where there is one, else rows are named by their position, from 0.
        input_type: Which of Voyage's prompts goes before a text; None for neither.
        truncation: Cut texts to the model's context; False refuses longer ones.
        output_dimension: Length of the vectors, where the model offers several.
        output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, eight dimensions in a number.
        input_format: How texts lie in the input; unless given its name tells.
        output_format: What to make; unless given its name tells.
        on_error: What becomes of rows that cannot be embedded: `stop` finds them before anything is
            sent, `skip` leaves them out and writes them to a side file.
        overwrite: Replace an output that exists, or a job that was begun with other options.
        engine: `realtime`, or `batch`, a third cheaper within half a day (docs: "Batch
            Inference").
        batch_size: Most texts in one request, unless given as many as go.
        rows_per_part: Rows that are written together; of a folder, those of a file.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True
    )

    model: str
    text_column: str = "text"
    id_column: str | None = None
    input_type: InputType | None = "document"
    truncation: bool = True
    output_dimension: int | None = None
    output_dtype: OutputDtype = "float"
    input_format: InputFormat | None = None
    output_format: OutputFormat | None = None
    on_error: OnError = "stop"
    overwrite: bool = False
    engine: Engine = "realtime"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    rows_per_part: Annotated[int, Field(ge=1)] = ROWS_PER_PART

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Check them all, against the model, too.

        Raises:
            JobError: An option is unknown or cannot work.
            InvalidInputError: The model does not offer that.
        """
        try:
            options = cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = ".".join(map(str, first["loc"][:1]))
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise JobError(f"unknown option {name!r}; the options are {known}") from None
            raise JobError(f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
        validation.check_output(options.row, options.output_dimension, options.output_dtype)
        return options

    @property
    def row(self) -> Model:
        """The catalogue's row of the model.

        Raises:
            InvalidInputError: It is no embedding model.
        """
        return validation.check_embedding_model(self.model)

    @property
    def length(self) -> int | None:
        """Numbers of a vector, None if the model is not in the catalogue."""
        dimension = self.output_dimension or self.row.default_dimension
        return None if dimension is None else length_of(dimension, self.output_dtype)

    def of_the_vectors(self) -> dict[str, Any]:
        """Those on which the output depends."""
        return self.model_dump(exclude=NOT_OF_THE_VECTORS)
