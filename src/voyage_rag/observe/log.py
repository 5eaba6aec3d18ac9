"""Log requests with Python's logging: retries and long waits as WARNING, the rest as DEBUG.

The logger is `voyage_rag.requests`, a child of `voyage_rag`. If the application does not configure
logging, warnings are shown on an interactive terminal or in a notebook only.
"""

from __future__ import annotations

import builtins
import logging
import sys
from contextlib import AbstractContextManager, nullcontext, suppress

from voyage_rag.events import (
    Answered,
    AttemptSent,
    BatchSplit,
    Billed,
    Call,
    CallDone,
    CallFailed,
    Event,
    RequestEvent,
    RetryScheduled,
    Throttled,
    Unanswered,
)

LONG_WAIT_SECONDS = 5.0
"""Duration of a wait from which it is reported as a warning."""

SHOWN_EVERY_SECONDS = 5.0
"""Minimum interval between messages, because many requests of a job fail at the same time.
"""


class TerminalHandler(logging.Handler):
    """Shows warnings on a terminal or in a notebook if no other handler does."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, unless another one was shown recently."""
        if record.created - self._shown_at < SHOWN_EVERY_SECONDS or _has_other_handlers(self):
            return
        with suppress(OSError, ValueError):  # a terminal that was closed
            if _is_interactive():
                self._shown_at = record.created
                sys.stderr.write(f"voyage-rag: {record.getMessage()}\n")


def _is_interactive() -> bool:
    is_notebook = hasattr(builtins, "__IPYTHON__")
    return sys.stderr is not None and (is_notebook or sys.stderr.isatty())


def _has_other_handlers(handler: logging.Handler) -> bool:
    logger: logging.Logger | None = LOG
    while logger is not None:
        if any(other is not handler for other in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


LOG = logging.getLogger("voyage_rag.requests")
LOG.addHandler(TerminalHandler())


class RequestLog:
    """The observer that writes log records."""

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if isinstance(event, RetryScheduled):
            LOG.warning(
                "%s: attempt %d in %.2f s, because attempt %d failed: %s%s",
                _subject(event),
                event.attempt,
                event.delay,
                event.attempt - 1,
                event.reason,
                _named(event.request_id),
            )
        elif LOG.isEnabledFor(level := _level_of(event)):
            LOG.log(level, "%s: %s", _subject(event), _description(event))

    def within(self, call: Call) -> AbstractContextManager[object]:  # noqa: ARG002
        """Do nothing: log records need no context."""
        return nullcontext()


def _level_of(event: Event) -> int:
    """Return WARNING if a query waits long and no retry has announced this, otherwise DEBUG."""
    match event:
        case Throttled(attempt=1, is_query=True, seconds=float(s)) if s >= LONG_WAIT_SECONDS:
            return logging.WARNING
        case _:
            return logging.DEBUG


def _description(event: Event) -> str:  # noqa: PLR0911 - a line for each kind of event
    match event:
        case AttemptSent():
            return f"attempt {event.attempt} sent"
        case Answered():
            return (
                f"attempt {event.attempt}: HTTP {event.status} after {event.seconds:.3f} s"
                f"{_named(event.request_id)}"
            )
        case Unanswered():
            return f"attempt {event.attempt}: {event.error} after {event.seconds:.3f} s"
        case Throttled(seconds=None):
            return "waits for the account's rate limit"
        case Throttled():
            return f"waits {event.seconds:.2f} s for the account's rate limit"
        case BatchSplit():
            return f"{event.inputs} inputs do not fit into one request: split into {event.parts}"
        case Billed():
            return f"{event.inputs} inputs done, {event.usage.total_tokens} tokens"
        case CallDone():
            return f"done in {event.seconds:.3f} s: {event.usage}"
        case CallFailed():
            return f"failed in {event.seconds:.3f} s: {event.error}{_named(event.request_id)}"
        case _:
            return f"started, {'?' if event.call.inputs is None else event.call.inputs} inputs"


def _subject(event: Event) -> str:
    if isinstance(event, RequestEvent):
        carries = f" {event.model}, {event.inputs} inputs" if event.inputs else ""
        return f"{event.endpoint}{carries}"
    return f"{event.call.verb} {event.model}".strip()


def _named(request_id: str | None) -> str:
    return f" (request {request_id})" if request_id else ""
