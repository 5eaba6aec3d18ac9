"""Embed a list of texts; `voyage_rag.core.text_stream` embeds iterables."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, get_args

from voyage_rag.checks import texts_of
from voyage_rag.core import validation
from voyage_rag.core.cache_keys import from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall
from voyage_rag.core.context import CallContext, estimate_tokens
from voyage_rag.core.flow import Operation, PartialResults, distinct
from voyage_rag.core.media import is_media_name
from voyage_rag.core.options import ENDPOINTS, EmbedOptions
from voyage_rag.core.vectors import check_lengths, length_of, zeros
from voyage_rag.core.wire import requests, responses
from voyage_rag.core.wire.responses import Decoded
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Kind, Model, OutputDtype, kind_of
from voyage_rag.partial import PartialEmbeddings
from voyage_rag.types import (
    EmbeddingsObject,
    EmptyText,
    InputType,
    InvalidText,
    Row,
    Vector,
    Vectors,
    compact,
)


class IndexedText(NamedTuple):
    """A text and its position in the caller's list, which is its key."""

    key: int
    text: str
    estimated_tokens: float


@dataclass(frozen=True, slots=True)
class TextFormat:
    """Encodes texts for a kind of model, and decodes one vector per text."""

    request: Callable[[Host, Sequence[str], EmbedOptions], Request]
    answer: Callable[[responses.Body, int, EmbedOptions], Decoded[Vector]]


def _text_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    fields, count = requests.embed_fields(texts, options), len(texts)
    return requests.make_request(host, ENDPOINTS["embedding"], fields, count, count)


def _document_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    """Return a request with each text as a separate document."""
    fields, count = requests.contextual_fields([[text] for text in texts], options), len(texts)
    return requests.make_request(host, ENDPOINTS["contextualized"], fields, count, count)


def _document_answer(body: responses.Body, count: int, options: EmbedOptions) -> Decoded[Vector]:
    answer = responses.contextual_answer(body, [1] * count, options)
    return Decoded([document.vectors[0] for document in answer.values], answer.total_tokens)


def _content_request(host: Host, texts: Sequence[str], options: EmbedOptions) -> Request:
    contents = [requests.multimodal_content([("text", text)]) for text in texts]
    return requests.multimodal_request(host, contents, options)


FORMATS: dict[Kind, TextFormat] = {
    "embedding": TextFormat(_text_request, responses.embed_answer),
    "contextualized": TextFormat(_document_request, _document_answer),
    "multimodal": TextFormat(_content_request, responses.multimodal_answer),
}
"""Every kind of model that embeds texts."""


class TextPolicies(NamedTuple):
    """How to treat texts that the service rejects."""

    empty: EmptyText = "error"
    invalid: InvalidText = "error"

    def check(self) -> None:
        """Raise an `InvalidInputError` that names an invalid policy and the choices."""
        if set(map(type, self)) != {str} or self != TextPolicies():
            validation.check_choice("empty_text", self.empty, get_args(EmptyText))
            validation.check_choice("invalid_text", self.invalid, get_args(InvalidText))


class TextCall(EndpointCall[IndexedText, "Row"]):
    """One call to embed texts.

    Args, after those of `EndpointCall`:
        batch_size: Maximum number of texts per request; None lets the plan decide.
        policies: How to treat empty and malformed texts.

    Attributes:
        as_lists: Whether the vectors of each response become lists while others are in flight.
    """

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        batch_size: int | None,
        policies: TextPolicies,
    ) -> None:
        super().__init__(context, model, options, batch_size)
        self._policies = policies
        self.as_lists: bool = False
        self._format = FORMATS[model.kind]
        self._max_shared_chars = context.host.list_text_chars or inf
        if context.host.request_bytes or context.host.list_text_chars:
            self.max_size: float = context.host.request_bytes or sys.float_info.max

    def warn_if_without_documents(self) -> None:
        """Warn if texts may be chunks, which the model could embed with their documents."""
        if self.model.kind == "contextualized" and self.options.input_type != "query":
            self.context.warn_no_documents()

    def checked(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the texts as they are sent, or raise an `InvalidInputError` with the position."""
        max_chars = self.context.host.text_chars or inf
        looks_for_names = self.model.kind == "multimodal"
        for position, text in enumerate(texts):
            if type(text) is not str or not text.isascii():  # most texts need no more
                text = validation.check_text(  # noqa: PLW2901 - the same, repaired
                    f"texts[{position}]", text, position, invalid_text=self._policies.invalid
                )
            if not text:
                if self._policies.empty == "error":
                    validation.refuse_empty(f"texts[{position}]", position)
                if self._policies.empty == "space":
                    text = " "  # noqa: PLW2901 - the service accepts a space
            if len(text) > max_chars:
                raise InvalidInputError(
                    f"texts[{position}] has {len(text)} characters, more than the {max_chars} that "
                    f"{self.context.host.name} accepts: split it",
                    indices=(position,),
                )
            if looks_for_names and is_media_name(text):
                self.context.warn_media_name(text)
                looks_for_names = False
            yield text

    def indexed(self, texts: object) -> Iterator[IndexedText]:
        """Yield the checked texts of an iterable with their positions and estimated tokens."""
        for position, text in enumerate(self.checked(texts_of("texts", texts))):
            yield IndexedText(position, text, estimate_tokens(text))

    def counted(self, items: Iterable[IndexedText]) -> Iterable[IndexedText]:
        """Yield the texts, with exact counts if there is a tokenizer, counted during planning."""
        count_tokens = self.context.count_tokens
        if count_tokens is None:
            return items
        return (item._replace(estimated_tokens=count_tokens(item.text)) for item in items)

    def size(self, item: IndexedText) -> float:
        """Return its bytes in a request; more than `max_size` for a text that is sent alone."""
        return inf if len(item.text) > self._max_shared_chars else len(item.text.encode())

    def request(self, items: Sequence[IndexedText]) -> Request:
        """Return the request for these texts."""
        texts = [item.text for item in items]
        return self._format.request(self.context.host, texts, self.options)

    def read(self, body: responses.Body, items: Sequence[IndexedText]) -> Decoded[Row]:
        """Return one vector per text."""
        answer = self._format.answer(body, len(items), self.options)
        self.warn_if_zero(answer.values)
        rows: list[Row] = list(answer.values)
        if self.as_lists:
            rows = [vector.tolist() for vector in answer.values]
        return Decoded(rows, answer.total_tokens, answer.text_tokens)

    def cache_key(self, item: IndexedText) -> bytes:
        """Return the key of the text."""
        return self.cache_keys(item.text)

    def to_bytes(self, value: Row) -> bytes:
        """Return the numbers of the vector."""
        return to_bytes(compact(value, self.options.dtype))

    def from_bytes(self, stored: bytes) -> Row | None:
        """Return the vector of these numbers."""
        vector = from_bytes(stored, self.options.dtype, self.options.expected_length)
        return vector.tolist() if vector is not None and self.as_lists else vector

    def zero_row(self, others: Mapping[Hashable, Row]) -> Row:
        """Return the vector of an empty text."""
        vector = zero_vector(self.options, others)
        return vector.tolist() if self.as_lists else vector


def prepare(
    context: CallContext,
    model: str,
    input_type: InputType | None = None,
    truncation: bool = True,
    output_dtype: OutputDtype | None = None,
    output_dimension: int | None = None,
    batch_size: int | None = None,
    policies: TextPolicies = TextPolicies(),  # noqa: B008 - immutable
) -> TextCall:
    """Check a call, except its texts, or raise an `InvalidInputError`."""
    row, options = context.options(
        None, model, input_type, truncation, output_dimension, output_dtype
    )
    policies.check()
    if batch_size is not None:
        batch_size = validation.check_count("batch_size", batch_size)
    return TextCall(context, row, options, batch_size, policies)


def embed(
    call: TextCall, texts: object, *, as_lists: bool = False
) -> Operation[object, EmbeddingsObject]:
    """Return the operation that embeds a list of texts, in order. Equal texts are sent once.

    Raises:
        InvalidInputError: The argument is not a list of texts, or a text cannot be embedded.
    """
    if type(as_lists) is not bool:
        validation.check_flag("as_lists", as_lists)
    call.as_lists = as_lists
    given = texts if type(texts) is list else texts_of("texts", texts)
    checked = list(call.checked(given))
    count = len(checked)
    first, repeats = distinct(checked)
    empty: list[int] = []
    if "" in first:
        del first[""]
        empty = [position for position, text in enumerate(checked) if not text]
        if not first:
            zero_vector(call.options, {})
    items = deque(map(IndexedText, first.values(), first, map(estimate_tokens, first)))
    if len(items) < count:
        call.advance(count - len(items))
    results: PartialResults[Row] = PartialResults(
        len(items), sum(item.estimated_tokens for item in items), repeats=repeats
    )
    if count > 1:
        call.warn_if_without_documents()

    def received() -> Mapping[Hashable, Row]:
        found = results.values
        if not (found or call.options.expected_dimension):
            return found
        return {**found, **{n: call.zero_row(found) for n in empty}} if empty else found

    def join(_: object) -> EmbeddingsObject:
        found = received()
        rows = [found[n] for n in range(count)]
        if call.options.expected_dimension is None:
            check_lengths(set(map(len, rows)))
        vectors = Vectors(rows, call.options.dtype, {*repeats, *repeats.values()})
        return EmbeddingsObject(vectors, results.usage, call.model.name)

    def partial() -> PartialEmbeddings:
        found = received()
        found = {**found, **{n: found[n][:] for n in repeats.values() if n in found}}
        return PartialEmbeddings.of(
            found, count, results.usage, call.model.name, call.options.dtype
        )

    flows = call.flows(call.counted(items), results)
    return Operation(flows, join, partial, call.info("embed", count))


def count(context: CallContext, texts: object, model: object) -> int:
    """Return the tokens of the texts, or an estimate that is rarely too low."""
    checked = [
        validation.check_text(f"texts[{position}]", text, position)
        for position, text in enumerate(texts_of("texts", texts))
    ]
    kind = kind_of(model) if isinstance(model, str) else "embedding"
    budget = context.budgets[validation.check_model(model, kind).name]
    if context.count_tokens is not None:
        return round(sum(map(context.count_tokens, checked)))
    estimated = sum(map(estimate_tokens, checked))
    return budget.ratio.tokens(estimated) if estimated else 0


def zero_vector(options: EmbedOptions, others: Mapping[Hashable, Row]) -> Vector:
    """Return the vector of an empty text, which has the length of the others.

    Raises:
        InvalidInputError: There are no others, and the dimension of the model is unknown.
    """
    if others:
        return zeros(len(next(iter(others.values()))), options.dtype)
    if options.expected_dimension is None:
        raise InvalidInputError(
            f"the length of a zero vector of {options.model!r} is not known: pass output_dimension"
        )
    return zeros(length_of(options.expected_dimension, options.dtype), options.dtype)
