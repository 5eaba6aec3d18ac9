"""Embedding texts: check, plan, one flow per slice (cache, then service), join in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

from voyage_rag.core import arguments, wire
from voyage_rag.core.http import Flow, Operation, Request, work
from voyage_rag.core.memory import Keys, from_bytes, to_bytes
from voyage_rag.core.plan import Limits, pack
from voyage_rag.core.slices import Call, Gathered, sliced
from voyage_rag.core.tokens import Weigh, weigh
from voyage_rag.core.vectors import length_of, zeros
from voyage_rag.core.wire import Embedded
from voyage_rag.errors import InvalidInputError
from voyage_rag.models import Kind
from voyage_rag.types import EmbeddingsObject, PartialEmbeddings, Usage, Vectors

if TYPE_CHECKING:
    from voyage_rag.core.dialect import Dialect
    from voyage_rag.core.terms import Terms
    from voyage_rag.core.wire import EmbedOptions
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import EmptyText, InputType, Numbers, Vector


Sink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], None]
"""Takes an answer: positions of texts, their vectors, and what they cost."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A text, its position in the caller's list, and what it weighs."""

    position: int
    text: str
    weight: float

    @property
    def place(self) -> int:
        """Its position."""
        return self.position


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How texts are written for a kind of model, and vectors read, one per text."""

    path: str
    body: Callable[[Sequence[str], EmbedOptions, Dialect], bytes]
    answer: Callable[[bytes, int, EmbedOptions], Embedded[Vector]]


def _alone_body(texts: Sequence[str], options: EmbedOptions, dialect: Dialect) -> bytes:
    """Each text as a document of its own, which is what keeps them apart."""
    return wire.contextual_body([[text] for text in texts], options, dialect)


def _alone_answer(body: bytes, count: int, options: EmbedOptions) -> Embedded[Vector]:
    answer = wire.contextual_answer(body, [1] * count, options)
    return wire.Embedded([document.vectors[0] for document in answer.vectors], answer.total_tokens)


def _content_body(texts: Sequence[str], options: EmbedOptions, dialect: Dialect) -> bytes:
    contents = [wire.multimodal_content([("text", text)]) for text in texts]
    return wire.multimodal_body(contents, options, dialect)


ENDPOINTS: dict[Kind, Endpoint] = {
    "embedding": Endpoint("/embeddings", wire.embed_body, wire.embed_answer),
    "contextualized": Endpoint("/contextualizedembeddings", _alone_body, _alone_answer),
    "multimodal": Endpoint("/multimodalembeddings", _content_body, wire.multimodal_answer),
}
"""Every kind of model that makes vectors of texts."""


@dataclass(frozen=True, slots=True)
class Embedding(Call[Placed, "Vector"]):
    """One call to embed: what holds for all its slices."""

    batch_size: int | None
    empty_text: EmptyText
    keys: Keys
    endpoint: Endpoint

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

    @property
    def loses_context(self) -> bool:
        """Whether texts might be chunks of documents that the model could have known."""
        return self.row.kind == "contextualized" and self.options.input_type != "query"

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

    def request(self, items: Sequence[Placed]) -> Request:
        """What asks for these."""
        texts = [item.text for item in items]
        body = self.endpoint.body(texts, self.options, self.terms.dialect)
        return Request(self.endpoint.path, body, self.options.model, len(texts), len(texts))

    def read(self, body: bytes, items: Sequence[Placed]) -> Embedded[Vector]:
        """One vector per text."""
        return self.endpoint.answer(body, len(items), self.options)

    def key(self, item: Placed) -> bytes:
        """Of the text."""
        return self.keys(item.text)

    def to_bytes(self, value: Vector) -> bytes:
        """Its numbers."""
        return to_bytes(value)

    def from_bytes(self, stored: bytes) -> Vector:
        """The vector of these numbers."""
        return from_bytes(stored, self.options.dtype)

    def flows(
        self, texts: Iterable[str], gathered: Gathered[Vector] | None
    ) -> Iterator[Flow[list[Vector]]]:
        """One flow per request, in order."""
        count = None if gathered is None else gathered.expected
        for placed in self.slices(texts, count):
            yield embedding(self, placed, gathered)

    def slices(self, texts: Iterable[str], count: int | None) -> Iterator[list[Placed]]:
        """What goes into each request; None if nobody knows how many texts there are."""
        if count is None and self.loses_context:
            self.terms.unrelated()
        placed = self.placed(texts, self.terms.count_tokens or weigh)
        longest = self.terms.dialect.longest_in_list or inf
        weighed = ((item, inf if len(item.text) > longest else item.weight) for item in placed)
        for slice_ in pack(weighed, lambda: self.limits(count)):
            yield [item for item, _ in slice_]


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
    row = arguments.check_embedding_model(model)
    endpoint = ENDPOINTS[row.kind]
    terms.dialect.demand(endpoint.path)
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
    return Embedding(terms, options, row, budget, ratio, batch_size, empty_text, keys, endpoint)


def embed(
    call: Embedding, texts: object, *, as_lists: bool = False
) -> Operation[Any, EmbeddingsObject]:
    """Vectors of a list of texts, in their order.

    With `as_lists`, lists are made of each answer while others are still on their way.

    Raises:
        InvalidInputError: There is no list of texts, or one of them cannot be embedded.
    """
    listed = arguments.listed("texts", texts)
    weight = sum(item.weight for item in call.placed(listed, weigh))
    gathered: Gathered[Vector] = Gathered(len(listed), weight)
    if call.loses_context and len(listed) > 1:
        call.terms.unrelated()

    def made(lists: Sequence[Numbers] | None) -> EmbeddingsObject:
        rows = [gathered.values[i] for i in range(len(listed))]
        vectors = Vectors(rows, call.options.dtype, lists)
        return EmbeddingsObject(vectors, gathered.usage, call.row.name)

    def rescue() -> PartialEmbeddings:
        missing = tuple(i for i in range(len(listed)) if i not in gathered.values)
        found = {i: gathered.values[i] for i in range(len(listed)) if i in gathered.values}
        return PartialEmbeddings(found, missing, gathered.usage, call.row.name)

    flows, about = call.flows(listed, gathered), call.about("embed", len(listed))
    if as_lists:
        listing = map(_listing, flows)
        return Operation(listing, lambda parts: made([*chain(*parts)]), rescue, about)
    return Operation(flows, lambda _: made(None), rescue, about)


def _listing(flow: Flow[list[Vector]]) -> Flow[list[Numbers]]:
    vectors = yield from flow
    return [vector.tolist() for vector in vectors]


def delivered(call: Embedding, texts: Iterable[str], sink: Sink) -> Iterator[Flow[None]]:
    """One flow per request, that ends when the sink has taken its answer."""
    for placed in call.slices(texts, None):
        yield _delivered(call, placed, sink)


def _delivered(call: Embedding, placed: Sequence[Placed], sink: Sink) -> Flow[None]:
    gathered: Gathered[Vector] = Gathered(len(placed), sum(item.weight for item in placed))
    vectors = yield from embedding(call, placed, gathered)
    positions = [item.position for item in placed]
    yield from work(lambda: sink(positions, vectors, gathered.usage))


def embedding(
    call: Embedding, placed: Sequence[Placed], gathered: Gathered[Vector] | None
) -> Flow[list[Vector]]:
    """Vectors of one slice: of the cache, of the service, and zeros for empty texts."""
    asked = [item for item in placed if item.text]
    found = yield from sliced(call, asked, gathered)
    vectors = {item.position: vector for item, vector in found}
    empty = [item for item in placed if not item.text]
    if empty:
        nothing = nothing_of(call.options, vectors)
        vectors |= dict.fromkeys((item.position for item in empty), nothing)
        call.terms.recalled(len(empty))
        if gathered is not None:
            gathered.add(empty, [nothing] * len(empty), Usage())
    return [vectors[item.position] for item in placed]


def nothing_of(options: EmbedOptions, vectors: Mapping[int, Vector]) -> Vector:
    """The vector of an empty text, as long as the others.

    Raises:
        InvalidInputError: There are no others, and the model's dimension is not known.
    """
    if vectors:
        return zeros(len(next(iter(vectors.values()))), options.dtype)
    if options.expected_dimension is None:
        raise InvalidInputError(
            f"the length of a zero vector of {options.model!r} is not known: pass output_dimension"
        )
    return zeros(length_of(options.expected_dimension, options.dtype), options.dtype)
