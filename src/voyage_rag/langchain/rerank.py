"""LangChain's document compressor interface for Voyage rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Annotated, Any, ClassVar, Unpack

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field, SecretStr

from voyage_rag.checks import elements, instances
from voyage_rag.construction import constructor
from voyage_rag.langchain import tracing
from voyage_rag.langchain.parameters import RerankParameters
from voyage_rag.rerankers import UNSET, RerankOptions, Unset
from voyage_rag.types import RerankingObject, RerankingResult


class VoyageAIRerank(RerankOptions, BaseDocumentCompressor):
    """Voyage AI reranker for LangChain: a document compressor.

    Accepts the parameters of `langchain_voyageai.VoyageAIRerank`, those of
    `voyage_rag.rerankers.RerankOptions` and `voyage_rag.connection.Connection`, and the following.
    An unknown parameter raises an error that suggests the closest name.

    Attributes:
        top_k: Number of documents to keep; None keeps all of them.

    Setup:
        Run `pip install 'voyage-rag[langchain]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from langchain_core.documents import Document
        >>> from voyage_rag.langchain import VoyageAIRerank
        >>> reranker = VoyageAIRerank(model="rerank-3", top_k=1)
        >>> documents = [Document("Send an email."), Document("Read a CSV file.")]
        >>> best = reranker.compress_documents(documents, "parse csv")
        >>> best[0].page_content
        'Read a CSV file.'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    top_k: Annotated[int, Field(ge=1)] | None = None

    @constructor
    def __init__(
        self,
        model: str,
        *,
        api_key: str | SecretStr | None = None,
        **parameters: Unpack[RerankParameters],
    ) -> None:
        fields: dict[str, Any] = {"model": model, **parameters}
        if api_key is not None:
            fields["voyage_api_key"] = api_key
        super().__init__(**fields)
        self.connect()

    def rerank(
        self,
        documents: Sequence[str | Document],
        query: str,
        *,
        model: str | None = None,
        top_k: int | Unset | None = UNSET,
    ) -> list[dict[str, Any]]:
        """Rank documents or texts.

        Args:
            documents: The documents or texts to rank.
            query: The search query.
            model: Overrides the model of this object.
            top_k: Overrides `top_k` of this object; None returns all documents.

        Returns:
            The most relevant first: `{"index": position in documents, "relevance_score": 0 to 1}`.

        Raises:
            VoyageError: See `voyage_rag.Voyage.rerank`.
        """
        ranked = self.voyage.rerank(query, _texts(documents), **self._options(model, top_k))
        return _scores(ranked)

    async def arerank(
        self,
        documents: Sequence[str | Document],
        query: str,
        *,
        model: str | None = None,
        top_k: int | Unset | None = UNSET,
    ) -> list[dict[str, Any]]:
        """Async variant of `rerank`."""
        ranked = await self.voyage.arerank(query, _texts(documents), **self._options(model, top_k))
        return _scores(ranked)

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[Document]:
        """Return the documents that are most relevant to the query.

        Args:
            documents: The output of a retriever. These objects are not modified.
            query: The search query.
            callbacks: LangChain callbacks, which receive the query, the documents and the result or
                error.

        Returns:
            Copies of the documents, most relevant first, with `relevance_score` and the
            `total_tokens` of the call in their metadata, as in `langchain_voyageai`.

        Raises:
            VoyageError: See `voyage_rag.Voyage.rerank`.
        """
        documents = instances("documents", documents, Document)
        with tracing.run(*self._run(documents, query, callbacks)) as outputs:
            ranked = self.voyage.rerank(query, _texts(documents), **self._options())
            return _reported(outputs, documents, ranked)

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[Document]:
        """Async variant of `compress_documents`."""
        documents = instances("documents", documents, Document)
        async with tracing.arun(*self._run(documents, query, callbacks)) as outputs:
            ranked = await self.voyage.arerank(query, _texts(documents), **self._options())
            return _reported(outputs, documents, ranked)

    def _run(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks
    ) -> tuple[str, str, Callbacks, dict[str, Any]]:
        inputs = {"query": query, "documents": documents}
        return type(self).__name__, self.model, callbacks, inputs

    def _options(
        self, model: str | None = None, top_k: int | Unset | None = UNSET
    ) -> dict[str, Any]:
        return self._rules | {
            "model": self.model if model is None else model,
            "top_k": self.top_k if top_k is UNSET else top_k,
        }


def _texts(documents: Sequence[str | Document]) -> list[str]:
    items = elements("documents", documents, "a list of texts or Documents")
    return [item.page_content if isinstance(item, Document) else item for item in items]


def _scores(ranked: RerankingObject) -> list[dict[str, Any]]:
    return [
        {"index": result.index, "relevance_score": result.relevance_score}
        for result in ranked.results
    ]


def _reported(
    outputs: dict[str, Any], documents: Sequence[Document], ranked: RerankingObject
) -> list[Document]:
    """Return the ranked documents, and report them and the token usage to callbacks."""
    tokens = ranked.total_tokens
    kept = [_scored(documents[result.index], result, tokens) for result in ranked.results]
    outputs["documents"] = kept
    outputs["usage_metadata"] = {
        "input_tokens": tokens,
        "output_tokens": 0,
        "total_tokens": tokens,
    }
    return kept


def _scored(document: Document, result: RerankingResult, total_tokens: int) -> Document:
    added = {"relevance_score": result.relevance_score, "total_tokens": total_tokens}
    metadata = {name: _copied(value) for name, value in document.metadata.items()}
    return document.model_copy(update={"metadata": metadata | added})


def _copied(value: object) -> object:
    """Return a copy, or the value itself if copying fails: the ranking is already paid for."""
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - locks, generators and clients raise different errors
        return value
