"""Embedding an iterable of texts as it comes, in order or into a sink."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from voyage_rag.core.call import fetch
from voyage_rag.core.embed import IndexedText, zero_vector
from voyage_rag.core.flow import Flow, PartialResults, offload
from voyage_rag.core.repacking import WaitingItems
from voyage_rag.core.vectors import check_lengths
from voyage_rag.types import compact
from voyage_rag.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    from voyage_rag.core.embed import TextCall
    from voyage_rag.types import Row, Vector

Sink: TypeAlias = Callable[[Sequence[int], "Sequence[Vector]", Usage], None]
"""Receives the vectors of a request: positions of texts, their vectors, and what they cost."""

DUPLICATE_WINDOW = 2_048
"""Texts within which equal ones are embedded once; their vectors stay in memory, about 8 MB."""

RECENT_TEXTS = 8_192
"""The same for a sink, which needs no order: the last different texts, about 32 MB."""

MOST_KNOWN = 4_096
"""Repeated texts that are delivered together."""


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
        self._lengths: set[int] = set()
        self._yielded = 0

    def flows(self) -> Iterator[Flow[list[tuple[IndexedText, Row]]]]:
        """One flow per request, in order."""
        for slice_, waiting in requests(self._call, self._planned()):
            yield fetch(self._call, slice_, None, waiting)

    def vectors(self, found: Sequence[tuple[IndexedText, Row]]) -> Iterator[Vector]:
        """The vectors that are next in order, given those of the next request."""
        self._rows.update((item.key, row) for item, row in found)
        self._lengths.update(len(row) for _, row in found)
        check_lengths(self._lengths)
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


class RepeatedText:
    """A text of which others may be repetitions.

    Attributes:
        positions: Where it is wanted as soon as it has a vector.
        vector: Its vector, None until there is one.
    """

    __slots__ = ("positions", "vector")

    def __init__(self, position: int) -> None:
        self.positions = [position]
        self.vector: Vector | None = None


class DeliveredTexts:
    """An iterable of texts whose vectors a sink takes as requests are answered.

    Args:
        call: How they are embedded.
        texts: Any iterable of texts, read as requests are planned.
        sink: Takes the vectors; threads that receive responses call it, and the one that plans.
    """

    def __init__(self, call: TextCall, texts: object, sink: Sink) -> None:
        call.warn_if_without_documents()
        self._call = call
        self._texts = call.indexed(texts)
        self._sink = sink
        self._recent: dict[str, RepeatedText] = {}
        self._requested: dict[Hashable, RepeatedText] = {}
        self._known: dict[int, Vector] = {}
        self._lock = threading.Lock()

    def flows(self) -> Iterator[Flow[None]]:
        """One flow per request, which ends when the sink has taken the vectors."""
        for slice_, waiting in requests(self._call, self._planned()):
            yield self._delivered(slice_, waiting)
        self._deliver_known()

    def _planned(self) -> Iterator[IndexedText]:
        """The texts that must be requested."""
        for item in self._texts:
            with self._lock:
                is_new = self._is_new(item)
            if is_new:
                yield item
                continue
            self._call.advance(1)
            if len(self._known) >= MOST_KNOWN:
                self._deliver_known()

    def _is_new(self, item: IndexedText) -> bool:
        """Whether a text must be requested; if not, note where its vector is wanted."""
        if not item.text:
            self._known[item.key] = zero_vector(self._call.options, {})
            return False
        if (recent := self._recent.pop(item.text, None)) is not None:
            self._recent[item.text] = recent
            if recent.vector is None:
                recent.positions.append(item.key)
            else:
                self._known[item.key] = recent.vector
            return False
        self._recent[item.text] = self._requested[item.key] = RepeatedText(item.key)
        if len(self._recent) > RECENT_TEXTS:
            del self._recent[next(iter(self._recent))]
        return True

    def _deliver_known(self) -> None:
        """Deliver vectors that no request brings."""
        known, self._known = self._known, {}
        if known:
            self._sink(list(known), list(known.values()), NO_USAGE)

    def _delivered(
        self, items: Sequence[IndexedText], waiting: WaitingItems[IndexedText]
    ) -> Flow[None]:
        results: PartialResults[Row] = PartialResults(sys.maxsize, inf, has_warned=True)
        found = yield from fetch(self._call, items, results, waiting)
        vectors: dict[int, Vector] = {}
        with self._lock:
            for item, row in found:
                text = self._requested.pop(item.key)
                text.vector = compact(row, self._call.options.dtype)
                vectors |= dict.fromkeys(text.positions, text.vector)
        if vectors:
            rising = sorted(vectors)
            yield from offload(
                lambda: self._sink(rising, [vectors[n] for n in rising], results.usage)
            )


def requests(
    call: TextCall, texts: Iterable[IndexedText]
) -> Iterator[tuple[Sequence[IndexedText], WaitingItems[IndexedText]]]:
    """The texts of each request, and what packs those again that a rate limit refused."""
    waiting = WaitingItems(partial(call.limits, None), call.size, call.budget.limiter)
    return ((slice_, waiting) for slice_ in call.slices(call.counted(texts), None))
