"""The events that observers receive: facts about calls and requests, never a text or a key.

    Event
    ├── CallStarted           a method was called
    ├── CallDone              the call has returned a result
    ├── CallFailed            the call has failed or was cancelled
    ├── BatchSplit            a request was too large and is split
    ├── Billed                a response was accepted, with its usage
    └── RequestEvent          an event of one request of the call
        ├── Throttled         the request waits for the account's rate limit
        ├── AttemptSent       an attempt is sent
        ├── Answered          an HTTP response has arrived, whatever its status
        ├── Unanswered        there was no response
        └── RetryScheduled    the request will be sent again

An observer is a function with one argument:

    def observer(event: Event) -> None: ...

    Voyage(observers=[observer])

It is called in the caller's thread or event loop, or in a worker thread. It should be fast and must
be thread-safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from voyage_rag.usage import Usage

Verb: TypeAlias = Literal["embed", "contextualized_embed", "multimodal_embed", "rerank", "request"]
"""The method of a call; `request` for files, batches and other requests."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method. All events of the call refer to the same object.

    Attributes:
        number: Number of the call in this process.
        verb: The method.
        model: The model of the call.
        host: Host name of the service.
        port: Port of the service.
        inputs: Number of texts, documents or inputs; None for a stream.
        dimension: Length of the vectors, or None if there are none or it is unknown.
    """

    number: int
    verb: Verb
    model: str
    host: str
    port: int
    inputs: int | None
    dimension: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a call.

    Attributes:
        call: The call.
    """

    call: Call

    @property
    def model(self) -> str:
        """The model of the call."""
        return self.call.model


Observer: TypeAlias = Callable[[Event], object]
"""Receives every event. Its return value is ignored; the first exception it raises is logged."""


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """The arguments of a call were checked. Nothing has been sent."""


@dataclass(frozen=True, slots=True)
class CallDone(Event):
    """A call has returned a result.

    Attributes:
        usage: The usage of the call; zero if the cache had all results.
        seconds: Duration of the call.
    """

    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """A call has failed or was cancelled.

    Attributes:
        usage: The usage up to the failure.
        seconds: Duration up to the failure.
        error: Name of the exception class.
        status: HTTP status that caused the failure, or None.
        request_id: The service's id of the request, or None.
    """

    usage: Usage
    seconds: float
    error: str
    status: int | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class BatchSplit(Event):
    """Inputs were too many or too large for one request and are sent in several.

    Attributes:
        inputs: Number of inputs.
        parts: Number of requests.
        status: HTTP status of the rejected request; None if the account's limit was already known.
    """

    inputs: int
    parts: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Billed(Event):
    """A response was accepted.

    Attributes:
        inputs: Number of inputs that it completed.
        usage: Its usage.
    """

    inputs: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class RequestEvent(Event):
    """An event of one request.

    Attributes:
        endpoint: Path of the endpoint, for example `/embeddings`.
        inputs: Number of inputs in the request.
        attempt: Number of the attempt, from 1.
    """

    endpoint: str
    inputs: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Throttled(RequestEvent):
    """The request waits for the account's rate limit.

    Attributes:
        seconds: Duration of the wait; None while the limit is being discovered.
        is_query: Whether a user is waiting for the request; otherwise it belongs to a job.
    """

    seconds: float | None
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class AttemptSent(RequestEvent):
    """An attempt is sent."""


@dataclass(frozen=True, slots=True)
class Answered(RequestEvent):
    """An HTTP response has arrived, whatever its status.

    Attributes:
        status: HTTP status.
        request_id: The service's `x-request-id`, or None.
        seconds: Time from sending to the last byte of the response.
    """

    status: int
    request_id: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered(RequestEvent):
    """There was no response.

    Attributes:
        error: Name of the exception class.
        seconds: Time from sending to the failure.
    """

    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RetryScheduled(RequestEvent):
    """The request will be sent again; `attempt` is the number of the next attempt.

    Attributes:
        delay: Seconds until then, including the known rate limit of the account.
        reason: Why the previous attempt failed, in this package's words.
        error: Name of the exception class.
        status: HTTP status of the previous attempt, or None.
        request_id: The service's id of the previous attempt, or None.
        retry_after: Seconds that the service asked to wait, or None.
    """

    delay: float
    reason: str
    error: str
    status: int | None
    request_id: str | None
    retry_after: float | None
