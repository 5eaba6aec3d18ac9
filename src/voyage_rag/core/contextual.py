"""Embed chunks with the context of their document: check, window, plan, request, join.

Documents that fit the model's window are embedded whole, many to a request. One that is longer is
divided greedily into windows of adjacent chunks: chunk after chunk, until the next one would not
fit. Windows do not overlap. The length is estimated at five characters per token (exact with a
tokenizer), and a window that the service still rejects is divided at the chunk nearest its middle.
Windows depend on nothing else, so a document always has the same windows, and its chunks the same
vectors and cache keys, whatever else is embedded in the same call.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, get_args

from voyage_rag.checks import texts_of
from voyage_rag.core import validation
from voyage_rag.core.cache_keys import from_bytes, to_bytes
from voyage_rag.core.call import EndpointCall
from voyage_rag.core.context import CallContext, estimate_tokens
from voyage_rag.core.documents import Grouping, documents_of, grouped
from voyage_rag.core.embed import TextPolicies, zero_vector
from voyage_rag.core.failures import is_over_window, is_too_large, named_input
from voyage_rag.core.flow import Operation, PartialResults
from voyage_rag.core.options import ENDPOINTS, EmbedOptions
from voyage_rag.core.vectors import check_lengths
from voyage_rag.core.windows import MAX_CHUNKS, Chunks, Window, windows_of
from voyage_rag.core.wire import requests, responses
from voyage_rag.core.wire.requests import Chunking
from voyage_rag.core.wire.responses import Chunked
from voyage_rag.errors import VoyageError
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Model, OutputDtype
from voyage_rag.partial import PartialContextualizedEmbeddings, PartialEmbeddings
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    ContextualizedEmbeddingsResult,
    EmbeddingsObject,
    InputType,
    InvalidText,
    Row,
    Vectors,
)

HEADER_BYTES = 4

ESTIMATE_PER_TOKEN = 1 / 0.6
"""The estimate is conservative: texts of five characters per token have 0.6 tokens per unit."""


class ContextualCall(EndpointCall[Window, Chunked]):
    """One call to embed chunks with the context of their documents.

    Args, after those of `EndpointCall`:
        chunking: How the service splits documents; None if it does not.

    Attributes:
        grouping: How the caller's list of chunks was grouped, None if documents were given.
    """

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        chunking: Chunking | None,
    ) -> None:
        scope = "chunks", chunking and (chunking.size, chunking.overlap)
        super().__init__(context, model, options, scope=scope)
        self.max_size: float = MAX_CHUNKS
        self.chunking = chunking
        self.grouping: Grouping | None = None
        self._in_windows: set[int] = set()

    def size(self, item: Window) -> float:
        """Return the number of its chunks."""
        return len(item.chunks)

    def request(self, items: Sequence[Window]) -> Request:
        """Return the request for these windows, each as a document."""
        documents = [item.chunks for item in items]
        fields = requests.contextual_fields(documents, self.options, self.chunking)
        chunks = None if self.chunking else sum(len(item.chunks) for item in items)
        path = ENDPOINTS["contextualized"]
        return requests.make_request(self.context.host, path, fields, len(items), chunks)

    def read(self, body: responses.Body, items: Sequence[Window]) -> responses.Decoded[Chunked]:
        """Return one vector per chunk."""
        expected = [item.chunks[0] if self.chunking else len(item.chunks) for item in items]
        answer = responses.contextual_answer(body, expected, self.options)
        self.warn_if_zero(chain.from_iterable(document.vectors for document in answer.values))
        return answer

    def cache_key(self, item: Window) -> bytes:
        """Return the key of all chunks of the window, because each vector depends on all."""
        return self.cache_keys.of_chunks(item.chunks)

    def to_bytes(self, value: Chunked) -> bytes:
        """Return the number of chunks, their texts and the chunker's version, then the vectors."""
        header = json.dumps([len(value.vectors), value.texts, value.chunker]).encode()
        vectors = b"".join(map(to_bytes, value.vectors))
        return len(header).to_bytes(HEADER_BYTES, "little") + header + vectors

    def from_bytes(self, stored: bytes) -> Chunked | None:
        """Return the vectors of a window, and the chunks that the service created."""
        start = HEADER_BYTES + int.from_bytes(stored[:HEADER_BYTES], "little")
        try:
            count, texts, chunker = json.loads(stored[HEADER_BYTES:start])
            size = (len(stored) - start) // count
        except (ValueError, TypeError, ZeroDivisionError):
            return None
        dtype, length = self.options.dtype, self.options.expected_length
        parts = [stored[at : at + size] for at in range(start, len(stored), size or 1)]
        vectors = [from_bytes(part, dtype, length) for part in parts]
        valid = [vector for vector in vectors if vector is not None]
        return Chunked(valid, texts, chunker) if len(valid) == len(vectors) == count else None

    def finished_inputs(self, items: Sequence[Window]) -> int:
        """Return the number of chunks; for whole documents, that of first windows."""
        if self.grouping:
            return sum(len(item.chunks) for item in items)
        return sum(item.first == 0 for item in items)

    def is_oversized(self, failure: VoyageError, items: Sequence[Window]) -> bool:
        """Return True also for a single window that is longer than the model's."""
        return super().is_oversized(failure, items) or is_over_window(failure)

    def split(self, items: Sequence[Window], failure: VoyageError | None) -> list[Sequence[Window]]:
        """Divide the window that does not fit, the list of windows, or the only window."""
        example = named_input(failure) if failure and is_over_window(failure) else None
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
        self.warn_of([window.position])
        return window.halves()

    def warn_of(self, documents: Iterable[int]) -> None:
        """Warn once about each document that is not embedded as a whole."""
        new = [position for position in documents if position not in self._in_windows]
        if new:
            self._in_windows.update(new)
            self.context.warn_windows([self.grouping.names[i] if self.grouping else i for i in new])

    def locate(self, failure: VoyageError, items: Sequence[Window]) -> VoyageError:
        """Return the failure with the document and the chunk that caused it."""
        example = named_input(failure)
        if is_over_window(failure) and example is not None and example < len(items):
            window = items[example]
            chunk, indices = f"inputs[{window.position}][{window.first}]", [window.position]
            if self.grouping:
                indices = self.grouping.groups[window.position][window.first :][:1]
                chunk = f"chunks[{indices[0]}]"
            failure.indices = tuple(indices)
            tokens = self.ratio.tokens(window.estimated_tokens)
            failure.message += f" That is {chunk}: ~{tokens:,} tokens. Split this chunk."
            return failure
        positions = [item.position for item in items]
        if self.grouping:
            groups = self.grouping.groups
            positions = sorted(
                at
                for item in items
                for at in groups[item.position][item.first : item.first + len(item.chunks)]
            )
        failure.indices = tuple(positions)
        if is_too_large(failure) and len(items) == 1:
            tokens = self.ratio.tokens(items[0].estimated_tokens)
            failure.message += f" That is input {positions[0]}: ~{tokens:,} tokens. Split it."
        return failure

    def windows(self, documents: Sequence[Chunks]) -> list[Window]:
        """Return the windows of documents: one, or several for long documents."""
        count_tokens = self.context.count_tokens
        per_token = 1.0 if count_tokens else ESTIMATE_PER_TOKEN
        longest = math.inf if self.chunking else self.model.context * per_token
        windows = list(windows_of(documents, count_tokens or estimate_tokens, longest))
        self.warn_of(dict.fromkeys(window.position for window in windows if window.first))
        return windows


def prepare(
    context: CallContext,
    model: str,
    input_type: InputType | None,
    output_dtype: OutputDtype | None,
    output_dimension: int | None,
    chunking: Chunking | None = None,
) -> ContextualCall:
    """Check a call, except its inputs, or raise an `InvalidInputError`."""
    row, options = context.options(
        "contextualized", model, input_type, False, output_dimension, output_dtype
    )
    return ContextualCall(context, row, options, chunking)


def contextualize(
    call: ContextualCall,
    inputs: object,
    chunk_fn: Callable[[str], list[str]] | None,
    invalid_text: InvalidText = "error",
) -> Operation[object, ContextualizedEmbeddingsObject]:
    """Return the operation that embeds chunks of documents, or raise an `InvalidInputError`."""
    validation.check_choice("invalid_text", invalid_text, get_args(InvalidText))
    documents = documents_of(
        inputs,
        chunk_fn,
        query=call.options.input_type == "query",
        automatic=call.chunking is not None,
        invalid_text=invalid_text,
    )
    windows = deque(call.windows(documents))
    results: PartialResults[Chunked] = PartialResults(
        len(documents), sum(window.estimated_tokens for window in windows)
    )

    def finished() -> dict[int, ContextualizedEmbeddingsResult]:
        return _finished(dict(results.values), documents, call, made=chunk_fn is not None)

    def join(_: object) -> ContextualizedEmbeddingsObject:
        versions = [value.chunker for value in results.values.values() if value.chunker]
        return ContextualizedEmbeddingsObject(
            list(finished().values()),
            results.usage,
            call.model.name,
            versions[0] if versions else None,
        )

    def partial() -> PartialContextualizedEmbeddings:
        found = finished()
        missing = tuple(i for i in range(len(documents)) if i not in found)
        return PartialContextualizedEmbeddings(found, missing, results.usage, call.model.name)

    info = call.info("contextualized_embed", len(documents))
    return Operation(call.flows(windows, results), join, partial, info)


def embed_chunks(
    call: ContextualCall, chunks: object, documents: object, policies: TextPolicies
) -> Operation[object, EmbeddingsObject]:
    """Return the operation that embeds chunks of documents, in the order of the chunks.

    Args:
        call: The call.
        chunks: The chunks. Those of a document are in order; documents may be interleaved.
        documents: For each chunk, an identifier of its document; None for a separate document.
        policies: How to treat malformed chunks, and empty ones, which do not belong to their
            document.

    Raises:
        InvalidInputError: There are not as many documents as chunks, or an identifier is invalid.
    """
    listed, documents = _checked_chunks(chunks, documents, policies)
    empty = [position for position, chunk in enumerate(listed) if not chunk]
    if empty:
        zero_vector(call.options, {})
    grouping = call.grouping = grouped(listed, documents)
    inner = contextualize(call, [[listed[i] for i in group] for group in grouping.groups], None)

    def by_position(results: Iterable[ContextualizedEmbeddingsResult]) -> dict[Hashable, Row]:
        vectors: dict[Hashable, Row] = {
            position: vector
            for result in results
            for position, vector in zip(grouping.groups[result.index], result.vectors, strict=True)
        }
        return vectors | {position: zero_vector(call.options, vectors) for position in empty}

    def join(parts: Sequence[object]) -> EmbeddingsObject:
        joined = inner.join(parts)
        found = by_position(joined.results)
        rows = [found[n] for n in range(len(listed))]
        check_lengths(set(map(len, rows)))
        vectors = Vectors(rows, call.options.dtype)
        return EmbeddingsObject(vectors, joined.usage, joined.model)

    def partial() -> PartialEmbeddings:
        finished = inner.partial and inner.partial()
        assert isinstance(finished, PartialContextualizedEmbeddings)  # noqa: S101 - from above
        found = by_position(finished.results.values())
        return PartialEmbeddings.of(
            found, len(listed), finished.usage, finished.model, call.options.dtype
        )

    return Operation(inner.flows, join, partial, call.info("contextualized_embed", len(listed)))


def _checked_chunks(
    chunks: object, documents: object, policies: TextPolicies
) -> tuple[list[str], object]:
    """Return the chunks as they are sent, and the identifiers of their documents."""
    policies.check()
    listed = [
        validation.check_text(f"chunks[{position}]", chunk, position, invalid_text=policies.invalid)
        for position, chunk in enumerate(texts_of("chunks", chunks))
    ]
    empty = {position for position, chunk in enumerate(listed) if not chunk}
    if empty and policies.empty == "error":
        validation.refuse_empty(f"chunks[{min(empty)}]", min(empty))
    if not empty or policies.empty == "zeros":
        return listed, documents
    named = texts_of("documents", documents)  # each space is a separate document
    return [chunk or " " for chunk in listed], [
        None if position in empty else name for position, name in enumerate(named)
    ]


def _finished(
    found: Mapping[Any, Chunked],
    documents: Sequence[Chunks],
    call: ContextualCall,
    *,
    made: bool,
) -> dict[int, ContextualizedEmbeddingsResult]:
    """Return the documents of which every window is finished."""
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
