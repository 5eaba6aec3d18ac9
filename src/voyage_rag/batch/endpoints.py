"""The kinds of batch jobs: texts, documents of chunks, and queries with their documents.

Each kind defines how an input becomes a line, which options apply to all lines, and how a response
is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from voyage_rag.batch.types import BatchResult
from voyage_rag.core import validation
from voyage_rag.core.context import estimate_tokens
from voyage_rag.core.options import EmbedOptions, options_of
from voyage_rag.core.windows import MAX_CHUNKS
from voyage_rag.core.wire import responses
from voyage_rag.errors import InvalidInputError, UnexpectedAnswerError
from voyage_rag.models import Kind as ModelKind
from voyage_rag.models import Model, OutputDtype, kind_of
from voyage_rag.records import BatchLine, LineFailure
from voyage_rag.types import InputType, RerankingResult

UNSOUND = "unsound"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options of a job (see `voyage_rag.batch.BatchJob.submit`)."""

    model: str
    input_type: InputType | None = None
    truncation: bool = True
    output_dtype: OutputDtype | None = None
    output_dimension: int | None = None
    top_k: int | None = None


class BatchEndpoint(ABC):
    """One of the three endpoints that support batches.

    Attributes:
        endpoint: The path for which a batch is created.
        params: Model and options of all lines.
        row: The catalogue's row of the model.
    """

    model_kind: ClassVar[ModelKind]
    endpoint: ClassVar[str]

    def __init__(self, options: BatchOptions) -> None:
        self.row: Model = validation.check_model(options.model, self.model_kind)
        self._options = options
        given = self._checked(options)
        self.params: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }

    @abstractmethod
    def _checked(self, options: BatchOptions) -> dict[str, Any]:
        """Return the options in the service's format. Raise an error for invalid ones."""

    @abstractmethod
    def body(self, name: str, given: object, index: int) -> tuple[dict[str, Any], float]:
        """Return the body of an input's line, and its estimated tokens.

        Raises:
            InvalidInputError: The input is invalid. The message names it.
        """

    @abstractmethod
    def _read(self, line: BatchLine) -> dict[str, Any]:
        """Return the attributes of a result from the response to a line."""

    def result(self, index: int, line: BatchLine) -> BatchResult:
        """Return the result of the input at a position."""
        failure = line.failure
        if failure is None:
            try:
                return BatchResult(index, line.custom_id, **self._read(line))
            except UnexpectedAnswerError as error:
                failure = LineFailure(error.message, None, UNSOUND, line.input)
        return BatchResult(index, line.custom_id, failure=failure)

    def _embed_options(self, *, truncation: bool) -> EmbedOptions:
        given = self._options
        self._refuse(top_k=given.top_k)
        return options_of(
            self.row, given.input_type, truncation, given.output_dimension, given.output_dtype
        )

    def _refuse(self, **given: object) -> None:
        for name, value in given.items():
            if value is not None:
                raise InvalidInputError(f"{self.row.name!r} does not support {name}: leave it out")


class Texts(BatchEndpoint):
    """Texts, each embedded separately."""

    model_kind: ClassVar[ModelKind] = "embedding"
    endpoint = "/v1/embeddings"

    def _checked(self, options: BatchOptions) -> dict[str, Any]:
        self._wire = self._embed_options(truncation=options.truncation)
        return self._wire.fields

    def body(self, name: str, given: object, index: int) -> tuple[dict[str, Any], float]:
        """See `BatchEndpoint`."""
        text = _text(name, given, index)
        return {"input": [text]}, estimate_tokens(text)

    def _read(self, line: BatchLine) -> dict[str, Any]:
        found = responses.embed_answer(line.body or {}, 1, self._wire)
        return {"vectors": found.values, "total_tokens": found.total_tokens}


class Documents(BatchEndpoint):
    """Documents of chunks. Each chunk is embedded in the context of the others."""

    model_kind: ClassVar[ModelKind] = "contextualized"
    endpoint = "/v1/contextualizedembeddings"

    def _checked(self, options: BatchOptions) -> dict[str, Any]:
        if options.truncation is not True:
            raise InvalidInputError(f"{self.row.name!r} does not truncate: leave truncation out")
        self._wire = self._embed_options(truncation=True)
        return self._wire.fields | {"truncation": None}

    def body(self, name: str, given: object, index: int) -> tuple[dict[str, Any], float]:
        """See `BatchEndpoint`. A single string is a document of one chunk."""
        chunks = _texts(name, [given] if isinstance(given, str) else given, "chunks", index)
        if len(chunks) > MAX_CHUNKS:
            raise InvalidInputError(
                f"{name} has {len(chunks)} chunks, more than {MAX_CHUNKS}: split the document",
                indices=(index,),
            )
        return {"inputs": [chunks]}, sum(map(estimate_tokens, chunks))

    def _read(self, line: BatchLine) -> dict[str, Any]:
        (chunks,) = line.input["inputs"]
        found = responses.contextual_answer(line.body or {}, [len(chunks)], self._wire)
        return {"vectors": found.values[0].vectors, "total_tokens": found.total_tokens}


class Rankings(BatchEndpoint):
    """Queries, each with the documents to rank."""

    model_kind: ClassVar[ModelKind] = "rerank"
    endpoint = "/v1/rerank"

    def _checked(self, options: BatchOptions) -> dict[str, Any]:
        self._refuse(
            input_type=options.input_type,
            output_dtype=options.output_dtype,
            output_dimension=options.output_dimension,
        )
        validation.check_flag("truncation", options.truncation)
        top_k = options.top_k
        return {
            "model": self.row.name,
            "top_k": None if top_k is None else validation.check_count("top_k", top_k),
            "truncation": options.truncation,
        }

    def body(self, name: str, given: object, index: int) -> tuple[dict[str, Any], float]:
        """See `BatchEndpoint`."""
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != PAIR:
            raise InvalidInputError(
                f"{name} must be a pair of a query and its documents, not {_shown(given)}",
                indices=(index,),
            )
        query = _text(f"the query of {name}", given[0], index)
        documents = _texts(name, given[1], "documents", index)
        if len(documents) > self.row.request_inputs:
            raise InvalidInputError(
                f"{name} has {len(documents)} documents, more than {self.row.request_inputs}: "
                "divide it into several inputs",
                indices=(index,),
            )
        tokens = estimate_tokens(query) * len(documents) + sum(map(estimate_tokens, documents))
        return {"query": query, "documents": documents}, tokens

    def _read(self, line: BatchLine) -> dict[str, Any]:
        documents = line.input["documents"]
        found = responses.rerank_answer(line.body or {}, len(documents), self._options.top_k)
        ranked = [(n, score) for n, score in enumerate(found.values) if score is not None]
        ranked.sort(key=lambda pair: -pair[1])
        results = [RerankingResult(n, documents[n], score) for n, score in ranked]
        return {"ranking": results, "total_tokens": found.total_tokens}


PAIR = 2
ENDPOINTS: Mapping[ModelKind, type[BatchEndpoint]] = {
    kind.model_kind: kind for kind in (Texts, Documents, Rankings)
}


def endpoint_for(options: BatchOptions) -> BatchEndpoint:
    """Return the kind of a job for its model.

    Raises:
        InvalidInputError: The model does not support batches, or an option is invalid.
    """
    if not isinstance(options.model, str) or not options.model.strip():
        raise InvalidInputError(f"model must be the name of a model, not {options.model!r}")
    model_kind = kind_of(options.model)
    if model_kind not in ENDPOINTS:
        raise InvalidInputError(
            f"{options.model!r} is a {model_kind} model, which batches do not support: use "
            f"Voyage.{validation.VERBS[model_kind]}"
        )
    return ENDPOINTS[model_kind](options)


def _text(name: str, given: object, index: int) -> str:
    text = validation.check_text(name, given, index)
    if not text:
        raise InvalidInputError(f"{name} is empty: leave it out, or pass a text", indices=(index,))
    return text


def _texts(name: str, given: object, what: str, index: int) -> list[str]:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence) or not given:
        raise InvalidInputError(
            f"the {what} of {name} must be a list of strings, not {_shown(given)}",
            indices=(index,),
        )
    return [_text(f"{what}[{n}] of {name}", text, index) for n, text in enumerate(given)]


def _shown(given: object) -> str:
    return "an empty list" if isinstance(given, Sequence) and not given else type(given).__name__
