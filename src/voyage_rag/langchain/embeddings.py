"""LangChain's embeddings interface for Voyage models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Unpack

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, SecretStr

from voyage_rag.construction import constructor
from voyage_rag.errors import InvalidInputError
from voyage_rag.langchain.chunks import DocumentOf
from voyage_rag.langchain.contextual import ContextualEmbeddings
from voyage_rag.langchain.parameters import EmbeddingParameters
from voyage_rag.langchain.precomputed import CURRENT_VECTORS
from voyage_rag.models import OutputDtype, kind_of
from voyage_rag.queries import QueryOptions
from voyage_rag.types import EmptyText, InputType, InvalidText, Vector


class VoyageAIEmbeddings(QueryOptions, Embeddings):
    """Voyage AI embeddings for LangChain.

    Accepts the parameters of `langchain_voyageai.VoyageAIEmbeddings`, those below, and those of
    `voyage_rag.queries.QueryOptions` and `voyage_rag.connection.Connection`. An unknown parameter
    raises an error that suggests the closest name.

    Attributes:
        model: An embedding model, for example `voyage-4`.
        batch_size: Maximum number of texts per request. By default, requests are as large as the
            limits allow.
        truncation: Truncate texts to the model's context. False raises an error for longer texts.
        output_dimension: Length of the vectors, if the model supports several.
        output_dtype: Number type of the vectors; see `integers` for types other than `float`.
        integers: Return vectors of an integer dtype as Python integers. LangChain's interface
            specifies floats, which the PostgreSQL stores require. Qdrant requires integers for
            `uint8`, and LanceDB for bits.
        show_progress_bar: Show a tqdm bar while documents are embedded.
        empty_text: How to treat empty strings. `error` raises an error with their positions,
            `space` embeds a single space instead, `zeros` returns zero vectors, which some stores
            rank first.
        invalid_text: How to treat texts with a lone surrogate. `error` raises an error, `replace`
            sends a replacement character.
        document_input_type: The prompt for `embed_documents`; None for no prompt.

    Setup:
        Run `pip install 'voyage-rag[langchain]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from voyage_rag.langchain import VoyageAIEmbeddings
        >>> embeddings = VoyageAIEmbeddings(model="voyage-4")
        >>> texts = ["Read a CSV file.", "Send an email."]
        >>> store = InMemoryVectorStore.from_texts(texts, embeddings)
        >>> store.similarity_search("parse csv", k=1)[0].page_content
        'Read a CSV file.'

        >>> len(embeddings.embed_query("parse csv"))
        1024
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: str
    batch_size: Annotated[int, Field(ge=1)] | None = None
    truncation: bool = True
    output_dimension: int | None = None
    output_dtype: OutputDtype | None = None
    integers: bool = False
    show_progress_bar: bool = False
    empty_text: EmptyText = "error"
    invalid_text: InvalidText = "error"
    document_input_type: InputType | None = "document"

    @constructor
    def __init__(
        self,
        model: str,
        *,
        api_key: str | SecretStr | None = None,
        **parameters: Unpack[EmbeddingParameters],
    ) -> None:
        fields: dict[str, Any] = {"model": model, **parameters}
        if api_key is not None:
            fields["voyage_api_key"] = api_key
        super().__init__(**fields)
        self.connect()

    @property
    def _vector_options(self) -> tuple[str, int | None, OutputDtype | None]:
        return self.model, self.output_dimension, self.output_dtype

    @property
    def _prompts(self) -> str:
        return f"{self.document_input_type}-{self.truncation}-{self.empty_text}-{self.invalid_text}"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents: one vector per text, in order.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`. Its `partial` contains the finished vectors.
        """
        if (given := CURRENT_VECTORS.get()) and given.are_of(self):
            return given.take(texts)
        found = self.voyage.embed(texts, **self._document_options, as_lists=True)
        return self._floats(found.embeddings)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async variant of `embed_documents`."""
        if (given := CURRENT_VECTORS.get()) and given.are_of(self):
            return given.take(texts)
        found = await self.voyage.aembed(texts, **self._document_options, as_lists=True)
        return self._floats(found.embeddings)

    def embed_query(self, text: str) -> list[float]:
        """Embed a query.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`.
        """
        return self._floats([self._query_vector(text)])[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Async variant of `embed_query`."""
        return self._floats([await self._aquery_vector(text)])[0]

    def for_documents(
        self, documents: Iterable[Document], by: DocumentOf = "source"
    ) -> ContextualEmbeddings:
        """Return embeddings for a vector store of chunks in the context of their documents.

        Use this with a contextualized model (`voyage-context-4`), whose vectors depend on the other
        chunks of the document, because a vector store passes texts only.

        Args:
            documents: The output of a text splitter: all chunks of each document, in order.
            by: Identifies the document of a chunk: the name of a metadata field, or a function of
                the chunk.

        Returns:
            The embeddings to pass to the store; see `ContextualEmbeddings`.

        Raises:
            InvalidInputError: The model is not a contextualized one, or a chunk does not identify
                its document.
        """
        if kind_of(self.model) != "contextualized":
            raise InvalidInputError(
                f"{self.model!r} does not embed chunks in context: use voyage-context-4, or pass "
                "these embeddings to the store directly"
            )
        made = ContextualEmbeddings(self, by)
        made.include(documents)
        return made

    def as_numbers(self, vectors: Iterable[Vector]) -> list[list[float]]:
        """Convert vectors to LangChain's lists: of floats, or of integers with `integers`."""
        return self._floats([vector.tolist() for vector in vectors])

    def _floats(self, rows: list[list[float]]) -> list[list[float]]:
        if self.integers or self.output_dtype in {None, "float"}:
            return rows
        return [list(map(float, row)) for row in rows]

    @property
    def chunk_options(self) -> dict[str, Any]:
        """The arguments of `Voyage.embed_chunks` for chunks of documents."""
        options = self._document_options
        for name in ("batch_size", "truncation"):  # the endpoint does not support it
            del options[name]
        return options

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "truncation": self.truncation,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            "empty_text": self.empty_text,
            "invalid_text": self.invalid_text,
        }

    @property
    def _document_options(self) -> dict[str, Any]:
        return self._options | {
            "input_type": self.document_input_type,
            "batch_size": self.batch_size,
            "show_progress_bar": self.show_progress_bar,
        }
