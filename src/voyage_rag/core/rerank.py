"""Ranking documents: check, plan, one flow per slice, merge by score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voyage_rag.core import validation, wire
from voyage_rag.core.failures import concerning, is_too_much
from voyage_rag.core.flow import Emit, Flow, Operation, OperationInfo
from voyage_rag.core.planning import Limits, pack
from voyage_rag.core.retry import retrying
from voyage_rag.core.token_estimate import estimate_tokens
from voyage_rag.errors import InvalidInputError, VoyageError
from voyage_rag.events import BatchSplit, Billed
from voyage_rag.types import RerankingObject, RerankingResult, Usage

if TYPE_CHECKING:
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.wire import Ranked
    from voyage_rag.models import Model


def rerank(
    context: CallContext,
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
    row = validation.check_model(model, "rerank")
    validation.check_flag("truncation", truncation)
    context.host.require("/rerank", {"model": model, "truncation": truncation})
    if top_k is not None:
        validation.check_count("top_k", top_k)
    asked = validation.check_text("query", query)
    if not asked:
        raise InvalidInputError("query is empty: pass the question to rank the documents by")
    listed = validation.listed("documents", documents)
    for position, text in enumerate(listed):
        if not validation.check_text(f"documents[{position}]", text, position):
            raise InvalidInputError(
                f"documents[{position}] is empty: remove it, or give it some text",
                indices=(position,),
            )

    ranking = Ranking(asked, row, top_k, truncation)
    each = estimate_tokens(asked)
    estimated = [
        ((position, text), each + estimate_tokens(text)) for position, text in enumerate(listed)
    ]
    budget = context.budget(row.name)

    def limits() -> Limits:
        per_minute = budget.limiter.limits.tokens_per_minute or row.request_tokens
        tokens = min(row.request_tokens, int(per_minute))
        inputs = min(row.request_inputs, context.host.request_inputs)
        return Limits(inputs, budget.ratio.estimated_tokens(tokens))

    flows = (
        ranked([item for item, _ in slice_], ranking, context) for slice_ in pack(estimated, limits)
    )

    def join(parts: Sequence[Ranked]) -> RerankingObject:
        scores = [pair for part in parts for pair in part.scores]
        scores.sort(key=lambda pair: -pair[1])
        results = [RerankingResult(index, listed[index], score) for index, score in scores[:top_k]]
        total = Usage(sum(p.total_tokens for p in parts), sum(p.requests for p in parts))
        usage = total.of(model)
        return RerankingObject(results, usage, model)

    return Operation(flows, join, info=OperationInfo("rerank", model, len(listed)))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What holds for every document of a rerank."""

    query: str
    row: Model
    top_k: int | None
    truncation: bool


def ranked(
    placed: Sequence[tuple[int, str]], ranking: Ranking, context: CallContext
) -> Flow[Ranked]:
    """Rank one slice; halve it for as long as the service finds it too large."""
    positions, texts = [p for p, _ in placed], [text for _, text in placed]
    top_k = None if ranking.top_k is None else min(ranking.top_k, len(texts))
    model = ranking.row.name
    budget = context.budget(model)
    estimated_tokens = estimate_tokens(ranking.query) * len(texts) + sum(
        map(estimate_tokens, texts)
    )
    fields = wire.rerank_fields(ranking.query, texts, model, top_k, truncation=ranking.truncation)
    tokens = budget.ratio.tokens(estimated_tokens)
    try:
        answer = yield from retrying(
            wire.make_request(context.host, "/rerank", fields, len(texts), vectors=0),
            partial(wire.rerank_answer, count=len(texts), top_k=top_k),
            context.host,
            context.query_policy,
            budget.limiter,
            partial(budget.ratio.tokens, estimated_tokens),
        )
    except VoyageError as failure:
        if not is_too_much(failure, budget.limiter, tokens) or len(placed) == 1:
            counts = [budget.ratio.tokens(estimate_tokens(text)) for text in texts]
            raise concerning(failure, positions, counts) from failure.__cause__
        middle = len(placed) // 2
        status = failure.http_status
        yield Emit(partial(BatchSplit, inputs=len(placed), parts=2, status=status))
    else:
        budget.ratio.learn(estimated_tokens, answer.total_tokens)
        usage = Usage(answer.total_tokens, 1).of(model)
        context.answered(len(texts), usage)
        yield Emit(partial(Billed, inputs=len(texts), usage=usage))
        scores = [(positions[index], score) for index, score in answer.scores]
        return wire.Ranked(scores, answer.total_tokens)
    first = yield from ranked(placed[:middle], ranking, context)
    second = yield from ranked(placed[middle:], ranking, context)
    return wire.Ranked(
        first.scores + second.scores,
        first.total_tokens + second.total_tokens,
        first.requests + second.requests,
    )
