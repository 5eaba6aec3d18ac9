"""Flows and their effects. Nothing here does I/O or knows a clock.

A `Flow` is a generator that decides: it yields an effect, is sent the effect's result, and returns
its own result. There are five effects. An `Attempt` is answered with a `Response`, or has an
`APIConnectionError` thrown into the flow; `CacheGet` and `CachePut` are for the cache; `Offload` is
work that must not block an event loop; `Emit` is for observers. `voyage_rag.io.driver` runs flows.

An attempt says how long it still has to wait each time it is asked, so that a rate limit met by one
request slows the others that are already waiting for their turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from voyage_rag.hosts.messages import Request
from voyage_rag.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    from voyage_rag.errors import VoyageError
    from voyage_rag.events import Call, Event, Verb

T = TypeVar("T")
Part = TypeVar("Part")
Result = TypeVar("Result")


def _at_once() -> float:
    return 0.0


@dataclass(eq=False, slots=True)
class Attempt:
    """A request, and the answer to "how many seconds until it may leave?".

    Attributes:
        request: What to send.
        timeout: Seconds it may take from leaving to the last byte of its answer, known when it
            leaves.
        wait: Asked before sending and again after every wait; 0 means go. It raises a
            `RateLimitError` if there is no time to wait.
        number: 1 for the first attempt of a request, 2 for its first repetition.
        failure: Why the attempt before this one was not enough.
        delay: Seconds until it may leave, as things were after that.
        held: How many seconds the account's limit, and nothing else, makes it wait as things are.
        hedge: Asked when there is no response yet: whether the limit has room to send it a second
            time. None for what is part of a job, and sent once.
        limits_silence: Whether `timeout` is instead the seconds that may pass without a byte, as
            where it moves a file.
        is_throttled: Whether observers know that the limit makes it wait.
    """

    request: Request
    timeout: float
    wait: Callable[[], float] = _at_once
    number: int = 1
    failure: VoyageError | None = None
    delay: float = 0.0
    held: Callable[[], float] = _at_once
    hedge: Callable[[], bool] | None = None
    limits_silence: bool = False
    is_throttled: bool = False


@dataclass(frozen=True, slots=True)
class CacheGet:
    """Read the cache: answered with a mapping of the keys that it holds."""

    keys: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CachePut:
    """Write to the cache, before anything else is done."""

    entries: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Offload:
    """Run a function that may take a while: answered with its result."""

    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Emit:
    """Emit an event to observers.

    Attributes:
        event: Makes the event, of the call it is about.
    """

    event: Callable[[Call], Event]


Effect: TypeAlias = Attempt | CacheGet | CachePut | Offload | Emit

Advance: TypeAlias = Callable[[int, int], None]
"""Receives progress: how many more inputs are done, and how many tokens they cost."""

Flow: TypeAlias = Generator[Effect, Any, T]
"""A generator of effects that returns a T."""


def cache_get(keys: Sequence[bytes]) -> Flow[Mapping[bytes, bytes]]:
    """Read the cache; returns a mapping of the keys that it holds."""
    found: Mapping[bytes, bytes] = yield CacheGet(keys)
    return found


def offload(do: Callable[[], T]) -> Flow[T]:
    """Run a function that may take a while, and return its result."""
    done: T = yield Offload(do)
    return done


class NothingToSendError(Exception):
    """A waiting attempt is no longer needed: its items were sent with other requests."""


class RequestItem(Protocol):
    """An element of a request: a text, a document, an input."""

    @property
    def key(self) -> Hashable:
        """Distinguishes it from the other items of the call; a position in the caller's list."""

    @property
    def estimated_tokens(self) -> float:
        """Its tokens before the ratio of the model is applied."""


@dataclass(slots=True)
class PartialResults(Generic[Part]):
    """Results that a call has received so far.

    Attributes:
        expected: How many inputs there are.
        estimated_tokens_left: Tokens of the inputs that have no value yet.
        values: The values that were received, by key.
        usage: What they cost.
        has_warned: Whether no warning that the call takes long is due.
        repeats: For an input the key of the next one that is equal, which gets its value as soon as
            that comes: the same array, or a copy of a list, made while requests are in flight.
    """

    expected: int
    estimated_tokens_left: float
    values: dict[Hashable, Part] = field(default_factory=dict)
    usage: Usage = NO_USAGE
    has_warned: bool = False
    repeats: Mapping[Any, Hashable] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, items: Sequence[RequestItem], values: Sequence[Part], usage: Usage) -> None:
        """Keep the values of one response."""
        for item, value in zip(items, values, strict=True):
            self.values[item.key] = value
            key = self.repeats.get(item.key)
            while key is not None:
                self.values[key] = copy(value) if isinstance(value, list) else value
                key = self.repeats.get(key)
        with self._lock:
            self.estimated_tokens_left -= sum(item.estimated_tokens for item in items)
            self.usage = usage if self.usage is NO_USAGE else self.usage + usage


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """What observers learn about an operation.

    Attributes:
        verb: The client's method.
        model: Name of the model.
        inputs: How many inputs it has, None where they come one by one.
        dimension: Length of the vectors, None where there are none or it is not known.
    """

    verb: Verb = "request"
    model: str = ""
    inputs: int | None = None
    dimension: int | None = None


@dataclass(frozen=True, slots=True)
class Operation(Generic[Part, Result]):
    """Independent flows, and the pure function that joins their parts in the order of the flows.

    Attributes:
        flows: May be lazy: a driver takes the next one only when it may start.
        join: Makes the result of all parts.
        partial: Returns what is finished at this moment, for the error of an operation that fails.
        info: What observers learn about it.
    """

    flows: Iterable[Flow[Part]]
    join: Callable[[Sequence[Part]], Result]
    partial: Callable[[], object] | None = None
    info: OperationInfo = OperationInfo()
