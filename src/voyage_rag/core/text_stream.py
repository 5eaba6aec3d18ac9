"""Embedding an iterable of texts as it comes, in order or into a sink."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from voyage_rag.core.call import fetch
from voyage_rag.core.embed import IndexedText
from voyage_rag.core.flow import Flow, PartialResults, offload
from voyage_rag.types import compact
from voyage_rag.usage import Usage

if TYPE_CHECKING:
    from voyage_rag.core.embed import TextCall
    from voyage_rag.types import Row, Vector

Sink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], None]
"""Receives the vectors of a request: positions of texts, their vectors, and what they cost."""

DUPLICATE_WINDOW = 2_048
"""Texts within which equal ones are embedded once; their vectors stay in memory, about 8 MB."""

SINK_BLOCK = 4_096
"""Texts that are read together for a sink, which embeds equal ones once."""


class TextStream:
    """An iterable of texts, and their vectors in order as requests are answered.

    Args:
        call: How they are embedded.
        texts: Any iterable of texts, read as requests are planned.
    """

    def __init__(self, call: TextCall, texts: object) -> None:
        call.warn_if_without_documents()
        self._call = call
        self._texts = call.indexed(texts)
        self._layout: deque[int | None] = deque()
        self._first: dict[str, int] = {}
        self._rows: dict[Hashable, Row] = {}
        self._yielded = 0

    def flows(self) -> Iterator[Flow[list[tuple[IndexedText, Row]]]]:
        """One flow per request, in order."""
        for slice_ in self._call.slices(self._call.counted(self._planned()), None):
            yield fetch(self._call, slice_)

    def vectors(self, found: Sequence[tuple[IndexedText, Row]]) -> Iterator[Vector]:
        """The vectors that are next in order, given those of the next request."""
        self._rows.update((item.key, row) for item, row in found)
        while self._layout and (self._layout[0] is None or self._layout[0] in self._rows):
            key = self._layout.popleft()
            row = self._call.zero_row(self._rows) if key is None else self._rows[key]
            self._yielded += 1
            self._forget()
            yield compact(row, self._call.options.dtype)

    def _planned(self) -> Iterator[IndexedText]:
        """The texts that must be requested; notes which vector each text has."""
        for item in self._texts:
            first = self._first.get(item.text)
            is_known = first is not None and item.key - first < DUPLICATE_WINDOW
            self._layout.append((first if is_known else item.key) if item.text else None)
            if is_known or not item.text:
                self._call.advance(1)
                continue
            self._first.pop(item.text, None)
            self._first[item.text] = item.key
            if len(self._first) > DUPLICATE_WINDOW:
                del self._first[next(iter(self._first))]
            yield item

    def _forget(self) -> None:
        """Drop the oldest row, which no text to come is equal to; one stays for zero vectors."""
        oldest = next(iter(self._rows), None)
        if (
            len(self._rows) > 1
            and isinstance(oldest, int)
            and oldest + DUPLICATE_WINDOW <= self._yielded
        ):
            del self._rows[oldest]


def delivered(call: TextCall, texts: object, sink: Sink) -> Iterator[Flow[None]]:
    """One flow per request, which ends when the sink has taken the vectors."""
    call.warn_if_without_documents()
    items = iter(call.counted(call.indexed(texts)))
    while block := list(islice(items, SINK_BLOCK)):
        positions: dict[str, list[int]] = {}
        for item in block:
            positions.setdefault(item.text, []).append(item.key)
        distinct = deque(item for item in block if positions[item.text][0] == item.key)
        if len(distinct) < len(block):
            call.advance(len(block) - len(distinct))
        for slice_ in call.slices(distinct, None):
            yield _delivered(call, slice_, positions, sink)


def _delivered(
    call: TextCall, items: Sequence[IndexedText], positions: dict[str, list[int]], sink: Sink
) -> Flow[None]:
    results: PartialResults[Row] = PartialResults(
        len(items), sum(item.estimated_tokens for item in items)
    )
    yield from fetch(call, items, results)
    vectors = {
        position: compact(results.values[item.key], call.options.dtype)
        for item in items
        for position in positions[item.text]
    }
    rising = sorted(vectors)
    yield from offload(lambda: sink(rising, [vectors[n] for n in rising], results.usage))
