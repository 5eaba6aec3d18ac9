"""Embedding texts: check, plan, one flow per slice (cache, then service), join in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from voyage_rag.core import validation, wire
from voyage_rag.core.cache_keys import CacheKeys, from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall, PartialResults, sliced
from voyage_rag.core.flow import Flow, Operation, offload
from voyage_rag.core.media import is_media_name
from voyage_rag.core.planning import Limits, pack
from voyage_rag.core.token_estimate import estimate_tokens
from voyage_rag.core.vectors import length_of, zeros
from voyage_rag.core.wire import Embedded
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Kind
from voyage_rag.types import EmbeddingsObject, PartialEmbeddings, Usage, Vectors, compact

if TYPE_CHECKING:
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.wire import EmbedOptions
    from voyage_rag.hosts.host import Host
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import EmptyText, InputType, Row, Vector


Sink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], None]
"""Takes an answer: positions of texts, their vectors, and what they cost."""


class IndexedText(NamedTuple):
    """A text, its position in the caller's list, and what it weighs."""

    position: int
    text: str
    estimated_tokens: float

    @property
    def key_of(self) -> int:
        """Its position."""
        return self.position


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How texts are written for a kind of model, and vectors read, one per text."""

    path: str
    request: Callable[[Host, Sequence[str], EmbedOptions], Request]
    answer: Callable[[wire.Body, int, EmbedOptions], Embedded[Vector]]


def _text_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    fields, count = wire.embed_fields(texts, options), len(texts)
    return wire.make_request(host, "/embeddings", fields, count, count)


def _alone_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    """Each text as a document of its own, which is what keeps them apart."""
    fields, count = wire.contextual_fields([[text] for text in texts], options), len(texts)
    return wire.make_request(host, "/contextualizedembeddings", fields, count, count)


def _alone_answer(body: wire.Body, count: int, options: EmbedOptions) -> Embedded[Vector]:
    answer = wire.contextual_answer(body, [1] * count, options)
    return wire.Embedded([document.vectors[0] for document in answer.vectors], answer.total_tokens)


def _content_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    contents = [wire.multimodal_content([("text", text)]) for text in texts]
    return wire.multimodal_request(host, contents, options)


ENDPOINTS: dict[Kind, Endpoint] = {
    "embedding": Endpoint("/embeddings", _text_request, wire.embed_answer),
    "contextualized": Endpoint("/contextualizedembeddings", _alone_request, _alone_answer),
    "multimodal": Endpoint("/multimodalembeddings", _content_request, wire.multimodal_answer),
}
"""Every kind of model that makes vectors of texts."""


@dataclass(frozen=True, slots=True)
class Embedding(EndpointCall[IndexedText, "Row"]):
    """One call to embed: what holds for all its slices.

    Attributes:
        batch_size: Most texts in one request, None to leave it to the plan.
        empty_text: What becomes of an empty text.
        as_lists: Make lists of the vectors of each answer, while others are still on their way.
        keys: Under which the cache keeps them.
        endpoint: How they are asked for.
    """

    batch_size: int | None
    empty_text: EmptyText
    as_lists: bool
    keys: CacheKeys
    endpoint: Endpoint

    def limits(self, count: int | None) -> Limits:
        """What the next request may hold, of so many texts."""
        inputs = min(self.row.request_inputs, self.context.host.request_inputs)
        tokens = self.row.request_tokens
        if per_minute := self.budget.limiter.limits.tokens_per_minute:
            tokens = min(tokens, int(per_minute))
        size = self.context.host.request_bytes or inf
        limits = Limits(inputs, self.ratio.estimated_tokens(tokens), size)
        if self.batch_size is not None:
            return replace(limits, inputs=min(inputs, self.batch_size))
        return limits.spread(count, self.context.concurrency)

    @property
    def loses_context(self) -> bool:
        """Whether texts might be chunks of documents that the model could have known."""
        return self.row.kind == "contextualized" and self.options.input_type != "query"

    def placed(self, texts: Iterable[str]) -> Iterator[IndexedText]:
        """The texts with what they weigh at a guess, each checked as it comes."""
        longest = self.context.host.text_chars or inf
        looks_for_names = self.row.kind == "multimodal"
        for position, text in enumerate(texts):
            if type(text) is not str or not text.isascii():  # most texts need no more
                validation.check_text(f"texts[{position}]", text, position)
            if not text and self.empty_text == "error":
                validation.refuse_empty(f"texts[{position}]", position)
            if len(text) > longest:
                raise InvalidInputError(
                    f"texts[{position}] has {len(text)} characters, {self.context.host.name} "
                    f"takes {longest}: split it",
                    indices=(position,),
                )
            if looks_for_names and is_media_name(text):
                self.context.media_named(text)
                looks_for_names = False
            yield IndexedText(position, text, estimate_tokens(text))

    def request(self, items: Sequence[IndexedText]) -> Request:
        """What asks for these."""
        texts = [item.text for item in items]
        return self.endpoint.request(self.context.host, texts, self.options)

    def read(self, body: wire.Body, items: Sequence[IndexedText]) -> Embedded[Row]:
        """One vector per text."""
        answer = self.endpoint.answer(body, len(items), self.options)
        rows = list(map(self._held, answer.vectors))
        return Embedded(rows, answer.total_tokens, answer.text_tokens)

    def key(self, item: IndexedText) -> bytes:
        """Of the text."""
        return self.keys(item.text)

    def to_bytes(self, value: Row) -> bytes:
        """Its numbers."""
        return to_bytes(compact(value, self.options.dtype))

    def from_bytes(self, stored: bytes) -> Row:
        """The vector of these numbers."""
        return self._held(from_bytes(stored, self.options.dtype))

    def nothing(self, others: Mapping[int, Row]) -> Row:
        """The vector of an empty text."""
        return self._held(zero_vector(self.options, others))

    def _held(self, vector: Vector) -> Row:
        return vector.tolist() if self.as_lists else vector

    def flows(
        self, placed: Iterable[IndexedText], partial_results: PartialResults[Row] | None
    ) -> Iterator[Flow[list[Row]]]:
        """One flow per request, in order."""
        count = None if partial_results is None else partial_results.expected
        for slice_ in self.slices(placed, count):
            yield embedding(self, slice_, partial_results)

    def slices(
        self, placed: Iterable[IndexedText], count: int | None
    ) -> Iterator[list[IndexedText]]:
        """What goes into each request; None if nobody knows how many texts there are."""
        if count_tokens := self.context.count_tokens:
            placed = (item._replace(estimated_tokens=count_tokens(item.text)) for item in placed)
        longest = self.context.host.list_text_chars or inf
        estimated = (
            (item, inf if len(item.text) > longest else item.estimated_tokens) for item in placed
        )
        limits = partial(self.limits, count)
        sizes = (_size,) if self.context.host.request_bytes else ()
        for slice_ in pack(estimated, limits, *sizes):
            yield [item for item, _ in slice_]


def _size(item: IndexedText) -> int:
    """Bytes of a text in a request, but for characters that JSON escapes."""
    return len(item.text.encode())


def prepare(
    context: CallContext,
    model: str,
    input_type: InputType | None,
    output_dimension: int | None,
    output_dtype: OutputDtype | None,
    batch_size: int | None,
    empty_text: EmptyText,
    *,
    truncation: bool,
    as_lists: bool = False,
) -> Embedding:
    """Check everything about a call to embed but the texts.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    row = validation.check_embedding_model(model)
    endpoint = ENDPOINTS[row.kind]
    validation.check_input_type(input_type)
    validation.check_flag("truncation", truncation)
    validation.check_flag("as_lists", as_lists)
    validation.check_choice("empty_text", empty_text, ("error", "zeros"))
    if batch_size is not None:
        validation.check_count("batch_size", batch_size)
    options = wire.EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=validation.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
    fields = options.fields
    if row.kind == "contextualized":
        fields["truncation"] = None
    context.host.require(endpoint.path, fields)
    budget = context.budget(model)
    ratio = budget.ratio if context.count_tokens is None else budget.exact_ratio
    keys = CacheKeys(context.host.cache_scope, options)
    return Embedding(
        context, options, row, budget, ratio, batch_size, empty_text, as_lists, keys, endpoint
    )


def embed(call: Embedding, texts: object) -> Operation[list[Row], EmbeddingsObject]:
    """Vectors of a list of texts, in their order.

    Raises:
        InvalidInputError: There is no list of texts, or one of them cannot be embedded.
    """
    placed = deque(call.placed(validation.iterable("texts", texts)))
    count, estimated_tokens = len(placed), sum(item.estimated_tokens for item in placed)
    partial_results: PartialResults[Row] = PartialResults(count, estimated_tokens)
    dtype = call.options.dtype
    if call.loses_context and count > 1:
        call.context.unrelated()

    def join(parts: Sequence[list[Row]]) -> EmbeddingsObject:
        vectors = Vectors([row for part in parts for row in part], dtype)
        return EmbeddingsObject(vectors, partial_results.usage, call.row.name)

    def rescue() -> PartialEmbeddings:
        values = partial_results.values
        found = {i: compact(values[i], dtype) for i in range(count) if i in values}
        missing = tuple(i for i in range(count) if i not in found)
        return PartialEmbeddings(found, missing, partial_results.usage, call.row.name)

    flows = call.flows(_taken_from(placed), partial_results)
    return Operation(flows, join, rescue, call.info("embed", count))


def _taken_from(placed: deque[IndexedText]) -> Iterator[IndexedText]:
    """One after the other, without keeping those that were."""
    while placed:
        yield placed.popleft()


def embed_iter(call: Embedding, texts: object) -> Iterator[Flow[list[Vector]]]:
    """Vectors of any iterable of texts, which are read as there is room for them."""
    flows = call.flows(_streamed(call, texts), None)
    return cast("Iterator[Flow[list[Vector]]]", flows)  # a stream makes no lists


def delivered(call: Embedding, texts: object, sink: Sink) -> Iterator[Flow[None]]:
    """One flow per request, that ends when the sink has taken its answer."""
    for slice_ in call.slices(_streamed(call, texts), None):
        yield _delivered(call, slice_, sink)


def _delivered(call: Embedding, placed: Sequence[IndexedText], sink: Sink) -> Flow[None]:
    partial_results: PartialResults[Row] = PartialResults(
        len(placed), sum(item.estimated_tokens for item in placed)
    )
    rows = yield from embedding(call, placed, partial_results)
    vectors = [compact(row, call.options.dtype) for row in rows]
    positions = [item.position for item in placed]
    yield from offload(lambda: sink(positions, vectors, partial_results.usage))


def _streamed(call: Embedding, texts: object) -> Iterator[IndexedText]:
    """Texts of which nobody knows how many there are."""
    if call.loses_context:
        call.context.unrelated()
    return call.placed(validation.iterable("texts", texts))


def embedding(
    call: Embedding, placed: Sequence[IndexedText], partial_results: PartialResults[Row] | None
) -> Flow[list[Row]]:
    """Vectors of one slice: of the cache, of the service, and zeros for empty texts."""
    asked = [item for item in placed if item.text]
    found = yield from sliced(call, asked, partial_results)
    rows = {item.position: row for item, row in found}
    if empty := [item for item in placed if not item.text]:
        nothing = [call.nothing(rows) for _ in empty]
        rows |= {item.position: row for item, row in zip(empty, nothing, strict=True)}
        call.context.recalled(len(empty))
        if partial_results is not None:
            partial_results.add(empty, nothing, Usage())
    return [rows[item.position] for item in placed]


def zero_vector(options: EmbedOptions, others: Mapping[int, Row]) -> Vector:
    """The vector of an empty text, as long as the others.

    Raises:
        InvalidInputError: There are no others, and the model's dimension is not known.
    """
    if others:
        return zeros(len(next(iter(others.values()))), options.dtype)
    if options.expected_dimension is None:
        raise InvalidInputError(
            f"the length of a zero vector of {options.model!r} is not known: pass output_dimension"
        )
    return zeros(length_of(options.expected_dimension, options.dtype), options.dtype)
