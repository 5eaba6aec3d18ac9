"""Order documents by relevance to a query."""

from collections.abc import Sequence
from functools import partial

from voyage_rag.client.session import Session, run_in_thread_if_many
from voyage_rag.core.rerank import RankingRules, rerank
from voyage_rag.types import BlankDocuments, InvalidText, RerankingObject


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
        invalid_text: InvalidText = "error",
        score_threshold: float | None = None,
    ) -> RerankingObject:
        """Order documents by relevance to a query.

        Args:
            query: The search query.
            documents: The documents to rank. More than fit into one request (1,000 documents, or
                the model's token limit) are sent in several requests and merged. Equal documents
                are sent once. An empty list costs nothing.
            model: A reranker, such as `rerank-3`.
            top_k: Number of results. None returns all of them.
            truncation: Truncate query and documents to the model's limits. False raises an error
                for longer ones.
            blank_documents: How to treat documents without words, which are never sent. `last`
                ranks them last with a score of 0, `drop` omits them, `error` raises an error with
                their positions.
            invalid_text: As for `embed`.
            score_threshold: Omit documents with a lower score, from 0 to 1.

        Returns:
            The results, most relevant first, and the tokens billed.

        Raises:
            InvalidInputError: An argument is invalid. Nothing was sent.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`). The
                attribute `partial` of the error contains the scored documents as a
                `PartialRanking`.
        """
        rules = RankingRules(truncation, blank_documents, invalid_text, score_threshold)
        operation = rerank(self.context, query, documents, model, top_k, rules)
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
        invalid_text: InvalidText = "error",
        score_threshold: float | None = None,
    ) -> RerankingObject:
        """Async variant of `rerank`."""
        rules = RankingRules(truncation, blank_documents, invalid_text, score_threshold)
        operation_of = partial(rerank, self.context, query, documents, model, top_k, rules)
        return await self.driver.arun(await run_in_thread_if_many(operation_of, documents))
