"""The usage of a block of code across all clients.

    with track_usage() as usage:
        index.query("...")
    print(usage.total_tokens, usage.dollars)

A block counts the usage of its own context, so threads and tasks are counted separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from voyage_rag.events import Billed, Event
from voyage_rag.locks import lock_for
from voyage_rag.usage import Usage


class UsageTracker:
    """Adds up usage. It can also be used as an observer: `Voyage(observers=[tracker])`.

    It has the attributes of `voyage_rag.Usage` with their current values.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.observe import track_usage
        >>> with track_usage() as usage:
        ...     result = Voyage().embed(["Hello, world"], model="voyage-4")
        >>> usage.requests
        1
        >>> usage.by_model
        {'voyage-4': <Usage: 3 tokens in 1 request, less than $0.0001 at list>}
    """

    def __init__(self) -> None:
        self._usage = Usage()
        self._lock = lock_for(self)

    def __call__(self, event: Event) -> None:
        """Add the usage of an event."""
        if isinstance(event, Billed):
            self.add(event.usage)

    def add(self, usage: Usage) -> None:
        """Add usage."""
        with self._lock:
            self._usage += usage

    @property
    def usage(self) -> Usage:
        """The usage so far."""
        return self._usage

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""
        return self._usage.total_tokens

    @property
    def requests(self) -> int:
        """Number of successful requests."""
        return self._usage.requests

    @property
    def text_tokens(self) -> int:
        """Tokens of text, for multimodal models."""
        return self._usage.text_tokens

    @property
    def image_pixels(self) -> int:
        """Pixels of images, for multimodal models."""
        return self._usage.image_pixels

    @property
    def video_pixels(self) -> int:
        """Pixels of videos, for multimodal models."""
        return self._usage.video_pixels

    @property
    def by_model(self) -> Mapping[str, Usage]:
        """The usage of each model."""
        return self._usage.by_model

    @property
    def dollars(self) -> float | None:
        """The list price; None if the price of a model is unknown (see `Usage.dollars`)."""
        return self._usage.dollars

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models whose price is unknown."""
        return self._usage.unpriced

    def __repr__(self) -> str:
        return f"<UsageTracker: {self._usage}>"

    def __str__(self) -> str:
        return str(self._usage)


OPEN_TRACKERS: ContextVar[tuple[UsageTracker, ...]] = ContextVar("voyage_rag.usage", default=())
"""The open blocks of a context, to which every client adds its usage."""


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Count the usage of all clients within the block.

    This includes tasks that are started within the block, and threads that copy its context, such
    as those of asyncio, anyio, LangChain and this package. A plain `threading.Thread` starts with
    an empty context and is not counted, unless it runs `contextvars.copy_context().run`. Blocks in
    other threads and tasks are independent; usage in a nested block counts for both blocks. Worker
    processes are not counted.

    Yields:
        The usage so far, which remains readable after the block.
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
