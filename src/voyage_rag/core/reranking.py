"""Ranking documents: check, plan, one flow per slice, merge by score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voyage_rag.core import arguments, wire
from voyage_rag.core.failures import concerning, is_too_much
from voyage_rag.core.http import About, Flow, Operation, Request, Tell
from voyage_rag.core.plan import Limits, pack
from voyage_rag.core.retry import retrying
from voyage_rag.core.tokens import weigh
from voyage_rag.errors import InvalidInputError, VoyageError
from voyage_rag.events import BatchSplit, Billed
from voyage_rag.types import RerankingObject, RerankingResult, Usage

if TYPE_CHECKING:
    from voyage_rag.core.terms import Terms
    from voyage_rag.core.wire import Ranked
    from voyage_rag.models import Model


def rerank(
    terms: Terms,
    query: object,
    documents: object,
    model: str,
    top_k: int | None,
    *,
    truncation: bool,
) -> Operation[Ranked, RerankingObject]:
    """Documents by falling relevance to a query.

    More documents than one request may hold are ranked in several and merged: a score belongs to
    one query and one document.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    terms.dialect.demand("/rerank")
    row = arguments.check_model(model, "rerank")
    arguments.check_flag("truncation", truncation)
    if top_k is not None:
        arguments.check_count("top_k", top_k)
    asked = arguments.check_text("query", query)
    if not asked:
        raise InvalidInputError("query is empty: pass the question to rank the documents by")
    listed = arguments.listed("documents", documents)
    for position, text in enumerate(listed):
        if not arguments.check_text(f"documents[{position}]", text, position):
            raise InvalidInputError(
                f"documents[{position}] is empty: remove it, or give it some text",
                indices=(position,),
            )

    ranking = Ranking(asked, row, top_k, truncation)
    each = weigh(asked)
    weighed = [((position, text), each + weigh(text)) for position, text in enumerate(listed)]
    budget = terms.budget(row.name)

    def limits() -> Limits:
        per_minute = budget.pace.limits.tokens_per_minute or row.request_tokens
        tokens = min(row.request_tokens, int(per_minute))
        return Limits(row.request_inputs, budget.ratio.weight(tokens))

    flows = (
        ranked([item for item, _ in slice_], ranking, terms) for slice_ in pack(weighed, limits)
    )

    def join(parts: Sequence[Ranked]) -> RerankingObject:
        scores = [pair for part in parts for pair in part.scores]
        scores.sort(key=lambda pair: -pair[1])
        results = [RerankingResult(index, listed[index], score) for index, score in scores[:top_k]]
        total = Usage(sum(p.total_tokens for p in parts), sum(p.requests for p in parts))
        usage = total.of(model)
        return RerankingObject(results, usage, model)

    return Operation(flows, join, about=About("rerank", model, len(listed)))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What holds for every document of a rerank."""

    query: str
    row: Model
    top_k: int | None
    truncation: bool


def ranked(placed: Sequence[tuple[int, str]], ranking: Ranking, terms: Terms) -> Flow[Ranked]:
    """Rank one slice; halve it for as long as the service finds it too large."""
    positions, texts = [p for p, _ in placed], [text for _, text in placed]
    top_k = None if ranking.top_k is None else min(ranking.top_k, len(texts))
    model = ranking.row.name
    budget = terms.budget(model)
    weight = weigh(ranking.query) * len(texts) + sum(map(weigh, texts))
    body = wire.rerank_body(
        ranking.query, texts, model, top_k, truncation=ranking.truncation, dialect=terms.dialect
    )
    tokens = budget.ratio.tokens(weight)
    try:
        answer = yield from retrying(
            Request("/rerank", body, model, len(texts), vectors=0),
            partial(wire.rerank_answer, count=len(texts), top_k=top_k),
            terms.policy,
            budget.pace,
            partial(budget.ratio.tokens, weight),
        )
    except VoyageError as failure:
        if not is_too_much(failure, budget.pace, tokens) or len(placed) == 1:
            counts = [budget.ratio.tokens(weigh(text)) for text in texts]
            raise concerning(failure, positions, counts) from failure.__cause__
        middle = len(placed) // 2
        if terms.observed:
            status = failure.http_status
            yield Tell(partial(BatchSplit, inputs=len(placed), parts=2, status=status))
    else:
        budget.ratio.learn(weight, answer.total_tokens)
        usage = Usage(answer.total_tokens, 1).of(model)
        terms.answered(len(texts), usage)
        if terms.observed:
            yield Tell(partial(Billed, inputs=len(texts), usage=usage))
        scores = [(positions[index], score) for index, score in answer.scores]
        return wire.Ranked(scores, answer.total_tokens)
    first = yield from ranked(placed[:middle], ranking, terms)
    second = yield from ranked(placed[middle:], ranking, terms)
    return wire.Ranked(
        first.scores + second.scores,
        first.total_tokens + second.total_tokens,
        first.requests + second.requests,
    )
