"""What requests are made of and answers are read into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from voyage_rag.types import Usage

if TYPE_CHECKING:
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import Vector

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """What holds for every text of a call.

    Attributes:
        model: Name of the model.
        input_type: `query`, `document` or None for neither prompt.
        truncation: Cut texts to the context instead of refusing them.
        output_dimension: Length of the vectors, None for the model's default.
        output_dtype: Number type of the vectors, None for float.
        expected_dimension: The length an answer must have, None where it is not known.
    """

    model: str
    input_type: str | None
    truncation: bool
    output_dimension: int | None
    output_dtype: OutputDtype | None
    expected_dimension: int | None

    @property
    def fields(self) -> dict[str, Any]:
        """As request fields, named by the Voyage API."""
        return {
            "model": self.model,
            "input_type": self.input_type,
            "truncation": self.truncation,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
        }

    @property
    def dtype(self) -> OutputDtype:
        """The number type the answer comes in."""
        return self.output_dtype or "float"


@dataclass(frozen=True, slots=True)
class Embedded(Generic[Value]):
    """An answer of an embedding endpoint, in input order: a vector, or vectors, per input.

    Attributes:
        vectors: What was asked for.
        total_tokens: What it cost.
        text_tokens: Of a multimodal model, as the two below: what text cost of that.
        image_pixels: Pixels of images.
        video_pixels: Pixels of video.
    """

    vectors: list[Value]
    total_tokens: int
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0

    @property
    def usage(self) -> Usage:
        """What it cost, as callers are told."""
        return Usage(self.total_tokens, 1, self.text_tokens, self.image_pixels, self.video_pixels)


@dataclass(frozen=True, slots=True)
class Chunked:
    """The vectors of chunks that were embedded together.

    Attributes:
        vectors: One per chunk, in order.
        texts: The chunks, where the service made them.
        chunker: Version of the service's chunker, where it was used.
    """

    vectors: list[Vector]
    texts: list[str] | None = None
    chunker: str | None = None


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the service is to cut documents, in tokens; None for its defaults."""

    size: int | None = None
    overlap: int | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """Answers of the rerank endpoint: (index, score) by falling score."""

    scores: list[tuple[int, float]]
    total_tokens: int
    requests: int = 1
