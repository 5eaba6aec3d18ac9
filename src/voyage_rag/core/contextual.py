"""Embedding chunks with the context of their document: check, window, plan, ask, join.

Documents that fit the model's window are embedded whole, many to a request. One that is longer is
cut into windows of neighbouring chunks, greedily: chunk after chunk, until the next one would not
fit; no overlap, every chunk in one window. Its length is estimated at five characters to a token
(exact with a tokenizer), and a window that the service still finds too long is cut in two at the
chunk nearest its middle. Nothing else is looked at, so a document has the same windows, and its
chunks the same vectors and cache keys, whatever it is embedded with, and whenever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voyage_rag.core import validation, wire
from voyage_rag.core.cache_keys import CacheKeys, from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall, PartialResults, sliced
from voyage_rag.core.documents import Flat, documents_of, grouped
from voyage_rag.core.embed import zero_vector
from voyage_rag.core.failures import example_named, is_over_window
from voyage_rag.core.flow import Flow, Operation
from voyage_rag.core.planning import Limits, pack
from voyage_rag.core.token_estimate import estimate_tokens
from voyage_rag.core.windows import Chunks, Window
from voyage_rag.core.wire import Chunked, Chunking
from voyage_rag.errors import VoyageError
from voyage_rag.hosts.messages import Request
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    ContextualizedEmbeddingsResult,
    EmbeddingsObject,
    PartialContextualizedEmbeddings,
    PartialEmbeddings,
    Vectors,
)

if TYPE_CHECKING:
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.wire import Embedded
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import EmptyText, InputType, Vector

PATH = "/contextualizedembeddings"
MOST_CHUNKS = 16_000
"""Chunks of one request (docs: "Contextualized Chunk Embeddings")."""

HEADER_BYTES = 4

USUAL = 0.6
"""Usual tokens of a text per unit of its weight, which errs high: five characters to a token."""

Found = list[tuple[Window, Chunked]]


@dataclass(frozen=True, slots=True)
class Contextualizing(EndpointCall[Window, Chunked]):
    """One call: what holds for all its slices.

    Attributes:
        chunking: How the service is to cut documents, None if it is not to.
        keys: Of the cache.
        flat: How the caller's list of chunks was grouped, None if documents were given.
        windowed: Documents the user was told of, since they do not fit the window.
    """

    chunking: Chunking | None
    keys: CacheKeys
    flat: Flat | None = None
    windowed: set[int] = field(default_factory=set)

    def limits(self, count: int | None) -> Limits:
        """As many whole documents as a request may hold, and as keep all busy."""
        tokens = self.row.request_tokens
        if per_minute := self.budget.limiter.limits.tokens_per_minute:
            tokens = min(tokens, int(per_minute))
        limits = Limits(self.row.request_inputs, self.ratio.estimated_tokens(tokens), MOST_CHUNKS)
        return limits.spread(count, self.context.concurrency)

    def request(self, items: Sequence[Window]) -> Request:
        """What asks for these windows, each as a document."""
        documents = [item.chunks for item in items]
        fields = wire.contextual_fields(documents, self.options, self.chunking)
        chunks = None if self.chunking else sum(len(item.chunks) for item in items)
        return wire.make_request(self.context.host, PATH, fields, len(items), chunks)

    def read(self, body: wire.Body, items: Sequence[Window]) -> Embedded[Chunked]:
        """One vector per chunk."""
        counts = [None if self.chunking else len(item.chunks) for item in items]
        return wire.contextual_answer(body, counts, self.options)

    def key(self, item: Window) -> bytes:
        """Of all chunks of the window, since each vector depends on all."""
        return self.keys.of_chunks(item.chunks)

    def to_bytes(self, value: Chunked) -> bytes:
        """The number of chunks and what the service said of them, then the vectors."""
        header = json.dumps([len(value.vectors), value.texts, value.chunker]).encode()
        vectors = b"".join(map(to_bytes, value.vectors))
        return len(header).to_bytes(HEADER_BYTES, "little") + header + vectors

    def from_bytes(self, stored: bytes) -> Chunked:
        """What was kept."""
        start = HEADER_BYTES + int.from_bytes(stored[:HEADER_BYTES], "little")
        count, texts, chunker = json.loads(stored[HEADER_BYTES:start])
        size = (len(stored) - start) // count
        return Chunked(
            [
                from_bytes(stored[at : at + size], self.options.dtype)
                for at in range(start, len(stored), size)
            ],
            texts,
            chunker,
        )

    def done(self, items: Sequence[Window]) -> int:
        """Chunks where these were given; else documents, each counted with its first window."""
        if self.flat:
            return sum(len(item.chunks) for item in items)
        return sum(item.first == 0 for item in items)

    def is_too_much(self, failure: VoyageError, tokens: float) -> bool:
        """Also where one window is longer than the model's."""
        return EndpointCall.is_too_much(self, failure, tokens) or is_over_window(failure)

    def cut(self, items: Sequence[Window], failure: VoyageError | None) -> list[Sequence[Window]]:
        """The window that does not fit in two; or fewer windows; or the last one in two."""
        example = example_named(failure) if failure and is_over_window(failure) else None
        if example is not None and example < len(items):
            halves = self._halves(items[example])
            return [[*items[:example], *halves, *items[example + 1 :]]] if halves else []
        if len(items) > 1:
            middle = len(items) // 2
            return [items[:middle], items[middle:]]
        return [[half] for half in self._halves(items[0])]

    def _halves(self, window: Window) -> list[Window]:
        if len(window.chunks) == 1:
            return []
        self.tell_of([window.position])
        return window.halves()

    def tell_of(self, documents: Iterable[int]) -> None:
        """Let the user know which documents are not embedded whole, each once."""
        new = [position for position in documents if position not in self.windowed]
        if new:
            self.windowed.update(new)
            self.context.windowed([self.flat.names[i] if self.flat else i for i in new])

    def blame(self, failure: VoyageError, items: Sequence[Window]) -> VoyageError:
        """The failure, and which document and chunk it is about."""
        example = example_named(failure)
        if is_over_window(failure) and example is not None and example < len(items):
            window = items[example]
            chunk, indices = f"inputs[{window.position}][{window.first}]", [window.position]
            if self.flat:
                indices = self.flat.groups[window.position][window.first :][:1]
                chunk = f"chunks[{indices[0]}]"
            failure.indices = tuple(indices)
            tokens = self.tokens(window.estimated_tokens)
            failure.message += f" That is {chunk}: ~{tokens:,} tokens. Split this chunk."
            return failure
        positions = [item.position for item in items]
        if self.flat:
            groups = self.flat.groups
            positions = sorted(
                at
                for item in items
                for at in groups[item.position][item.first : item.first + len(item.chunks)]
            )
        failure.indices = tuple(positions)
        return failure

    def windows(self, documents: Sequence[Chunks]) -> Iterator[Window]:
        """The documents, those that are too long in several windows."""
        exact = self.context.count_tokens
        for position, chunks in enumerate(documents):
            estimated_tokens_per_chunk = tuple(map(exact or estimate_tokens, chunks))
            whole = Window(position, 0, chunks, estimated_tokens_per_chunk)
            if self.chunking is not None:
                yield whole
                continue
            most = float(self.row.context) if exact else self.row.context / USUAL
            start, estimated_tokens = 0, 0.0
            for at, more in enumerate(estimated_tokens_per_chunk):
                if at > start and (estimated_tokens + more > most or at - start >= MOST_CHUNKS):
                    yield whole.part(start, at)
                    start, estimated_tokens = at, 0.0
                estimated_tokens += more
            yield whole.part(start, len(chunks))

    def flows(
        self, windows: Iterable[Window], partial_results: PartialResults[Chunked]
    ) -> Iterator[Flow[Found]]:
        """One flow per request."""
        estimated = ((window, window.estimated_tokens) for window in windows)
        slices = pack(
            estimated,
            lambda: self.limits(partial_results.expected),
            lambda window: len(window.chunks),
        )
        return (
            sliced(self, [window for window, _ in slice_], partial_results) for slice_ in slices
        )


def prepare(
    context: CallContext,
    model: str,
    input_type: InputType | None,
    output_dtype: OutputDtype | None,
    output_dimension: int | None,
    chunking: Chunking | None = None,
) -> Contextualizing:
    """Check everything about a call but the inputs.

    Raises:
        InvalidInputError: An argument cannot work.
    """
    row = validation.check_model(model, "contextualized")
    validation.check_input_type(input_type)
    options = wire.EmbedOptions(
        model=row.name,
        input_type=input_type,
        truncation=False,
        output_dimension=output_dimension,
        output_dtype=validation.check_output(row, output_dimension, output_dtype),
        expected_dimension=output_dimension or row.default_dimension,
    )
    context.host.require(PATH, wire.contextual_fields([], options, chunking))
    budget = context.budget(model)
    ratio = budget.ratio if context.count_tokens is None else budget.exact_ratio
    keys = CacheKeys(
        context.host.cache_scope, options, "chunks", chunking and (chunking.size, chunking.overlap)
    )
    return Contextualizing(context, options, row, budget, ratio, chunking, keys)


def contextualize(
    call: Contextualizing, inputs: object, chunk_fn: Callable[[str], list[str]] | None
) -> Operation[Found, ContextualizedEmbeddingsObject]:
    """Vectors of the chunks of documents.

    Raises:
        InvalidInputError: The inputs are no documents of chunks; nothing was sent.
    """
    documents = documents_of(
        inputs,
        chunk_fn,
        query=call.options.input_type == "query",
        automatic=call.chunking is not None,
    )
    windows = list(call.windows(documents))
    partial_results: PartialResults[Chunked] = PartialResults(
        len(documents), sum(w.estimated_tokens for w in windows)
    )
    call.tell_of(dict.fromkeys(window.position for window in windows if window.first))

    def results(found: Mapping[Any, Chunked]) -> dict[int, ContextualizedEmbeddingsResult]:
        return _results(found, documents, call, made=chunk_fn is not None)

    def join(parts: Sequence[Found]) -> ContextualizedEmbeddingsObject:
        found = {window.key_of: value for part in parts for window, value in part}
        versions = [value.chunker for value in found.values() if value.chunker]
        return ContextualizedEmbeddingsObject(
            list(results(found).values()),
            partial_results.usage,
            call.row.name,
            versions[0] if versions else None,
        )

    def rescue() -> PartialContextualizedEmbeddings:
        finished = results(dict(partial_results.values))
        missing = tuple(i for i in range(len(documents)) if i not in finished)
        return PartialContextualizedEmbeddings(
            finished, missing, partial_results.usage, call.row.name
        )

    info = call.info("contextualized_embed", len(documents))
    return Operation(call.flows(windows, partial_results), join, rescue, info)


def embed_chunks(
    call: Contextualizing, chunks: object, documents: object, empty_text: EmptyText
) -> Operation[Found, EmbeddingsObject]:
    """Vectors of chunks that are told apart by document, in the order of the chunks.

    Args:
        call: What holds for all.
        chunks: The chunks, those of a document in its order, documents in any.
        documents: For each chunk what identifies its document; None for a document of its own.
        empty_text: What becomes of an empty chunk, which is no part of its document.

    Raises:
        InvalidInputError: There are not as many documents as chunks, or one cannot identify.
    """
    validation.check_choice("empty_text", empty_text, ("error", "zeros"))
    listed = validation.listed("chunks", chunks)
    for position, chunk in enumerate(listed):
        name = f"chunks[{position}]"
        if not validation.check_text(name, chunk, position) and empty_text == "error":
            validation.refuse_empty(name, position)
    flat = grouped(listed, documents)
    call = replace(call, flat=flat)
    inner = contextualize(call, [[listed[i] for i in group] for group in flat.groups], None)
    empty = [position for position, chunk in enumerate(listed) if not chunk]
    if empty:
        zero_vector(call.options, {})

    def key_of(results: Iterable[ContextualizedEmbeddingsResult]) -> dict[int, Vector]:
        vectors = {
            position: vector
            for result in results
            for position, vector in zip(flat.groups[result.index], result.vectors, strict=True)
        }
        nothing = {position: zero_vector(call.options, vectors) for position in empty}
        return dict(sorted((vectors | nothing).items()))

    def join(parts: Sequence[Found]) -> EmbeddingsObject:
        joined = inner.join(parts)
        rows = list(key_of(joined.results).values())
        return EmbeddingsObject(Vectors(rows, call.options.dtype), joined.usage, joined.model)

    def rescue() -> PartialEmbeddings:
        partial = inner.partial and inner.partial()
        assert isinstance(partial, PartialContextualizedEmbeddings)  # noqa: S101 - from above
        vectors = key_of(partial.results.values())
        missing = tuple(i for i in range(len(listed)) if i not in vectors)
        return PartialEmbeddings(vectors, missing, partial.usage, partial.model)

    return Operation(inner.flows, join, rescue, call.info("contextualized_embed", len(listed)))


def _results(
    found: Mapping[Any, Chunked],
    documents: Sequence[Chunks],
    call: Contextualizing,
    *,
    made: bool,
) -> dict[int, ContextualizedEmbeddingsResult]:
    """The documents of which every window is there."""
    windows: dict[int, list[tuple[int, int, Chunked]]] = {}
    for (position, first, count), value in found.items():
        windows.setdefault(position, []).append((first, count, value))
    results: dict[int, ContextualizedEmbeddingsResult] = {}
    for position in sorted(windows):
        parts = sorted(windows[position], key=lambda part: part[0])
        chunks = documents[position]
        if sum(count for _, count, _ in parts) != len(chunks):
            continue
        vectors = [vector for _, _, value in parts for vector in value.vectors]
        texts = parts[0][2].texts if call.chunking else list(chunks) if made else None
        results[position] = ContextualizedEmbeddingsResult(
            position,
            Vectors(vectors, call.options.dtype),
            texts,
            tuple(len(value.vectors) for _, _, value in parts),
        )
    return results
