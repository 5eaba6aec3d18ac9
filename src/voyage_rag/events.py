"""Events for observers: immutable facts about calls and requests, without texts and keys.

    Event
    ├── CallStarted           a verb has begun
    ├── CallDone              it has its result
    ├── CallFailed            it has an error, or was cancelled
    ├── BatchSplit            a request would be too large, and goes in parts
    ├── Billed                an answer was accepted: what it cost
    └── RequestEvent          one request of the call
        ├── Throttled         it waits for the account's limit
        ├── AttemptSent       it leaves
        ├── Answered          an HTTP answer is there, whatever its status
        ├── Unanswered        no answer came
        └── RetryScheduled    it will leave again

An observer is a function that takes an event:

    def observer(event: Event) -> None: ...

    Voyage(observers=[observer])

It is called where the work is done, in the caller's thread or event loop or in a worker thread, so
it should be quick, and it must be safe to call from several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from voyage_rag.usage import Usage

Verb: TypeAlias = Literal["embed", "contextualized_embed", "multimodal_embed", "rerank", "request"]
"""What a call does; `request` is everything that is none of the first four."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb, the same object in all its events.

    Attributes:
        number: Unique among the calls of this process.
        verb: What it does.
        model: The model asked for.
        host: The service's host name.
        port: Its port.
        inputs: Texts, documents or inputs given; None where they come one by one.
        dimension: Length of the vectors, None where there are none or it is not known.
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
    """Something that has happened in a call.

    Attributes:
        call: The call.
    """

    call: Call

    @property
    def model(self) -> str:
        """The model asked for."""
        return self.call.model


Observer: TypeAlias = Callable[[Event], object]
"""Receives every event; what it returns is ignored, what it raises is logged once."""


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A verb has begun: its arguments are checked, nothing is sent."""


@dataclass(frozen=True, slots=True)
class CallDone(Event):
    """A verb has its result.

    Attributes:
        usage: What it cost; nothing, where a cache knew everything.
        seconds: What it took.
    """

    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """A verb has an error, or was cancelled.

    Attributes:
        usage: What it cost until then.
        seconds: What it took until then.
        error: Name of the exception's class.
        status: HTTP status behind it, None without one.
        request_id: The service's name of the request, None without one.
    """

    usage: Usage
    seconds: float
    error: str
    status: int | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class BatchSplit(Event):
    """Inputs that were to go together are too much for one request, and go in parts.

    Attributes:
        inputs: How many there were.
        parts: In how many requests they go.
        status: HTTP status of the refusal; None where the account's limit was known to be less.
    """

    inputs: int
    parts: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Billed(Event):
    """An answer was accepted.

    Attributes:
        inputs: How many inputs are done with it.
        usage: What it cost.
    """

    inputs: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class RequestEvent(Event):
    """Something that has happened to one request.

    Attributes:
        endpoint: Its path, for example `/embeddings`.
        inputs: How many inputs it carries.
        attempt: 1 for its first attempt.
    """

    endpoint: str
    inputs: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Throttled(RequestEvent):
    """The account's limit makes it wait.

    Attributes:
        seconds: For how long; None while nobody knows, since the limit is being discovered.
        is_query: Whether somebody waits for it; else it is part of a job.
    """

    seconds: float | None
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class AttemptSent(RequestEvent):
    """It leaves."""


@dataclass(frozen=True, slots=True)
class Answered(RequestEvent):
    """An HTTP answer is there, whatever its status.

    Attributes:
        status: HTTP status.
        request_id: The service's `x-request-id`, None without one.
        seconds: From leaving to the last byte.
    """

    status: int
    request_id: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered(RequestEvent):
    """No answer came.

    Attributes:
        error: Name of the exception's class.
        seconds: From leaving until it was given up.
    """

    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RetryScheduled(RequestEvent):
    """It will leave again; `attempt` is the attempt to come.

    Attributes:
        delay: Seconds until then, as far as the account's limit is known.
        reason: Why the attempt before was not enough, in words of this package's own.
        error: Name of the exception's class.
        status: HTTP status of that attempt, None without one.
        request_id: The service's name of that attempt, None without one.
        retry_after: Seconds the service asked to wait, None if it did not.
    """

    delay: float
    reason: str
    error: str
    status: int | None
    request_id: str | None
    retry_after: float | None
