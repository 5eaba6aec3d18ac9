"""The options of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voyage_rag.bulk.job_folder import InputSummary
from voyage_rag.bulk.outputs import OutputFormat
from voyage_rag.bulk.result_store import ROWS_PER_PART
from voyage_rag.bulk.writers import OutputSchema, schema_from_text
from voyage_rag.core import validation
from voyage_rag.core.vectors import length_of
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputFormat
from voyage_rag.jobs.inputs.rows import ReadOptions
from voyage_rag.models import Engine, Model, OutputDtype
from voyage_rag.types import InputType

OnError: TypeAlias = Literal["stop", "skip"]

NOT_AFFECTING_OUTPUT = {"batch_size", "on_error", "overwrite"}


class JobOptions(BaseModel):
    """The options of an `EmbeddingJob`. Immutable.

    Attributes:
        model: An embedding model, such as `voyage-4`.
        text_column: The column with the text in a table or JSON object. Several columns are joined
            by line breaks; empty ones are omitted. A dotted path selects a nested value.
        id_column: The column with unique ids: strings or integers. Default: `id` or `_id` if
            present; otherwise rows are numbered from 0.
        keep: Other columns to copy to the output, or `all`: every column that occurs in a file, or
            for JSON, every key that occurs in a row.
        input_type: The prompt: `document`, `query` or None.
        truncation: Truncate texts to the model's context. False raises an error for longer texts.
        output_dimension: Length of the vectors, if the model supports several.
        output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight dimensions
            into one number.
        input_format: Format of the input. Default: determined by its name.
        delimiter: Field delimiter of a CSV or TSV file.
        encoding: Encoding of text files, such as `latin-1`. Default: UTF-8.
        header: Whether CSV and TSV files have a header. Without one, columns are named 1, 2 and so
            on.
        skip_lines: Number of lines before the header or first row of a text file.
        output_format: Format of the output. Default: determined by its name.
        on_error: How to treat rows that cannot be embedded. `stop` raises an error before anything
            is sent, `skip` writes them to a side file, and skips the rest of damaged files.
        overwrite: Replace an existing output, or discard a job with other options.
        engine: `realtime`, or `batch`, which takes up to twelve hours at two thirds of the price.
        batch_size: Maximum number of texts per request. None uses the limits of the model.
        rows_per_part: Number of rows that are written together; for a folder, rows per file.

    Examples:
        >>> from voyage_rag.bulk import EmbeddingJob
        >>> job = EmbeddingJob(
        ...     "faq.jsonl",
        ...     "vectors.jsonl",
        ...     model="voyage-4-lite",
        ...     text_column=["question", "answer"],
        ...     output_dimension=256,
        ... )
        >>> job.options.output_dimension
        256
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True
    )

    model: str
    text_column: str | Annotated[tuple[str, ...], Field(min_length=1)] = "text"
    id_column: str | None = None
    keep: tuple[str, ...] = ()
    input_type: InputType | None = "document"
    truncation: bool = True
    output_dimension: int | None = None
    output_dtype: OutputDtype = "float"
    input_format: InputFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    skip_lines: Annotated[int, Field(ge=0)] = 0
    output_format: OutputFormat | None = None
    on_error: OnError = "stop"
    overwrite: bool = False
    engine: Engine = "realtime"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    rows_per_part: Annotated[int, Field(ge=1)] = ROWS_PER_PART

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Check all options, also against the model.

        Raises:
            JobError: An option is unknown or invalid.
            InvalidInputError: The model does not support an option.
        """
        if isinstance(given.get("keep"), str):
            given["keep"] = (given["keep"],)
        try:
            options = cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = ".".join(map(str, first["loc"][:1]))
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise JobError(f"unknown option {name!r}; the options are {known}") from None
            raise JobError(f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
        _ = options.reading
        validation.check_output(options.row, options.output_dimension, options.output_dtype)
        return options

    @property
    def row(self) -> Model:
        """The catalogue's row of the model.

        Raises:
            InvalidInputError: The model is not an embedding model.
        """
        return validation.check_embedding_model(self.model)

    @property
    def length(self) -> int | None:
        """Numbers per vector; None if the model is not in the catalogue."""
        dimension = self.output_dimension or self.row.default_dimension
        return None if dimension is None else length_of(dimension, self.output_dtype)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns with the text."""
        return (self.text_column,) if isinstance(self.text_column, str) else self.text_column

    @property
    def reading(self) -> ReadOptions:
        """The options for reading files."""
        return ReadOptions(self.encoding, self.delimiter, self.header, self.skip_lines)

    @property
    def request(self) -> dict[str, Any]:
        """The arguments of the client, except the texts."""
        names = {"model", "input_type", "truncation", "output_dtype", "output_dimension"}
        return self.model_dump(include=names)

    def output_schema(self, summary: InputSummary) -> OutputSchema:
        """Return the columns of the output."""
        made_with = {**self.request, "model": self.row.name}
        kept = schema_from_text(summary.kept)
        return OutputSchema(summary.id_type, self.output_dtype, made_with, kept)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The arguments of a job."""

    inputs: Sequence[Path]
    output: Path
    form: OutputFormat
    options: JobOptions

    def recorded(self, host: str | None) -> dict[str, Any]:
        """Return everything that the output depends on, for a manifest."""
        given = self.options.model_dump(exclude=NOT_AFFECTING_OUTPUT, mode="json")
        return given | {"form": self.form} | ({} if host is None else {"host": host})
