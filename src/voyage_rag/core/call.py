"""What all embedding endpoints have in common: a slice of inputs, recalled or asked for, halved.

A verb says how its inputs are written, read, kept and cut, as a `EndpointCall`; `sliced` is the
conversation.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from voyage_rag.core.failures import concerning, is_too_much
from voyage_rag.core.flow import CachePut, Emit, OperationInfo, cache_get
from voyage_rag.core.retry import retrying
from voyage_rag.errors import VoyageError
from voyage_rag.events import BatchSplit, Billed
from voyage_rag.types import Usage

if TYPE_CHECKING:
    from voyage_rag.core.budget import Budget
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.flow import Flow
    from voyage_rag.core.planning import Limits
    from voyage_rag.core.retry import RetryPolicy
    from voyage_rag.core.token_estimate import TokenRatio
    from voyage_rag.core.wire import Body, Embedded, EmbedOptions
    from voyage_rag.events import Verb
    from voyage_rag.hosts.messages import Request
    from voyage_rag.models import Model

MOST_INPUTS_OF_A_QUERY = 8

SLOW = 60.0
"""Seconds from which a person wants to know why, and how long."""


class RequestItem(Protocol):
    """What a request holds several of."""

    @property
    def key_of(self) -> Hashable:
        """Tells it from all others of the call."""

    @property
    def position(self) -> int:
        """The position of the input it is (a part of) in the caller's list."""

    @property
    def estimated_tokens(self) -> float:
        """What it weighs."""


Item = TypeVar("Item", bound=RequestItem)
Value = TypeVar("Value")


@dataclass(slots=True)
class PartialResults(Generic[Value]):
    """What has come in of one call.

    Attributes:
        expected: How many inputs there are.
        weight_left: What those weigh that are not there yet.
        values: What is there, by place.
        usage: What it cost.
        told: Whether the user knows that it takes long.
    """

    expected: int
    estimated_tokens_left: float
    values: dict[Hashable, Value] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    told: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, items: Sequence[RequestItem], values: Sequence[Value], usage: Usage) -> None:
        """Keep the values of one answer."""
        for item, value in zip(items, values, strict=True):
            self.values[item.key_of] = value
        with self._lock:
            self.estimated_tokens_left -= sum(item.estimated_tokens for item in items)
            self.usage += usage


@dataclass(frozen=True, slots=True)
class EndpointCall(ABC, Generic[Item, Value]):
    """One call of a verb: what holds for all its slices."""

    context: CallContext
    options: EmbedOptions
    row: Model
    budget: Budget
    ratio: TokenRatio

    def info(self, verb: Verb, inputs: int | None) -> OperationInfo:
        """What observers learn about it."""
        return OperationInfo(verb, self.row.name, inputs, self.options.expected_dimension)

    @abstractmethod
    def limits(self, count: int | None) -> Limits:
        """What the next request may hold, of so many inputs."""

    @abstractmethod
    def request(self, items: Sequence[Item]) -> Request:
        """What asks for these."""

    @abstractmethod
    def read(self, body: Body, items: Sequence[Item]) -> Embedded[Value]:
        """The answer to that, or `UnexpectedAnswerError`."""

    @abstractmethod
    def key(self, item: Item) -> bytes:
        """Under which the cache keeps its value."""

    @abstractmethod
    def to_bytes(self, value: Value) -> bytes:
        """A value as the cache keeps it."""

    @abstractmethod
    def from_bytes(self, stored: bytes) -> Value:
        """The value that was kept."""

    def done(self, items: Sequence[Item]) -> int:
        """How many of the caller's inputs are done when these are."""
        return len(items)

    def policy(self, partial_results: PartialResults[Value] | None) -> RetryPolicy:
        """That of queries where somebody waits for a few inputs, else that of jobs."""
        is_query = (
            self.options.input_type == "query"
            and partial_results is not None
            and partial_results.expected <= MOST_INPUTS_OF_A_QUERY
        )
        return self.context.query_policy if is_query else self.context.policy

    def tokens(self, estimated_tokens: float) -> int:
        """What so much weight is expected to cost."""
        return self.ratio.tokens(estimated_tokens)

    def learn(self, items: Sequence[Item], answer: Embedded[Value]) -> None:
        """Take note of what an answer cost."""
        unbilled = len(items) * bool(self.options.input_type)
        self.ratio.learn(
            sum(item.estimated_tokens for item in items), answer.total_tokens + unbilled
        )

    def cut(
        self,
        items: Sequence[Item],
        failure: VoyageError | None,  # noqa: ARG002 - others look at it
    ) -> list[Sequence[Item]]:
        """Smaller slices instead of one that is too large; none if it cannot be made smaller."""
        middle = len(items) // 2
        return [items[:middle], items[middle:]] if middle else []

    def blame(self, failure: VoyageError, items: Sequence[Item]) -> VoyageError:
        """The failure, with the caller's inputs it is about."""
        positions = [item.position for item in items]
        return concerning(
            failure, positions, [self.tokens(item.estimated_tokens) for item in items]
        )

    def is_too_much(self, failure: VoyageError, tokens: float) -> bool:
        """Whether a smaller request would be accepted."""
        return is_too_much(failure, self.budget.limiter, tokens)


def sliced(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    partial_results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    """The values of one slice, of the cache and of the service, in no particular order."""
    found: list[tuple[Item, Value]] = []
    if call.context.caching and items:
        found = yield from _recalled(call, items, partial_results)
        known = {item.key_of for item, _ in found}
        items = [item for item in items if item.key_of not in known]
    if items:
        found += yield from _requested(call, items, partial_results)
    return found


def _recalled(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    partial_results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    keys = [call.key(item) for item in items]
    stored = yield from cache_get(keys)
    hits = [
        (item, call.from_bytes(stored[key]))
        for item, key in zip(items, keys, strict=True)
        if key in stored
    ]
    call.context.recalled(call.done([item for item, _ in hits]))
    if partial_results is not None:
        partial_results.add([item for item, _ in hits], [value for _, value in hits], Usage())
    return hits


def _requested(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    partial_results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    """Ask the service; cut the slice for as long as it is too much for one request."""
    estimated_tokens = sum(item.estimated_tokens for item in items)
    tokens = call.tokens(estimated_tokens)
    tell_if_slow(call, partial_results)
    failure: VoyageError | None = None
    if len(items) == 1 or not call.budget.limiter.exceeds_minute_limit(tokens):
        try:
            return (yield from _answered(call, items, estimated_tokens, partial_results))
        except VoyageError as error:
            if not call.is_too_much(error, tokens):
                raise call.blame(error, items)  # noqa: B904 - the error itself, with its cause
            failure = error
    parts = call.cut(items, failure)
    if failure is not None and not parts:
        raise call.blame(failure, items)
    status = None if failure is None else failure.http_status
    yield Emit(partial(BatchSplit, inputs=len(items), parts=len(parts), status=status))
    found: list[tuple[Item, Value]] = []
    for part in parts:
        found += yield from sliced(call, part, partial_results)
    return found


def _answered(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    estimated_tokens: float,
    partial_results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    context = call.context
    read = partial(call.read, items=items)
    tokens = partial(call.tokens, estimated_tokens)
    answer = yield from retrying(
        call.request(items),
        read,
        context.host,
        call.policy(partial_results),
        call.budget.limiter,
        tokens,
    )
    call.learn(items, answer)
    usage = answer.usage.of(call.row.name)
    context.answered(call.done(items), usage)
    yield Emit(partial(Billed, inputs=len(items), usage=usage))
    if partial_results is not None:
        partial_results.add(items, answer.vectors, usage)
        tell_if_slow(call, partial_results)
    if context.caching:
        keys = map(call.key, items)
        yield CachePut(dict(zip(keys, map(call.to_bytes, answer.vectors), strict=True)))
    return list(zip(items, answer.vectors, strict=True))


def tell_if_slow(
    call: EndpointCall[Item, Value], partial_results: PartialResults[Value] | None
) -> None:
    """Say once that a rate limit makes this a matter of minutes."""
    limiter = call.budget.limiter
    if partial_results is None or partial_results.told or not limiter.known:
        return
    limits = call.limits(partial_results.expected)
    by_weight = round(partial_results.estimated_tokens_left / max(1.0, limits.estimated_tokens))
    by_count = round((partial_results.expected - len(partial_results.values)) / limits.inputs)
    requests = max(1, by_weight, by_count)
    seconds = limiter.limits.forecast(requests, call.tokens(partial_results.estimated_tokens_left))
    if seconds > SLOW:
        partial_results.told = True
        call.context.slowed(seconds, limiter.limits, call.row.name)
