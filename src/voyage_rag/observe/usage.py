"""What a stretch of code has spent, whichever clients it used.

As in:

    with track_usage() as usage:
        index.query("...")
    print(usage.total_tokens, usage.dollars)

A block knows what was spent in its own context, so that neither threads nor tasks get mixed up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from voyage_rag.events import Billed, Event
from voyage_rag.locks import lock_for
from voyage_rag.usage import Usage


class UsageTracker:
    """Adds up what is spent. Also an observer: `Voyage(observers=[tracker])`.

    It has the attributes of `voyage_rag.Usage`, as they are at this moment.
    """

    def __init__(self) -> None:
        self._usage = Usage()
        self._lock = lock_for(self)

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        if isinstance(event, Billed):
            self.add(event.usage)

    def add(self, usage: Usage) -> None:
        """Add what was spent."""
        with self._lock:
            self._usage += usage

    @property
    def usage(self) -> Usage:
        """What was spent until now."""
        return self._usage

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""
        return self._usage.total_tokens

    @property
    def requests(self) -> int:
        """Requests that were answered with a result."""
        return self._usage.requests

    @property
    def text_tokens(self) -> int:
        """Of multimodal models: tokens of text."""
        return self._usage.text_tokens

    @property
    def image_pixels(self) -> int:
        """Of multimodal models: pixels of images."""
        return self._usage.image_pixels

    @property
    def video_pixels(self) -> int:
        """Of multimodal models: pixels of video."""
        return self._usage.video_pixels

    @property
    def by_model(self) -> Mapping[str, Usage]:
        """The same for each model."""
        return self._usage.by_model

    @property
    def dollars(self) -> float | None:
        """The list price; None where that of a model is not known (see `Usage.dollars`)."""
        return self._usage.dollars

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose price is not known."""
        return self._usage.unpriced

    def __repr__(self) -> str:
        return f"<UsageTracker: {self._usage}>"

    def __str__(self) -> str:
        return str(self._usage)


OPEN_TRACKERS: ContextVar[tuple[UsageTracker, ...]] = ContextVar("voyage_rag.usage", default=())
"""The open blocks of a context, which every client adds to."""


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Count what is spent inside the block, by any client.

    Tasks that the block starts count, and threads that copy its context, as those of asyncio,
    anyio, LangChain and this package do; a bare `threading.Thread` starts with an empty context,
    and does not, unless it runs `contextvars.copy_context().run`. Blocks of other threads and tasks
    count for themselves, and a block inside another counts for both. Worker processes count for
    themselves.

    Yields:
        What was spent so far; it stays readable after the block.
    """
    tracker = UsageTracker()
    token = OPEN_TRACKERS.set((*OPEN_TRACKERS.get(), tracker))
    try:
        yield tracker
    finally:
        try:
            OPEN_TRACKERS.reset(token)
        except ValueError:  # closed in another context, as generators sometimes are
            OPEN_TRACKERS.set(tuple(other for other in OPEN_TRACKERS.get() if other is not tracker))
