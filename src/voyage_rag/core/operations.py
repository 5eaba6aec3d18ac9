"""What the client can do, as operations: check, plan, one retrying flow per request, join."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from voyage_rag.core import arguments, wire
from voyage_rag.core.failures import is_too_many_tokens
from voyage_rag.core.http import Flow, Operation, Request
from voyage_rag.core.plan import Limits, pack
from voyage_rag.core.retry import retrying
from voyage_rag.core.tokens import weigh
from voyage_rag.core.vectors import length_of, zeros
from voyage_rag.errors import InvalidInputError, InvalidRequestError, VoyageError
from voyage_rag.types import (
    EmbeddingsObject,
    PartialEmbeddings,
    RerankingObject,
    RerankingResult,
    Usage,
    Vectors,
)

if TYPE_CHECKING:
    from voyage_rag.core.terms import Terms
    from voyage_rag.core.wire import EmbedOptions, Ranked
    from voyage_rag.models import Model, OutputDtype
    from voyage_rag.types import EmptyText, InputType, Vector

NAMED_EXAMPLE = re.compile(r"example at index (\d+)")
"""How the service names the input that does not fit (recorded)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A text and its position in the caller's list."""

    position: int
    text: str


@dataclass(slots=True)
class Gathered:
    """The vectors of one call as they come in, by position."""

    model: str
    vectors: dict[int, Vector]
    expected: int
    usage: Usage = field(default_factory=Usage)

    def add(self, placed: Sequence[Placed], answer: wire.Embedded) -> None:
        """Keep the vectors of one answer."""
        for item, vector in zip(placed, answer.vectors, strict=True):
            self.vectors[item.position] = vector
        self.usage += Usage(answer.total_tokens, 1)

    def partial(self) -> PartialEmbeddings:
        """What is there, and what is missing."""
        missing = tuple(i for i in range(self.expected) if i not in self.vectors)
        return PartialEmbeddings(dict(self.vectors), missing, self.usage, self.model)


def embed(
    terms: Terms,
    texts: object,
    model: str,
    input_type: InputType | None,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
    batch_size: int | None,
    empty_text: EmptyText,
    *,
    truncation: bool,
) -> Operation[None, EmbeddingsObject]:
    """Vectors of texts, in their order.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    terms.dialect.demand("/embeddings")
    row = arguments.check_model(model, "embedding")
    options = _embed_options(row, input_type, output_dimension, output_dtype, truncation=truncation)
    arguments.check_choice("empty_text", empty_text, ("error", "zeros"))
    if batch_size is not None:
        arguments.check_count("batch_size", batch_size)
    if not truncation and not terms.dialect.knows("truncation"):
        raise InvalidInputError(
            f"{terms.dialect.name} always truncates: leave truncation=True, and shorten texts"
        )
    listed = arguments.listed_texts("texts", texts)
    if empty_text == "error":
        arguments.check_not_empty(
            "texts", listed, "remove them, or pass empty_text='zeros' for zero vectors"
        )
    _check_lengths(listed, terms.dialect.longest_alone)

    gathered = Gathered(model, {}, len(listed))
    placed = [Placed(position, text) for position, text in enumerate(listed) if text]
    limits = _limits(terms, row, batch_size)
    longest = terms.dialect.longest_in_list
    weighed = [
        (item, limits.weight if longest and len(item.text) > longest else weigh(item.text))
        for item in placed
    ]
    limits = limits.spread(len(weighed), sum(weight for _, weight in weighed), terms.concurrency)
    flows = (
        embedding([item for item, _ in slice_], options, terms, gathered)
        for slice_ in pack(weighed, limits)
    )

    def join(_: Sequence[None]) -> EmbeddingsObject:
        _fill_empty(gathered, options)
        rows = [gathered.vectors[position] for position in range(gathered.expected)]
        return EmbeddingsObject(Vectors(rows, options.dtype), gathered.usage, model)

    return Operation(flows, join, gathered.partial)


def embedding(
    placed: Sequence[Placed], options: EmbedOptions, terms: Terms, gathered: Gathered
) -> Flow[None]:
    """Embed one slice; halve it for as long as the service finds it too large."""
    texts = [item.text for item in placed]
    request = Request(
        "/embeddings", wire.embed_body(texts, options, terms.dialect), options.model, len(texts)
    )
    read = partial(wire.embed_answer, count=len(texts), options=options)
    budget = terms.budgets[options.model]
    try:
        answer = yield from retrying(request, read, terms.policy, budget.pace)
    except InvalidRequestError as failure:
        if not is_too_many_tokens(failure) or len(placed) == 1:
            raise _concerning(failure, [item.position for item in placed]) from None
        middle = len(placed) // 2
    except VoyageError as failure:
        raise _concerning(failure, [item.position for item in placed]) from None
    else:
        gathered.add(placed, answer)
        terms.answered(len(texts), answer.total_tokens)
        unprompted = answer.total_tokens + (len(texts) if options.input_type else 0)
        budget.ratio.learn(sum(map(weigh, texts)), unprompted)
        return
    yield from embedding(placed[:middle], options, terms, gathered)
    yield from embedding(placed[middle:], options, terms, gathered)


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
    listed = arguments.listed_texts("documents", documents)
    arguments.check_not_empty("documents", listed, "remove them, or give them some text")

    ranking = Ranking(asked, row, top_k, truncation)
    placed = [Placed(position, text) for position, text in enumerate(listed)]
    each = weigh(asked)
    weighed = [(item, each + weigh(item.text)) for item in placed]
    flows = (
        ranked([item for item, _ in slice_], ranking, terms)
        for slice_ in pack(weighed, _limits(terms, row, None))
    )

    def join(parts: Sequence[Ranked]) -> RerankingObject:
        scores = [pair for part in parts for pair in part.scores]
        scores.sort(key=lambda pair: -pair[1])
        results = [RerankingResult(index, listed[index], score) for index, score in scores[:top_k]]
        usage = Usage(sum(part.total_tokens for part in parts), len(parts))
        return RerankingObject(results, usage, model)

    return Operation(flows, join)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What holds for every document of a rerank."""

    query: str
    row: Model
    top_k: int | None
    truncation: bool


def ranked(placed: Sequence[Placed], ranking: Ranking, terms: Terms) -> Flow[Ranked]:
    """Rank one slice; halve it for as long as the service finds it too large."""
    texts = [item.text for item in placed]
    top_k = None if ranking.top_k is None else min(ranking.top_k, len(texts))
    model = ranking.row.name
    body = wire.rerank_body(
        ranking.query, texts, model, top_k, truncation=ranking.truncation, dialect=terms.dialect
    )
    read = partial(wire.rerank_answer, count=len(texts), top_k=top_k)
    pace = terms.budgets[model].pace
    try:
        answer = yield from retrying(
            Request("/rerank", body, model, len(texts)), read, terms.policy, pace
        )
    except InvalidRequestError as failure:
        if not is_too_many_tokens(failure) or len(placed) == 1:
            raise _concerning(failure, [item.position for item in placed]) from None
        middle = len(placed) // 2
    else:
        terms.answered(len(texts), answer.total_tokens)
        scores = [(placed[index].position, score) for index, score in answer.scores]
        return wire.Ranked(scores, answer.total_tokens)
    first = yield from ranked(placed[:middle], ranking, terms)
    second = yield from ranked(placed[middle:], ranking, terms)
    return wire.Ranked(first.scores + second.scores, first.total_tokens + second.total_tokens)


def _embed_options(
    row: Model,
    input_type: InputType | None,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
    *,
    truncation: bool,
) -> EmbedOptions:
    arguments.check_input_type(input_type)
    arguments.check_flag("truncation", truncation)
    dtype = arguments.check_output(row, output_dimension, output_dtype)
    return wire.EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=dtype,
        expected_dimension=output_dimension or row.default_dimension,
    )


def _limits(terms: Terms, row: Model, batch_size: int | None) -> Limits:
    inputs = min(row.request_inputs, terms.dialect.request_inputs, batch_size or row.request_inputs)
    return Limits(inputs, terms.budgets[row.name].ratio.weight(row.request_tokens))


def _check_lengths(texts: Sequence[str], longest: int | None) -> None:
    if longest is None:
        return
    for index, text in enumerate(texts):
        if len(text) > longest:
            raise InvalidInputError(
                f"texts[{index}] has {len(text)} characters, this host takes {longest}: split it",
                indices=(index,),
            )


def _fill_empty(gathered: Gathered, options: EmbedOptions) -> None:
    if len(gathered.vectors) == gathered.expected:
        return
    if gathered.vectors:
        length = len(next(iter(gathered.vectors.values())))
    elif options.expected_dimension:
        length = length_of(options.expected_dimension, options.dtype)
    else:
        raise InvalidInputError(
            f"all texts are empty and the dimension of {options.model!r} is not known: pass "
            "output_dimension"
        )
    for position in range(gathered.expected):
        if position not in gathered.vectors:
            gathered.vectors[position] = zeros(length, options.dtype)


def _concerning(failure: VoyageError, positions: Sequence[int]) -> VoyageError:
    """The failure, with the caller's positions of the inputs it is about."""
    failure.indices = tuple(positions)
    named = NAMED_EXAMPLE.search(failure.message)
    if named and int(named[1]) < len(positions):
        failure.indices = (positions[int(named[1])],)
    return failure
