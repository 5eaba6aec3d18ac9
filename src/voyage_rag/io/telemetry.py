"""Report the events of a call (see `voyage_rag.events`) to its observers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from math import isfinite

from voyage_rag.core.failures import request_id_of
from voyage_rag.core.flow import Attempt, OperationInfo
from voyage_rag.errors import APIConnectionError, RateLimitError, Timeout, VoyageError
from voyage_rag.events import (
    Answered,
    AttemptSent,
    Billed,
    Call,
    CallDone,
    CallFailed,
    CallStarted,
    Event,
    RetryScheduled,
    Throttled,
    Unanswered,
)
from voyage_rag.hosts.messages import Response
from voyage_rag.io.ports import Listener
from voyage_rag.locks import lock_for
from voyage_rag.usage import Usage

UNNUMBERED = 0
"""The number that calls have if only their retries are reported."""

_numbers = count(1)


class Telemetry:
    """The events of one call. A `number` of None is replaced by a unique one in this process."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        info: OperationInfo,
        host: str,
        port: int,
        now: Callable[[], float],
        number: int | None = None,
    ) -> None:
        self._listeners = listeners
        number = next(_numbers) if number is None else number
        self._call = Call(number, info.verb, info.model, host, port, info.inputs, info.dimension)
        self._now = now
        self._usage = Usage()
        self._lock = lock_for(self)

    @contextmanager
    def reporting(self, *, within: bool) -> Iterator[Telemetry]:
        """Report the start and the end of the call.

        With `within`, the call runs in the observers' contexts. This is not possible for an
        iterator, because the code of its consumer runs between its steps.
        """
        began = self._now()
        self.emit(CallStarted)
        try:
            with ExitStack() as contexts:
                for listener in self._listeners if within else ():
                    contexts.enter_context(listener.within(self._call))
                yield self
        except GeneratorExit:  # the consumer of an iterator has stopped
            self._done(began)
            raise
        except BaseException as error:
            known = error if isinstance(error, VoyageError) else VoyageError()
            self.emit(
                CallFailed,
                self._usage,
                self._now() - began,
                type(error).__name__,
                known.http_status,
                known.request_id,
            )
            raise
        self._done(began)

    @contextmanager
    def sending(self, attempt: Attempt) -> Iterator[Callable[[Response], Response]]:
        """Report that an attempt is sent, and its outcome.

        Yields:
            A function that takes the response and returns it.
        """
        self.emit(AttemptSent, *_facts(attempt))
        began = self._now()
        try:
            yield lambda response: self._answered(attempt, response, began)
        except BaseException as error:
            seconds = self._now() - began
            self.emit(Unanswered, *_facts(attempt), type(error).__name__, seconds)
            raise

    def retried(self, attempt: Attempt) -> None:
        """Report that an attempt was postponed because the previous one failed."""
        known = attempt.failure or VoyageError()
        self.emit(
            RetryScheduled,
            *_facts(attempt),
            attempt.delay,
            reason_of(attempt.failure),
            type(known).__name__,
            known.http_status,
            known.request_id,
            known.retry_after,
        )

    def throttled(self, attempt: Attempt) -> None:
        """Report, once per attempt, that it waits for the account's rate limit."""
        seconds = attempt.limit_delay()
        if seconds > 0 and not attempt.is_throttled:
            attempt.is_throttled = True
            known = seconds if isfinite(seconds) else None
            self.emit(Throttled, *_facts(attempt), known, attempt.hedge is not None)

    def emit(self, event: Callable[..., Event], *facts: object) -> None:
        """Create an event of the call with these fields, and pass it to every listener."""
        made = event(self._call, *facts)
        if isinstance(made, Billed):
            with self._lock:
                self._usage += made.usage
        for listener in self._listeners:
            listener(made)

    def _answered(self, attempt: Attempt, response: Response, began: float) -> Response:
        seconds = self._now() - began
        self.emit(Answered, *_facts(attempt), response.status, request_id_of(response), seconds)
        return response

    def _done(self, began: float) -> None:
        self.emit(CallDone, self._usage, self._now() - began)


def reason_of(failure: VoyageError | None) -> str:
    """Return why an attempt failed, without the message of the service, which may be anything."""
    if isinstance(failure, RateLimitError):
        return f"the rate limit (HTTP {failure.http_status})"
    if failure is not None and failure.http_status not in {None, 200}:
        return f"HTTP {failure.http_status}"
    if isinstance(failure, Timeout):
        return "no response in time"
    if isinstance(failure, APIConnectionError):
        cause = failure.__cause__
        return f"no response ({type(cause or failure).__name__})"
    return "an invalid response"


def _facts(attempt: Attempt) -> tuple[str, int, int]:
    return attempt.request.path, attempt.request.inputs, attempt.number
