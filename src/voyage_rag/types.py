"""The results of calls, with the names of the `voyageai` package.

Vectors are stored as `array.array` until lists are requested.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, overload

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from voyage_rag.models import OutputDtype
from voyage_rag.usage import Usage

InputType: TypeAlias = Literal["query", "document"]
"""The prompt that Voyage puts before a text."""

EmptyText: TypeAlias = Literal["error", "space", "zeros"]
"""How to treat an empty string, which the service rejects: raise an error, embed a single space, or
return a zero vector.

A zero vector is not neutral in a store: by L2 distance it is nearer to a query than most vectors,
and by cosine distance some stores rank it first, because its similarity is NaN.
"""

InvalidText: TypeAlias = Literal["error", "replace"]
"""How to treat a lone surrogate: raise an error, or replace it with U+FFFD."""

BlankDocuments: TypeAlias = Literal["last", "drop", "error"]
"""How to treat a document without words in a ranking: rank it last, omit it, or raise an error."""

if TYPE_CHECKING:
    import numpy as np

    NumpyArray: TypeAlias = np.ndarray
    Vector: TypeAlias = array[float]
else:
    NumpyArray = Any  # numpy is imported by those who ask for its arrays
    Vector = array  # generic from Python 3.12 on
Row: TypeAlias = Vector | list[float]
"""A vector, as an array or as a list. Integers are floats, too, to a type checker."""

TYPECODES: dict[OutputDtype, str] = {
    "float": "f",
    "int8": "b",
    "uint8": "B",
    "binary": "b",
    "ubinary": "B",
}
"""The type codes of `array` and of numpy for each output dtype."""


def compact(row: Row, dtype: OutputDtype) -> Vector:
    """Return a vector as an array."""
    return row if isinstance(row, array) else array(TYPECODES[dtype], row)


class Vectors(Sequence["Vector"]):
    """Vectors of one length and number type, in input order, with 4 bytes per float.

    Each element is an `array.array`: a sequence of numbers that numpy and other packages read
    without copying. With `as_lists`, the lists are stored, and arrays are created on access. In
    JSON, pydantic writes lists of numbers: annotate a FastAPI endpoint with the type that it
    returns, such as `EmbeddingsObject`.

    Examples:
        >>> from voyage_rag import Voyage
        >>> result = Voyage().embed(["one", "two"], model="voyage-4", output_dimension=256)
        >>> result.vectors
        <Vectors: 2 × 256 numbers, float>
        >>> result.vectors.to_numpy().shape
        (2, 256)
        >>> len(result.vectors[0])
        256
    """

    __slots__ = ("_rows", "_shared", "dtype")

    def __init__(self, rows: Iterable[Row], dtype: OutputDtype, shared: Iterable[int] = ()) -> None:
        self._rows = list(rows)
        self._shared = set(shared)  # positions of equal texts, whose row is copied on access
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Vector: ...
    @overload
    def __getitem__(self, index: slice) -> Vectors: ...
    def __getitem__(self, index: int | slice) -> Vector | Vectors:
        positions = range(len(self))[index]
        if isinstance(positions, range):
            return Vectors(map(self._own_row, positions), self.dtype)
        return compact(self._own_row(positions), self.dtype)

    def __iter__(self) -> Iterator[Vector]:
        return (compact(self._own_row(n), self.dtype) for n in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vectors):
            return NotImplemented
        rows = [compact(row, self.dtype) for row in self._rows]
        others = [compact(row, other.dtype) for row in other._rows]
        return self.dtype == other.dtype and rows == others

    def __hash__(self) -> int:
        return hash((self.dtype, len(self)))

    def _own_row(self, position: int) -> Row:
        if position in self._shared:
            self._rows[position] = self._rows[position][:]
            self._shared.discard(position)
        return self._rows[position]

    def __repr__(self) -> str:
        length = len(self._rows[0]) if self._rows else 0
        return f"<Vectors: {len(self)} × {length} numbers, {self.dtype}>"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(
            cls, serialization=core_schema.plain_serializer_function_ser_schema(cls.to_lists)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}

    def to_lists(self) -> list[list[float]]:
        """Return the vectors as lists, which take about eight times the memory."""
        return [row.tolist() if isinstance(row, array) else row for row in self._rows]

    def to_numpy(self) -> NumpyArray:
        """Return an array of shape (vectors, numbers): float32, int8 or uint8. Requires numpy.

        The binary types pack eight dimensions into one number. `ubinary` is what `numpy.unpackbits`
        and FAISS expect; numbers of `binary` are 128 less. Products of int8 and uint8 numbers
        overflow without a warning: convert one side first, as in
        `array @ query.astype("int32")`.

        Raises:
            ImportError: numpy is not installed.
        """
        try:
            import numpy as np  # noqa: PLC0415 - optional dependency
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
    """The embeddings of a list of texts.

    Attributes:
        vectors: The vectors, in the order of the texts.
        usage: The usage of the call.
        model: The model.

    Examples:
        >>> from voyage_rag import Voyage
        >>> result = Voyage().embed(["Hello, world"], model="voyage-4")
        >>> len(result.embeddings[0])
        1024
        >>> result.total_tokens
        3
    """

    vectors: Vectors
    usage: Usage
    model: str

    @cached_property
    def embeddings(self) -> list[list[float]]:
        """The vectors as lists: floats for `float`, integers for the other types."""
        return self.vectors.to_lists()

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""
        return self.usage.total_tokens

    def to_numpy(self) -> NumpyArray:
        """Return the vectors as one numpy array (see `Vectors.to_numpy`)."""
        return self.vectors.to_numpy()


@dataclass(frozen=True)
class ContextualizedEmbeddingsResult:
    """The embeddings of the chunks of one document.

    Attributes:
        index: Position of the document in the input.
        vectors: One vector per chunk, in order.
        chunk_texts: The chunks, if the call created them: by the service or by `chunk_fn`.
        windows: Number of chunks per window: one number, unless the document was longer than the
            model's window.

    Examples:
        >>> from voyage_rag import Voyage
        >>> documents = [["The tenant pays.", "The landlord repairs."], ["Peel the onions."]]
        >>> result = Voyage().contextualized_embed(documents, model="voyage-context-4")
        >>> [len(document.embeddings) for document in result.results]
        [2, 1]
    """

    index: int
    vectors: Vectors
    chunk_texts: list[str] | None
    windows: tuple[int, ...]

    @cached_property
    def embeddings(self) -> list[list[float]]:
        """The vectors as lists: floats for `float`, integers for the other types."""
        return self.vectors.to_lists()


@dataclass(frozen=True)
class ContextualizedEmbeddingsObject:
    """The embeddings of the chunks of documents.

    Attributes:
        results: One result per document, in order.
        usage: The usage of the call.
        model: The model.
        chunker_version: Version of the service's chunker, if it was used.

    Examples:
        >>> from voyage_rag import Voyage
        >>> result = Voyage().contextualized_embed(
        ...     ["A document that the service splits."],
        ...     model="voyage-context-4",
        ...     input_type="document",
        ...     enable_auto_chunking=True,
        ... )
        >>> result.chunk_texts
        [['A document that the service splits.']]
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
        """The chunks of each document, if the call created them."""
        made = [result.chunk_texts for result in self.results if result.chunk_texts is not None]
        return made or None


@dataclass(frozen=True)
class MultimodalEmbeddingsObject(EmbeddingsObject):
    """The embeddings of texts, images and videos.

    Examples:
        >>> from PIL import Image
        >>> from voyage_rag import Voyage
        >>> image = Image.new("RGB", (1000, 1000), "red")
        >>> result = Voyage().multimodal_embed([[image]], model="voyage-multimodal-3.5")
        >>> result.image_pixels
        1000000
    """

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
    """The score of one document.

    Attributes:
        index: Position of the document in the input.
        document: Its text.
        relevance_score: The relevance, from 0 to 1; higher is more relevant.

    Examples:
        >>> from voyage_rag import Voyage
        >>> documents = ["Send an email.", "Read a CSV file."]
        >>> ranking = Voyage().rerank("parse csv", documents, model="rerank-3")
        >>> best = ranking.results[0]
        >>> best.index, best.document
        (1, 'Read a CSV file.')
    """

    index: int  # type: ignore[assignment] # the vendor's name, over tuple.index
    document: str
    relevance_score: float


@dataclass(frozen=True)
class RerankingObject:
    """Documents in order of relevance.

    Attributes:
        results: The ranking, at most `top_k` documents.
        usage: The usage of the call.
        model: The model.

    Examples:
        >>> from voyage_rag import Voyage
        >>> documents = ["Send an email.", "Read a CSV file."]
        >>> ranking = Voyage().rerank("parse csv", documents, model="rerank-3")
        >>> [result.index for result in ranking.results]
        [1, 0]
    """

    results: list[RerankingResult]
    usage: Usage = field(default_factory=Usage)
    model: str = ""

    @property
    def total_tokens(self) -> int:
        """Tokens billed. The query counts once per document."""
        return self.usage.total_tokens
