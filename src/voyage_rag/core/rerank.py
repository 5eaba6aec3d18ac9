"""Rank documents by relevance to a query: one score per document, merged over requests."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, get_args

from voyage_rag.checks import plain, texts_of
from voyage_rag.core import validation
from voyage_rag.core.call import EndpointCall
from voyage_rag.core.context import CallContext, estimate_tokens
from voyage_rag.core.embed import IndexedText
from voyage_rag.core.flow import Operation, PartialResults, distinct
from voyage_rag.core.options import ENDPOINTS, EmbedOptions
from voyage_rag.core.wire.requests import make_request, rerank_fields
from voyage_rag.core.wire.responses import Body, Decoded, rerank_answer
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Model
from voyage_rag.partial import PartialRanking
from voyage_rag.types import BlankDocuments, InvalidText, RerankingObject, RerankingResult

SCORE = struct.Struct("<d")


class RerankCall(EndpointCall[IndexedText, "float | None"]):
    """One call to rerank.

    A score belongs to one query and one document, so documents may be ranked in several requests,
    and scores may be cached. A document that is not among a request's `top_k` has no score.
    """

    is_spread = False

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        query: str,
        top_k: int | None,
    ) -> None:
        super().__init__(context, model, options, scope=("rerank", query))
        self._query = query
        self._top_k = top_k

    def request(self, items: Sequence[IndexedText]) -> Request:
        """Return the request for these documents."""
        fields = rerank_fields(
            self._query,
            [item.text for item in items],
            self.model.name,
            self._most(items),
            truncation=self.options.truncation,
        )
        path, count = ENDPOINTS["rerank"], len(items)
        return make_request(self.context.host, path, fields, count, vectors=0)

    def read(self, body: Body, items: Sequence[IndexedText]) -> Decoded[float | None]:
        """Return the scores."""
        return rerank_answer(body, len(items), self._most(items))

    def cache_key(self, item: IndexedText) -> bytes:
        """Return the key of the query and the document."""
        return self.cache_keys(item.text)

    def to_bytes(self, value: float | None) -> bytes | None:
        """Return the score, if there is one."""
        return None if value is None else SCORE.pack(value)

    def from_bytes(self, stored: bytes) -> float | None:
        """Return the score."""
        score = SCORE.unpack(stored)[0] if len(stored) == SCORE.size else math.nan
        return float(score) if math.isfinite(score) else None

    def is_query(self, expected: int) -> bool:  # noqa: ARG002 - of any number
        """Return True, because a user waits for a ranking."""
        return True

    def _most(self, items: Sequence[IndexedText]) -> int | None:
        return None if self._top_k is None else min(self._top_k, len(items))


class RankingRules(NamedTuple):
    """How to treat documents; see `voyage_rag.Voyage.rerank`."""

    truncation: bool
    blank_documents: BlankDocuments
    invalid_text: InvalidText
    score_threshold: float | None

    def checked(self) -> RankingRules:
        """Return valid rules, or raise an `InvalidInputError`."""
        validation.check_choice("blank_documents", self.blank_documents, get_args(BlankDocuments))
        validation.check_choice("invalid_text", self.invalid_text, get_args(InvalidText))
        return self._replace(score_threshold=check_threshold(self.score_threshold))


def rerank(
    context: CallContext,
    query: object,
    documents: object,
    model: str,
    top_k: int | None,
    rules: RankingRules,
) -> Operation[object, RerankingObject]:
    """Return the operation that ranks documents by relevance. Blank documents are never sent.

    Raises:
        InvalidInputError: An argument is invalid.
    """
    rules = rules.checked()
    row, options = context.options("rerank", model, None, rules.truncation, None, None)
    if top_k is not None:
        top_k = validation.check_count("top_k", top_k)
    asked = validation.check_text("query", query, invalid_text=rules.invalid_text)
    if not asked:
        raise InvalidInputError("query is empty: pass the question to rank the documents by")
    listed = [
        validation.check_text(f"documents[{n}]", text, n, invalid_text=rules.invalid_text)
        for n, text in enumerate(texts_of("documents", documents))
    ]
    blank = _blank_positions(listed, rules.blank_documents)
    each = estimate_tokens(asked)  # the query counts once per document
    sent = [n for n in range(len(listed)) if n not in blank]
    first, equal = distinct(listed[n] for n in sent)
    items = deque(
        IndexedText(sent[at], text, each + estimate_tokens(text)) for text, at in first.items()
    )
    results: PartialResults[float | None] = PartialResults(
        len(items),
        sum(item.estimated_tokens for item in items),
        repeats={sent[at]: sent[other] for at, other in equal.items()},
    )
    call = RerankCall(context, row, options, asked, top_k)

    def ranking() -> list[RerankingResult]:
        scores = map(results.values.get, range(len(listed)))
        ranked = [(n, score) for n, score in enumerate(scores) if score is not None]
        ranked.sort(key=lambda pair: -pair[1])
        if rules.blank_documents == "last":
            ranked += [(n, 0.0) for n in sorted(blank)]
        if rules.score_threshold is not None:
            ranked = [pair for pair in ranked if pair[1] >= rules.score_threshold]
        return [RerankingResult(n, listed[n], score) for n, score in ranked[:top_k]]

    def join(_: object) -> RerankingObject:
        return RerankingObject(ranking(), results.usage, row.name)

    def partial() -> PartialRanking:
        finished = results.values.keys() | blank
        missing = tuple(n for n in range(len(listed)) if n not in finished)
        return PartialRanking(ranking(), missing, results.usage, row.name)

    return Operation(call.flows(items, results), join, partial, call.info("rerank", len(listed)))


def check_threshold(given: object) -> float | None:
    """Return a threshold, or raise an `InvalidInputError` if it is not from 0 to 1."""
    score: float | None = plain(given)
    is_number = isinstance(score, (int, float)) and not isinstance(score, bool)
    if score is not None and not (is_number and 0 <= score <= 1):
        raise InvalidInputError(f"score_threshold must be a number from 0 to 1, not {given!r}")
    return score


def _blank_positions(documents: Sequence[str], blank_documents: BlankDocuments) -> set[int]:
    """Return the positions of texts without words, which the service rejects or scores at random.

    Raises:
        InvalidInputError: There are some, and the policy is `error`.
    """
    blank = set()
    for position, text in enumerate(documents):
        if text and not text.isspace():
            continue
        if blank_documents == "error":
            raise InvalidInputError(
                f"documents[{position}] is empty: remove it, or give it some text, or pass "
                "blank_documents='last'",
                indices=(position,),
            )
        blank.add(position)
    return blank
