"""Ordering documents by relevance to a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voyage_rag.client.session import Session
from voyage_rag.core.rerank import rerank
from voyage_rag.types import BlankDocuments, RerankingObject

if TYPE_CHECKING:
    from collections.abc import Sequence


class RerankingVerbs(Session):
    """`rerank`."""

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        model: str,
        top_k: int | None = None,
        truncation: bool = True,
        *,
        blank_documents: BlankDocuments = "last",
        score_threshold: float | None = None,
    ) -> RerankingObject:
        """Order documents by relevance to a query.

        Args:
            query: What is asked.
            documents: What is ranked. An empty list costs nothing. More than one request may hold
                (1,000 documents, or the model's tokens) are sent in several and merged.
            model: A reranker (docs: "Rerankers").
            top_k: How many to return, None for all.
            truncation: Cut query and documents to the model's limits; False refuses longer ones.
            blank_documents: What becomes of documents without words, which are never sent: `last`
                ranks them behind all others with a score of 0, `drop` leaves them out, `error`
                refuses them by position.
            score_threshold: Leave out documents with a lower score, 0 to 1.

        Returns:
            Results by falling relevance; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: The service did not return a usable response (see
                `voyage_rag.errors`); the error carries what was ranked as `partial`, a
                `PartialRanking`.
        """
        operation = rerank(
            self.context,
            query,
            documents,
            model,
            top_k,
            truncation=truncation,
            score_threshold=score_threshold,
            blank_documents=blank_documents,
        )
        return self.driver.run(operation)

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        model: str,
        top_k: int | None = None,
        truncation: bool = True,
        *,
        blank_documents: BlankDocuments = "last",
        score_threshold: float | None = None,
    ) -> RerankingObject:
        """Async variant of `rerank`."""
        operation = rerank(
            self.context,
            query,
            documents,
            model,
            top_k,
            truncation=truncation,
            score_threshold=score_threshold,
            blank_documents=blank_documents,
        )
        return await self.driver.arun(operation)
