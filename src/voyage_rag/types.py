"""What calls return, under the names of Voyage's own Python client.

Vectors stay compact, as `array.array`, until lists are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, overload

from voyage_rag.usage import Usage

if TYPE_CHECKING:
    import numpy as np

    from voyage_rag.models import OutputDtype

InputType: TypeAlias = Literal["query", "document"]
"""Which of Voyage's two prompts goes before a text."""

EmptyText: TypeAlias = Literal["error", "space", "zeros"]
"""What becomes of an empty string, which the service refuses: an error, the vector of a single
space, or a zero vector.

A zero vector is no neutral answer in a store: by L2 it is nearer to a query than most vectors are,
and by cosine some stores rank it first, since its similarity is not a number.
"""

InvalidText: TypeAlias = Literal["error", "replace"]
"""What becomes of half a character (a lone surrogate): an error, or U+FFFD in its place."""

BlankDocuments: TypeAlias = Literal["last", "drop", "error"]
"""What becomes of a document without words among those to rank: last, left out, or an error."""

Vector: TypeAlias = "array[float] | array[int]"
Numbers: TypeAlias = "list[float] | list[int]"
Row: TypeAlias = "Vector | Numbers"
"""A vector, compact or as a list."""

TYPECODES: dict[OutputDtype, str] = {
    "float": "f",
    "int8": "b",
    "uint8": "B",
    "binary": "b",
    "ubinary": "B",
}
"""How each output dtype is held: the type codes of `array` and of numpy."""


def compact(row: Row, dtype: OutputDtype) -> Vector:
    """A row as an array."""
    return row if isinstance(row, array) else array(TYPECODES[dtype], row)


class Vectors(Sequence["Vector"]):
    """Vectors of one length and number type, in input order, 4 bytes per float dimension.

    Each element is an `array.array`: a sequence of numbers that numpy and others read without
    copying. Where lists were asked for, these are held instead, and the elements made of them.
    """

    __slots__ = ("_rows", "dtype")

    def __init__(self, rows: Sequence[Row], dtype: OutputDtype) -> None:
        self._rows = rows
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Vector: ...
    @overload
    def __getitem__(self, index: slice) -> Vectors: ...
    def __getitem__(self, index: int | slice) -> Vector | Vectors:
        if isinstance(index, slice):
            return Vectors(self._rows[index], self.dtype)
        return compact(self._rows[index], self.dtype)

    def __iter__(self) -> Iterator[Vector]:
        return (compact(row, self.dtype) for row in self._rows)

    def __repr__(self) -> str:
        length = len(self._rows[0]) if self._rows else 0
        return f"<Vectors: {len(self)} × {length} numbers, {self.dtype}>"

    def to_lists(self) -> list[Numbers]:
        """Plain Python lists, about eight times the memory."""
        return [row.tolist() if isinstance(row, array) else row for row in self._rows]

    def to_numpy(self) -> np.ndarray:
        """An array of shape (vectors, numbers): float32, int8 or uint8. Needs numpy.

        The binary types keep eight dimensions in one number.

        Raises:
            ImportError: There is no numpy.
        """
        try:
            import numpy as np  # noqa: PLC0415 - only who asks for numpy needs it
        except ImportError as error:
            raise ImportError("to_numpy() needs numpy: pip install numpy") from error

        dtype = np.dtype(TYPECODES[self.dtype])
        if not self._rows:
            return np.empty((0, 0), dtype)
        table = np.empty((len(self._rows), len(self._rows[0])), dtype)
        for position, row in enumerate(self._rows):
            table[position] = row
        return table


@dataclass(frozen=True)
class EmbeddingsObject:
    """Embeddings of a list of texts.

    Attributes:
        vectors: The vectors, compact, in the order of the texts.
        usage: What it cost.
        model: The model that made them.
    """

    vectors: Vectors
    usage: Usage
    model: str

    @cached_property
    def embeddings(self) -> list[Numbers]:
        """The vectors as lists: floats for `float`, integers for the other types."""
        return self.vectors.to_lists()

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""
        return self.usage.total_tokens

    def to_numpy(self) -> np.ndarray:
        """The vectors as one numpy array (see `Vectors.to_numpy`)."""
        return self.vectors.to_numpy()


@dataclass(frozen=True)
class ContextualizedEmbeddingsResult:
    """Embeddings of the chunks of one document.

    Attributes:
        index: Its position in the list that was given.
        vectors: One vector per chunk, compact, in order.
        chunk_texts: The chunks, where they were made by the call: by the service or by `chunk_fn`.
        windows: How many chunks were embedded together, window by window: one number, unless the
            document was longer than the model's window.
    """

    index: int
    vectors: Vectors
    chunk_texts: list[str] | None
    windows: tuple[int, ...]

    @cached_property
    def embeddings(self) -> list[Numbers]:
        """The vectors as lists: floats for `float`, integers for the other types."""
        return self.vectors.to_lists()


@dataclass(frozen=True)
class ContextualizedEmbeddingsObject:
    """Embeddings of the chunks of documents.

    Attributes:
        results: One per document, in order.
        usage: What it cost.
        model: The model that made them.
        chunker_version: Of the service's chunker, where it was used.
    """

    results: list[ContextualizedEmbeddingsResult]
    usage: Usage
    model: str
    chunker_version: str | None = None

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""
        return self.usage.total_tokens

    @property
    def chunk_texts(self) -> list[list[str]] | None:
        """The chunks of each document, where they were made by the call."""
        made = [result.chunk_texts for result in self.results if result.chunk_texts is not None]
        return made or None


@dataclass(frozen=True)
class MultimodalEmbeddingsObject(EmbeddingsObject):
    """Embeddings of texts, images and videos."""

    @property
    def text_tokens(self) -> int:
        """Tokens billed for text."""
        return self.usage.text_tokens

    @property
    def image_pixels(self) -> int:
        """Pixels billed for images: 50,000 to 2,000,000 each, 560 to a token."""
        return self.usage.image_pixels

    @property
    def video_pixels(self) -> int:
        """Pixels billed for videos, 1,120 to a token."""
        return self.usage.video_pixels


class RerankingResult(NamedTuple):
    """One document's place in a ranking.

    Attributes:
        index: Its position in the list that was given.
        document: Its text, as given.
        relevance_score: 0 to 1, higher is more relevant.
    """

    index: int  # type: ignore[assignment] # the vendor's name, over tuple.index
    document: str
    relevance_score: float


@dataclass(frozen=True)
class RerankingObject:
    """Documents by falling relevance.

    Attributes:
        results: The ranking, cut to `top_k`.
        usage: What it cost.
        model: The model that made it.
    """

    results: list[RerankingResult]
    usage: Usage = field(default_factory=Usage)
    model: str = ""

    @property
    def total_tokens(self) -> int:
        """Tokens billed: the query counts once per document."""
        return self.usage.total_tokens
