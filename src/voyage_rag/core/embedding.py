"""Embedding texts: check, plan, one flow per slice (cache, then service), join in order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from voyage_rag.core import arguments, wire
from voyage_rag.core.failures import concerning, is_too_many_tokens
from voyage_rag.core.http import Flow, Operation, Remember, Request, recall
from voyage_rag.core.memory import Keys, from_bytes, to_bytes
from voyage_rag.core.plan import Limits, pack
from voyage_rag.core.retry import retrying
from voyage_rag.core.tokens import TokenRatio, Weigh, weigh
from voyage_rag.core.vectors import length_of, zeros
from voyage_rag.errors import InvalidInputError, RateLimitError, VoyageError
from voyage_rag.types import (
    EmbeddingsObject,
    PartialEmbeddings,
    Usage,
    Vectors,
)

if TYPE_CHECKING:
    from voyage_rag.core.budget import Budget
    from voyage_rag.core.terms import Terms
    from voyage_rag.core.wire import EmbedOptions
    from voyage_rag.models import Model, OutputDtype
    from voyage_rag.types import EmptyText, InputType, Vector

SLOW = 60.0
"""Seconds from which a person wants to know why, and how long."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A text, its position in the caller's list, and what it weighs."""

    position: int
    text: str
    weight: float


@dataclass(slots=True)
class Gathered:
    """What has come in of one call."""

    model: str
    expected: int
    weight_left: float
    vectors: dict[int, Vector] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    told: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, placed: Sequence[Placed], vectors: Sequence[Vector], usage: Usage) -> None:
        """Keep the vectors of one answer."""
        for item, vector in zip(placed, vectors, strict=True):
            self.vectors[item.position] = vector
        with self._lock:
            self.weight_left -= sum(item.weight for item in placed)
            self.usage += usage

    def partial(self) -> PartialEmbeddings:
        """What is there, and what is missing."""
        missing = tuple(i for i in range(self.expected) if i not in self.vectors)
        return PartialEmbeddings(dict(self.vectors), missing, self.usage, self.model)


@dataclass(frozen=True, slots=True)
class Embedding:
    """One call to embed: what holds for all its slices."""

    terms: Terms
    options: EmbedOptions
    row: Model
    batch_size: int | None
    empty_text: EmptyText
    budget: Budget
    ratio: TokenRatio
    keys: Keys

    def limits(self, count: int | None) -> Limits:
        """What the next request may hold, of so many texts."""
        inputs = min(self.row.request_inputs, self.terms.dialect.request_inputs)
        tokens = self.row.request_tokens
        if per_minute := self.budget.pace.limits.tokens_per_minute:
            tokens = min(tokens, int(per_minute))
        limits = Limits(inputs, self.ratio.weight(tokens))
        if self.batch_size is not None:
            return replace(limits, inputs=min(inputs, self.batch_size))
        return limits.spread(count, self.terms.concurrency)

    def placed(self, texts: Iterable[str], weigh: Weigh) -> Iterator[Placed]:
        """The texts with what they weigh, each checked as it comes."""
        dialect = self.terms.dialect
        for position, text in enumerate(arguments.iterable("texts", texts)):
            name = f"texts[{position}]"
            arguments.check_text(name, text, position)
            if not text and self.empty_text == "error":
                arguments.refuse_empty(name, position)
            if dialect.longest_alone is not None and len(text) > dialect.longest_alone:
                raise InvalidInputError(
                    f"{name} has {len(text)} characters, {dialect.name} takes "
                    f"{dialect.longest_alone}: split it",
                    indices=(position,),
                )
            yield Placed(position, text, weigh(text))

    def flows(
        self, texts: Iterable[str], gathered: Gathered | None
    ) -> Iterator[Flow[list[Vector]]]:
        """One flow per request, in order."""
        count = None if gathered is None else gathered.expected
        placed = self.placed(texts, self.terms.count_tokens or weigh)
        longest = self.terms.dialect.longest_in_list or inf
        weighed = ((item, inf if len(item.text) > longest else item.weight) for item in placed)
        for slice_ in pack(weighed, lambda: self.limits(count)):
            yield embedding(self, [item for item, _ in slice_], gathered)


def prepare(
    terms: Terms,
    model: str,
    input_type: InputType | None,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
    batch_size: int | None,
    empty_text: EmptyText,
    *,
    truncation: bool,
) -> Embedding:
    """Check everything about a call to embed but the texts.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    terms.dialect.demand("/embeddings")
    row = arguments.check_model(model, "embedding")
    arguments.check_input_type(input_type)
    arguments.check_flag("truncation", truncation)
    arguments.check_choice("empty_text", empty_text, ("error", "zeros"))
    if batch_size is not None:
        arguments.check_count("batch_size", batch_size)
    if not truncation and not terms.dialect.knows("truncation"):
        raise InvalidInputError(
            f"{terms.dialect.name} always truncates: leave truncation=True, and shorten texts"
        )
    options = wire.EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=arguments.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
    budget = terms.budget(model)
    ratio = budget.ratio if terms.count_tokens is None else budget.exact_ratio
    keys = Keys(terms.host, options)
    return Embedding(terms, options, row, batch_size, empty_text, budget, ratio, keys)


def embed(call: Embedding, texts: object) -> Operation[list[Vector], EmbeddingsObject]:
    """Vectors of a list of texts, in their order.

    Raises:
        InvalidInputError: There is no list of texts, or one of them cannot be embedded.
    """
    listed = arguments.listed("texts", texts)
    weight = sum(item.weight for item in call.placed(listed, weigh))
    gathered = Gathered(call.row.name, len(listed), weight)

    def join(parts: Sequence[list[Vector]]) -> EmbeddingsObject:
        rows = [vector for part in parts for vector in part]
        return EmbeddingsObject(Vectors(rows, call.options.dtype), gathered.usage, call.row.name)

    return Operation(call.flows(listed, gathered), join, gathered.partial)


def embedding(
    call: Embedding, placed: Sequence[Placed], gathered: Gathered | None
) -> Flow[list[Vector]]:
    """Vectors of one slice: of the cache, of the service, and zeros for empty texts."""
    vectors: dict[int, Vector] = {}
    asked = [item for item in placed if item.text]
    if call.terms.caching and asked:
        vectors |= yield from _recalled(call, asked, gathered)
        asked = [item for item in asked if item.position not in vectors]
    if asked:
        vectors |= yield from _requested(call, asked, gathered)
    empty = [item for item in placed if not item.text]
    if empty:
        nothing = zeros(_length(call.options, vectors), call.options.dtype)
        vectors |= dict.fromkeys((item.position for item in empty), nothing)
        call.terms.recalled(len(empty))
        if gathered is not None:
            gathered.add(empty, [nothing] * len(empty), Usage())
    return [vectors[item.position] for item in placed]


def _recalled(
    call: Embedding, placed: Sequence[Placed], gathered: Gathered | None
) -> Flow[dict[int, Vector]]:
    keys = {item.position: call.keys(item.text) for item in placed}
    stored = yield from recall(list(keys.values()))
    hits = [item for item in placed if keys[item.position] in stored]
    vectors = [from_bytes(stored[keys[item.position]], call.options.dtype) for item in hits]
    call.terms.recalled(len(hits))
    if gathered is not None:
        gathered.add(hits, vectors, Usage())
    return {item.position: vector for item, vector in zip(hits, vectors, strict=True)}


def _requested(
    call: Embedding, placed: Sequence[Placed], gathered: Gathered | None
) -> Flow[dict[int, Vector]]:
    """Ask the service; halve the slice for as long as it is too much for one request."""
    terms, options, budget = call.terms, call.options, call.budget
    texts = [item.text for item in placed]
    weight = sum(item.weight for item in placed)
    tokens = call.ratio.tokens(weight)
    _tell_if_slow(call, gathered)
    try:
        if len(placed) == 1 or not budget.pace.never_takes(tokens):
            answer = yield from retrying(
                Request(
                    "/embeddings",
                    wire.embed_body(texts, options, terms.dialect),
                    options.model,
                    len(texts),
                ),
                partial(wire.embed_answer, count=len(texts), options=options),
                terms.policy,
                budget.pace,
                tokens,
            )
            call.ratio.learn(weight, answer.total_tokens + len(texts) * bool(options.input_type))
            terms.answered(len(texts), answer.total_tokens)
            if gathered is not None:
                gathered.add(placed, answer.vectors, Usage(answer.total_tokens, 1))
                _tell_if_slow(call, gathered)
            if terms.caching:
                vectors = map(to_bytes, answer.vectors)
                yield Remember(dict(zip(map(call.keys, texts), vectors, strict=True)))
            return {item.position: v for item, v in zip(placed, answer.vectors, strict=True)}
    except VoyageError as failure:
        too_much = is_too_many_tokens(failure) or (
            isinstance(failure, RateLimitError) and budget.pace.never_takes(tokens)
        )
        if not too_much or len(placed) == 1:
            raise concerning(
                failure,
                [item.position for item in placed],
                [call.ratio.tokens(item.weight) for item in placed],
            ) from None
    middle = len(placed) // 2
    first = yield from _requested(call, placed[:middle], gathered)
    return first | (yield from _requested(call, placed[middle:], gathered))


def _length(options: EmbedOptions, vectors: Mapping[int, Vector]) -> int:
    if vectors:
        return len(next(iter(vectors.values())))
    if options.expected_dimension is None:
        raise InvalidInputError(
            f"the length of a zero vector of {options.model!r} is not known: pass output_dimension"
        )
    return length_of(options.expected_dimension, options.dtype)


def _tell_if_slow(call: Embedding, gathered: Gathered | None) -> None:
    """Say once that a rate limit makes this a matter of minutes."""
    pace = call.budget.pace
    if gathered is None or gathered.told or not pace.known:
        return
    limits = call.limits(gathered.expected)
    requests = max(1, round(gathered.weight_left / max(1.0, limits.weight)))
    seconds = pace.forecast(call.ratio.tokens(gathered.weight_left), requests)
    if seconds > SLOW:
        gathered.told = True
        call.terms.slowed(seconds, pace.limits, call.row.name)
