"""Makes events of what happens, for whoever observes.

Three degrees: nobody is told anything (`Telemetry`), only of retries (`RetryWatch`, which costs
nothing while all is well), and of everything (`FullWatch`, which makes a `CallWatch` for each
call).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Protocol

from voyage_rag.core.failures import request_id_of
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
from voyage_rag.locks import Lock
from voyage_rag.types import Usage

if TYPE_CHECKING:
    from voyage_rag.core.flow import Attempt, OperationInfo
    from voyage_rag.hosts.messages import Response
    from voyage_rag.io.call_state import ThreadCallState
    from voyage_rag.io.driver import Sender


class Listener(Protocol):
    """An observer that raises nothing."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def within(self, call: Call) -> AbstractContextManager[object]:
        """What the call is to run in."""


class Telemetry:
    """Tells nobody."""

    def call(self, about: OperationInfo, *, at_once: bool) -> AbstractContextManager[Telemetry]:  # noqa: ARG002
        """While a call runs, what watches it.

        Args:
            about: What it is.
            at_once: Whether it runs in one go, so that it can run within an observer's context; an
                iterator must not, since its consumer's code runs between its steps.
        """
        return nullcontext(self)

    def sending(self, sender: Sender) -> Sender:
        """What sends attempts, and tells of it."""
        return sender

    def retried(self, attempt: Attempt) -> None:
        """An attempt is put off, since the one before it was not enough."""

    def waits(self, attempt: Attempt) -> None:
        """An attempt may not leave yet."""

    def tell(self, event: Callable[[Call], Event]) -> None:
        """Something else has happened."""


UNWATCHED = Telemetry()


class RetryWatch(Telemetry):
    """Tells of retries alone.

    Args:
        listeners: Whom to tell.
        host: Of the service.
        port: Its port.
    """

    def __init__(self, listeners: Sequence[Listener], host: str, port: int) -> None:
        self._listeners = listeners
        self._host = host
        self._port = port

    def retried(self, attempt: Attempt) -> None:
        """See `Telemetry`."""
        call = Call(0, "request", attempt.request.model, self._host, self._port, None, None)
        _tell(self._listeners, _retry(call, attempt))


class FullWatch(Telemetry):
    """Tells of everything.

    Args:
        listeners: Whom to tell.
        host: Of the service.
        port: Its port.
        now: The clock.
    """

    _numbers = count(1)

    def __init__(
        self, listeners: Sequence[Listener], host: str, port: int, now: Callable[[], float]
    ) -> None:
        self._listeners = listeners
        self._host = host
        self._port = port
        self._now = now

    @contextmanager
    def call(self, about: OperationInfo, *, at_once: bool) -> Iterator[Telemetry]:
        """See `Telemetry`."""
        call = Call(
            next(self._numbers),
            about.verb,
            about.model,
            self._host,
            self._port,
            about.inputs,
            about.dimension,
        )
        telemetry = CallWatch(call, self._listeners, self._now)
        began = self._now()
        telemetry.tell(CallStarted)
        try:
            with ExitStack() as contexts:
                for listener in self._listeners if at_once else ():
                    contexts.enter_context(listener.within(call))
                yield telemetry
        except GeneratorExit:  # the consumer of an iterator has had enough
            telemetry.done(self._now() - began)
            raise
        except BaseException as error:
            telemetry.failed(error, self._now() - began)
            raise
        telemetry.done(self._now() - began)


class CallWatch(Telemetry):
    """Tells of one call."""

    def __init__(self, call: Call, listeners: Sequence[Listener], now: Callable[[], float]) -> None:
        self._call = call
        self._listeners = listeners
        self._now = now
        self._usage = Usage()
        self._held: set[int] = set()
        self._lock = Lock()

    def sending(self, sender: Sender) -> Sender:
        """See `Telemetry`."""
        return WatchedSender(sender, self, self._now)

    def retried(self, attempt: Attempt) -> None:
        """See `Telemetry`."""
        _tell(self._listeners, _retry(self._call, attempt))

    def waits(self, attempt: Attempt) -> None:
        """See `Telemetry`. Told once for each attempt that the account's limit holds."""
        seconds = attempt.held()
        if seconds <= 0 or id(attempt) in self._held:
            return
        self._held.add(id(attempt))
        known = seconds if isfinite(seconds) else None
        self.tell(lambda call: Throttled(call, *_facts(attempt), seconds=known))

    def leaves(self, attempt: Attempt) -> None:
        """An attempt is sent."""
        self._held.discard(id(attempt))
        self.tell(lambda call: AttemptSent(call, *_facts(attempt)))

    def answered(self, attempt: Attempt, response: Response, seconds: float) -> None:
        """There is an answer."""
        self.tell(
            lambda call: Answered(
                call,
                *_facts(attempt),
                status=response.status,
                request_id=request_id_of(response),
                seconds=seconds,
            )
        )

    def unanswered(self, attempt: Attempt, error: BaseException, seconds: float) -> None:
        """There is none."""
        name = type(error).__name__
        self.tell(lambda call: Unanswered(call, *_facts(attempt), error=name, seconds=seconds))

    def tell(self, event: Callable[[Call], Event]) -> None:
        """See `Telemetry`."""
        made = event(self._call)
        if isinstance(made, Billed):
            with self._lock:
                self._usage += made.usage
        _tell(self._listeners, made)

    def done(self, seconds: float) -> None:
        """The call has its result."""
        self.tell(lambda call: CallDone(call, self._usage, seconds))

    def failed(self, error: BaseException, seconds: float) -> None:
        """The call has an error."""
        known = error if isinstance(error, VoyageError) else VoyageError()
        self.tell(
            lambda call: CallFailed(
                call,
                self._usage,
                seconds,
                type(error).__name__,
                known.http_status,
                known.request_id,
            )
        )


class WatchedSender:
    """Sends, and tells of it."""

    def __init__(self, sender: Sender, telemetry: CallWatch, now: Callable[[], float]) -> None:
        self._sender = sender
        self._watch = telemetry
        self._now = now

    def send(self, attempt: Attempt, abort: ThreadCallState) -> Response:
        """See `Sender`."""
        with self._told(attempt) as answered:
            return answered(self._sender.send(attempt, abort))

    async def asend(self, attempt: Attempt) -> Response:
        """See `Sender`."""
        with self._told(attempt) as answered:
            return answered(await self._sender.asend(attempt))

    @contextmanager
    def _told(self, attempt: Attempt) -> Iterator[Callable[[Response], Response]]:
        self._watch.leaves(attempt)
        began = self._now()
        try:
            response: list[Response] = []

            def answered(given: Response) -> Response:
                response.append(given)
                return given

            yield answered
        except BaseException as error:
            self._watch.unanswered(attempt, error, self._now() - began)
            raise
        self._watch.answered(attempt, response[0], self._now() - began)


def reason_of(failure: VoyageError | None) -> str:
    """Why an attempt was not enough, without a word that came from elsewhere.

    What the service or a gateway says may hold anything; it is in the error that is raised at last.
    """
    if isinstance(failure, RateLimitError):
        return f"the rate limit (HTTP {failure.http_status})"
    if failure is not None and failure.http_status not in {None, 200}:
        return f"HTTP {failure.http_status}"
    if isinstance(failure, Timeout):
        return "no answer in time"
    if isinstance(failure, APIConnectionError):
        cause = failure.__cause__
        return f"no answer ({type(cause or failure).__name__})"
    return "an unsound answer"


def _retry(call: Call, attempt: Attempt) -> RetryScheduled:
    failure = attempt.failure
    known = failure or VoyageError()
    return RetryScheduled(
        call,
        *_facts(attempt),
        delay=attempt.delay,
        reason=reason_of(failure),
        error=type(known).__name__,
        status=known.http_status,
        request_id=known.request_id,
        retry_after=known.retry_after,
    )


def _facts(attempt: Attempt) -> tuple[str, int, int]:
    return attempt.request.path, attempt.request.inputs, attempt.number


def _tell(listeners: Sequence[Listener], event: Event) -> None:
    for listener in listeners:
        listener(event)
