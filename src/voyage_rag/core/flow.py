"""Flows and their effects, without I/O or a clock.

A `Flow` is a generator that decides: it yields an effect, is sent the effect's result, and returns
its own result. There are five effects. An `Attempt` is answered with a `Response`, or has an
`APIConnectionError` thrown into the flow; `CacheGet` and `CachePut` are for the cache; `Offload` is
work that must not block an event loop; `Emit` is for observers. `voyage_rag.io.driver` runs flows.

An attempt returns its remaining delay on each call, so a rate limit that one request reaches also
slows the requests that are already waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from voyage_rag.errors import VoyageError
from voyage_rag.events import Call, Event, Verb
from voyage_rag.hosts.messages import Request
from voyage_rag.usage import NO_USAGE, Usage

T = TypeVar("T")
Part = TypeVar("Part")
Result = TypeVar("Result")
K = TypeVar("K", bound=Hashable)


def _at_once() -> float:
    return 0.0


@dataclass(eq=False, slots=True)
class Attempt:
    """A request, and a function that returns the seconds until it may be sent.

    Attributes:
        request: The request.
        timeout: Seconds from sending to the last byte of the response, determined on sending.
        wait: Called before sending and again after every delay; 0 means to send. Raises a
            `RateLimitError` if the delay would exceed the timeout.
        number: 1 for the first attempt of a request, 2 for the first retry.
        failure: Why the previous attempt failed.
        delay: Seconds until it may be sent, as estimated after that failure.
        limit_delay: Returns the seconds for which the account's limit alone delays it.
        hedge: Called if there is no response yet: returns whether the limit allows sending it a
            second time. None for jobs, whose requests are sent once.
        limits_silence: Whether `timeout` limits the seconds without a byte instead, as for files.
        is_throttled: Whether observers know that the limit delays it.
    """

    request: Request
    timeout: float
    wait: Callable[[], float] = _at_once
    number: int = 1
    failure: VoyageError | None = None
    delay: float = 0.0
    limit_delay: Callable[[], float] = _at_once
    hedge: Callable[[], bool] | None = None
    limits_silence: bool = False
    is_throttled: bool = False


@dataclass(frozen=True, slots=True)
class CacheGet:
    """Read the cache: the result is a mapping of the keys that it contains."""

    keys: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CachePut:
    """Write to the cache, before anything else is done."""

    entries: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Offload:
    """Run a function that may take a while. The result is that of the function.

    Attributes:
        do: The function.
        is_coroutine: Whether it is a coroutine function, which only async drivers can run.
    """

    do: Callable[[], Any]
    is_coroutine: bool = False


@dataclass(frozen=True, slots=True)
class Emit:
    """Emit an event, which is created for the call, to observers."""

    event: Callable[[Call], Event]


Effect: TypeAlias = Attempt | CacheGet | CachePut | Offload | Emit

Advance: TypeAlias = Callable[[int, int], None]
"""Receives progress: the number of further finished inputs, and their tokens."""

Flow: TypeAlias = Generator[Effect, Any, T]
"""A generator of effects that returns a T."""


def offload(do: Callable[[], T]) -> Flow[T]:
    """Run a function that may take a while, and return its result."""
    done: T = yield Offload(do)
    return done


class NothingToSendError(Exception):
    """A waiting attempt is no longer needed, because other requests have sent its items."""


class HasTokens(Protocol):
    """What counts towards the tokens of a request."""

    @property
    def estimated_tokens(self) -> float:
        """Tokens before the ratio of the model is applied."""


class RequestItem(HasTokens, Protocol):
    """An element of a request: a text, a document, an input."""

    @property
    def key(self) -> Hashable:
        """Position in the caller's list, which identifies the item in the call."""


@dataclass(slots=True)
class PartialResults(Generic[Part]):
    """Results that a call has received so far.

    Attributes:
        expected: Number of inputs.
        estimated_tokens_left: Tokens of the inputs without a value.
        values: The received values by the key of their item.
        usage: Their usage.
        has_warned: Whether a warning about the duration is no longer due.
        repeats: For an input, the key of the next equal one, which receives its value: the same
            array, or a copy of a list that is made while requests are in flight.
    """

    expected: int
    estimated_tokens_left: float
    values: dict[Any, Part] = field(default_factory=dict)
    usage: Usage = NO_USAGE
    has_warned: bool = False
    repeats: Mapping[Any, Hashable] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, items: Sequence[RequestItem], values: Sequence[Part], usage: Usage) -> None:
        """Add the values of one response."""
        for item, value in zip(items, values, strict=True):
            self.values[item.key] = value
            key = self.repeats.get(item.key)
            while key is not None:
                self.values[key] = copy(value) if isinstance(value, list) else value
                key = self.repeats.get(key)
        with self._lock:
            self.estimated_tokens_left -= sum(item.estimated_tokens for item in items)
            self.usage = usage if self.usage is NO_USAGE else self.usage + usage


def distinct(inputs: Iterable[K]) -> tuple[dict[K, int], dict[int, int]]:
    """Return the first position of each input, and after each position that of the next equal one.

    The second dictionary is that of `PartialResults.repeats`.
    """
    first: dict[K, int] = {}
    last: dict[K, int] = {}
    next_equal: dict[int, int] = {}
    for position, each in enumerate(inputs):
        if each in last:
            next_equal[last[each]] = position
        else:
            first[each] = position
        last[each] = position
    return first, next_equal


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """The facts about an operation for observers.

    Attributes:
        inputs: Number of inputs; None for a stream.
        dimension: Length of the vectors; None if it is unknown or there are none.
    """

    verb: Verb = "request"
    model: str = ""
    inputs: int | None = None
    dimension: int | None = None


@dataclass(frozen=True, slots=True)
class Operation(Generic[Part, Result]):
    """Independent flows, and the pure function that combines their parts in order.

    Attributes:
        flows: The flows. An iterator may be lazy: a driver takes the next one only to start it.
        join: Combines all parts to the result.
        partial: Returns the results so far, for the error of an operation that fails.
        info: The facts for observers.
    """

    flows: Iterable[Flow[Part]]
    join: Callable[[Sequence[Part]], Result]
    partial: Callable[[], object] | None = None
    info: OperationInfo = OperationInfo()

    def add_partial(self, error: BaseException) -> None:
        """Attach the finished results, which are billed, to an error, Ctrl-C or cancellation."""
        if self.partial is not None and getattr(error, "partial", None) is None:
            finished = self.partial()
            with suppress(AttributeError):  # some errors, such as frozen ones, refuse attributes
                error.partial = finished  # type: ignore[attr-defined]
