"""Requests, through Python's own logging: a retry is a WARNING, everything else DEBUG.

The logger is `voyage_rag.requests`, a child of `voyage_rag`. It prints nothing until an application
sets up logging, however many retries there are.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from voyage_rag.events import (
    Answered,
    AttemptSent,
    BatchSplit,
    Billed,
    CallDone,
    CallFailed,
    RequestEvent,
    RetryScheduled,
    Throttled,
    Unanswered,
)

if TYPE_CHECKING:
    from voyage_rag.events import Call, Event

LOG = logging.getLogger("voyage_rag.requests")
LOG.addHandler(logging.NullHandler())


def wants_everything() -> bool:
    """Whether somebody reads more than retries."""
    return LOG.isEnabledFor(logging.DEBUG)


class Log:
    """The observer that writes them."""

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, RetryScheduled):
            LOG.warning(
                "%s: attempt %d in %.2f s, since attempt %d met %s%s",
                _subject(event),
                event.attempt,
                event.delay,
                event.attempt - 1,
                event.reason,
                _named(event.request_id),
            )
        elif LOG.isEnabledFor(logging.DEBUG) and (told := _told(event)):
            LOG.debug("%s: %s", _subject(event), told)

    def within(self, call: Call) -> AbstractContextManager[object]:  # noqa: ARG002
        """Nothing."""
        return nullcontext()


def _told(event: Event) -> str:  # noqa: PLR0911 - a line for each kind of event
    match event:
        case AttemptSent():
            return f"attempt {event.attempt} sent"
        case Answered():
            return (
                f"attempt {event.attempt} answered {event.status} in {event.seconds:.3f} s"
                f"{_named(event.request_id)}"
            )
        case Unanswered():
            return f"attempt {event.attempt} not answered in {event.seconds:.3f} s: {event.error}"
        case Throttled(seconds=None):
            return "waits for the account's rate limit"
        case Throttled():
            return f"waits {event.seconds:.2f} s for the account's rate limit"
        case BatchSplit():
            return f"{event.inputs} inputs are too much for one request, and go in {event.parts}"
        case Billed():
            return f"{event.inputs} inputs done, {event.usage.total_tokens} tokens"
        case CallDone():
            return f"done in {event.seconds:.3f} s: {event.usage}"
        case CallFailed():
            return f"failed in {event.seconds:.3f} s: {event.error}{_named(event.request_id)}"
        case _:
            return f"begins, {'?' if event.call.inputs is None else event.call.inputs} inputs"


def _subject(event: Event) -> str:
    if isinstance(event, RequestEvent):
        carries = f" {event.model}, {event.inputs} inputs" if event.inputs else ""
        return f"{event.endpoint}{carries}"
    return f"{event.call.verb} {event.model}".strip()


def _named(request_id: str | None) -> str:
    return f" (request {request_id})" if request_id else ""
