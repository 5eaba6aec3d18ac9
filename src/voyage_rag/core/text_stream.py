"""Embed an iterable of texts as a stream, in order or into a sink."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from itertools import islice
from math import inf
from typing import TypeAlias

from voyage_rag.core.call import fetch
from voyage_rag.core.embed import IndexedText, TextCall
from voyage_rag.core.flow import Flow, Offload, PartialResults
from voyage_rag.core.repacking import WaitingItems
from voyage_rag.core.vectors import check_lengths
from voyage_rag.errors import InvalidInputError
from voyage_rag.types import Row, Vector, compact
from voyage_rag.usage import Usage

Sink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], None]
"""Receives the vectors of a request: positions of texts, their vectors, and their usage."""

AsyncSink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], Awaitable[None] | None]
"""A sink that may be a coroutine function."""

RECENT_TEXTS = 4_096
"""Number of different texts that are compared. Their vectors take about 16 MB."""

MAX_REPEATS = 4_096
"""Number of consecutive repeated texts after which known vectors are delivered."""


class TextStream:
    """A stream of texts and their vectors, in which recent texts are requested once.

    The texts are read when requests are planned.
    """

    def __init__(self, call: TextCall, texts: object) -> None:
        call.warn_if_without_documents()
        self._call = call
        self._texts = call.indexed(texts)
        self._is_read = False
        self._recent: OrderedDict[str, int] = OrderedDict()  # with the position of its request
        self._vectors: dict[int, Vector | None] = {}  # of recent texts, by that position
        self._repeats: dict[int, list[int]] = {}  # positions that wait for the vector of another
        self._missing = 0
        self._known: dict[int, Vector] = {}
        self._empty: list[int] = []
        self._some: dict[Hashable, Row] = {}
        self._lock = threading.Lock()

    def flows(self) -> Iterator[Flow[tuple[Mapping[int, Vector], Usage]]]:
        """Yield one flow per request, which returns vectors by position and their usage."""
        call = self._call
        waiting = WaitingItems(partial(call.limits, None), call.size, call.budget.limiter)
        while not self._is_read:
            for slice_ in call.slices(call.counted(self._new()), None):
                yield self._fetch(slice_, waiting)
            if self._known or self._empty or not self._is_read:
                yield self._fetch([], waiting)

    def flows_into(self, sink: AsyncSink, *, awaits: bool = False) -> Iterator[Flow[None]]:
        """Yield one flow per request, which ends after a sink has received the vectors.

        Raises:
            InvalidInputError: The sink is not callable, or a coroutine function without `awaits`.
        """
        if not callable(sink):
            raise InvalidInputError(f"sink must be a function, not {type(sink).__name__}")
        is_coroutine = iscoroutinefunction(sink) or iscoroutinefunction(type(sink).__call__)
        if is_coroutine and not awaits:
            raise InvalidInputError("sink is a coroutine function: pass it to aembed_into")
        return (self._deliver(flow, sink, is_coroutine) for flow in self.flows())

    def _deliver(
        self, flow: Flow[tuple[Mapping[int, Vector], Usage]], sink: AsyncSink, is_coroutine: bool
    ) -> Flow[None]:
        vectors, usage = yield from flow
        if vectors:
            positions = sorted(vectors)
            rows = [vectors[n] for n in positions]
            done = yield Offload(partial(sink, positions, rows, usage), is_coroutine)
            if isawaitable(done):
                if iscoroutine(done):
                    done.close()
                raise InvalidInputError(
                    f"sink returned a {type(done).__name__}, which is not awaited: pass a "
                    "coroutine function to aembed_into"
                )

    def _new(self) -> Iterator[IndexedText]:
        """Yield the texts to request, until `MAX_REPEATS` texts in a row repeat earlier ones."""
        repeats = 0
        for item in self._texts:
            with self._lock:
                is_new = self._is_new(item)
            if is_new:
                repeats = 0
                yield item
                continue
            self._call.advance(1)
            repeats += 1
            if repeats == MAX_REPEATS:
                return
        self._is_read = True

    def _is_new(self, item: IndexedText) -> bool:
        """Return whether a text must be requested; otherwise record its position."""
        position, text, _ = item
        if not text:
            self._empty.append(position)
            return False
        first = self._recent.setdefault(text, position)
        if first != position:
            self._recent.move_to_end(text)
            if (vector := self._vectors.get(first)) is None:
                self._repeats.setdefault(first, []).append(position)
            else:
                self._known[position] = vector[:]
            return False
        self._vectors[first] = None
        self._missing += 1
        if len(self._recent) > RECENT_TEXTS:
            _, oldest = self._recent.popitem(last=False)
            self._vectors.pop(oldest, None)
        return True

    def _fetch(
        self, items: Sequence[IndexedText], waiting: WaitingItems[IndexedText]
    ) -> Flow[tuple[Mapping[int, Vector], Usage]]:
        """Request texts; return their vectors, and others that became known."""
        call = self._call
        results: PartialResults[Row] = PartialResults(sys.maxsize, inf, has_warned=True)
        yield from fetch(call, items, results, waiting)
        with self._lock:
            vectors, self._known = self._known, {}
            self._missing -= len(results.values)
            for position, row in results.values.items():
                vector = vectors[position] = compact(row, call.options.dtype)
                for n in self._repeats.pop(position, ()):
                    vectors[n] = vector[:]
                if position in self._vectors:
                    self._vectors[position] = vector[:]  # a copy that the caller cannot change
            self._some = self._some or dict(islice(vectors.items(), 1))
            nothing_comes = self._is_read and not self._missing
            if self._empty and (self._some or call.options.expected_dimension or nothing_comes):
                row = compact(call.zero_row(self._some), call.options.dtype)
                for n in self._empty:
                    vectors[n] = row[:]
                self._empty = []
        return vectors, results.usage


class InOrder:
    """The vectors of a stream, in the order of the texts."""

    def __init__(self) -> None:
        self._held: dict[int, Vector] = {}
        self._next = 0
        self._lengths: set[int] = set()

    def next(self, vectors: Mapping[int, Vector]) -> Iterator[Vector]:
        """Add vectors, and return those that are next in order."""
        self._held |= vectors
        self._lengths.update(map(len, vectors.values()))
        check_lengths(self._lengths)
        while self._next in self._held:
            self._next += 1
            yield self._held.pop(self._next - 1)
