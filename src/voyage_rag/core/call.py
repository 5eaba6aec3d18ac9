"""The life of a call, for every endpoint: plan, request, split, cache, join.

`EndpointCall` is what endpoints differ in; `fetch` is the flow of one slice of a call's items: from
the cache, else from the service, in smaller requests where one is too large.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from voyage_rag.core.cache_keys import CacheKeys
from voyage_rag.core.failures import concerning, is_too_much
from voyage_rag.core.flow import CachePut, Emit, OperationInfo, cache_get
from voyage_rag.core.planning import Limits, pack
from voyage_rag.core.retry import retrying
from voyage_rag.errors import VoyageError
from voyage_rag.events import BatchSplit, Billed
from voyage_rag.types import PartialEmbeddings, Usage, compact

if TYPE_CHECKING:
    from voyage_rag.core.context import CallContext
    from voyage_rag.core.flow import Flow
    from voyage_rag.core.options import EmbedOptions
    from voyage_rag.core.wire import Body, Decoded
    from voyage_rag.events import Verb
    from voyage_rag.hosts.messages import Request
    from voyage_rag.models import Model
    from voyage_rag.progress import Advance
    from voyage_rag.types import Row

MAX_QUERY_INPUTS = 8
"""More texts than these are a job, even as queries: an evaluation embeds thousands of questions."""

SLOW_SECONDS = 60.0
"""From this on a person wants to know why a call is slow, and for how long."""


class RequestItem(Protocol):
    """What a request holds several of."""

    @property
    def key(self) -> Hashable:
        """Distinguishes it from the other items of the call; a position in the caller's list."""

    @property
    def estimated_tokens(self) -> float:
        """Its tokens before the ratio of the model is applied."""


Item = TypeVar("Item", bound=RequestItem)
Value = TypeVar("Value")


@dataclass(slots=True)
class PartialResults(Generic[Value]):
    """What a call has received so far.

    Attributes:
        expected: How many inputs there are.
        estimated_tokens_left: Tokens of the inputs that have no value yet.
        values: The values that were received, by key.
        usage: What they cost.
        has_warned: Whether the user knows that the call takes long.
    """

    expected: int
    estimated_tokens_left: float
    values: dict[Hashable, Value] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    has_warned: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, items: Sequence[RequestItem], values: Sequence[Value], usage: Usage) -> None:
        """Keep the values of one response."""
        for item, value in zip(items, values, strict=True):
            self.values[item.key] = value
        with self._lock:
            self.estimated_tokens_left -= sum(item.estimated_tokens for item in items)
            self.usage += usage


class EndpointCall(ABC, Generic[Item, Value]):
    """One call of an endpoint: what holds for all its requests.

    Args:
        context: What it shares with other calls.
        model: The catalogue's row of its model.
        advance: Receives progress: inputs done, tokens billed.
        max_inputs: Inputs of one request, None for as many as the plan allows.

    Attributes:
        max_size: The sizes of the items of one request together, at most (see `size`).
    """

    is_spread: ClassVar[bool] = True
    """Whether items are spread over as many requests as may be in flight."""

    def __init__(
        self,
        context: CallContext,
        model: Model,
        advance: Advance | None = None,
        max_inputs: int | None = None,
    ) -> None:
        self.context = context
        self.model = model
        self.max_size = math.inf
        self.budget = context.budget(model.name)
        self.ratio = self.budget.ratio if context.count_tokens is None else self.budget.exact_ratio
        self._advance = advance
        self._max_inputs = max_inputs

    # ── what endpoints differ in ──────────────────────────────────────────────────────────────────

    @abstractmethod
    def request(self, items: Sequence[Item]) -> Request:
        """The request for these items."""

    @abstractmethod
    def read(self, body: Body, items: Sequence[Item]) -> Decoded[Value]:
        """The values in a response, one per item.

        Raises:
            UnexpectedAnswerError: It does not hold exactly one valid value per item.
        """

    @abstractmethod
    def cache_key(self, item: Item) -> bytes:
        """The key of an item's value in the cache."""

    @abstractmethod
    def to_bytes(self, value: Value) -> bytes | None:
        """A value as it is cached, None for one that is not."""

    @abstractmethod
    def from_bytes(self, stored: bytes) -> Value:
        """The value that was cached."""

    def size(self, item: Item) -> float:  # noqa: ARG002 - for endpoints that limit it
        """What an item adds to `max_size`."""
        return 0.0

    def tokens(self, estimated_tokens: float) -> int:
        """The tokens that will be billed, as far as is known."""
        return self.ratio.tokens(estimated_tokens)

    def learn(self, items: Sequence[Item], total_tokens: int) -> None:
        """Improve the estimate by what a response cost."""
        self.ratio.learn(sum(item.estimated_tokens for item in items), total_tokens)

    def done(self, items: Sequence[Item]) -> int:
        """How many of the caller's inputs are done with these items."""
        return len(items)

    def split(
        self,
        items: Sequence[Item],
        failure: VoyageError | None,  # noqa: ARG002 - it may name an item
    ) -> list[Sequence[Item]]:
        """Smaller slices instead of one that is too large; none if it cannot be made smaller."""
        middle = len(items) // 2
        return [items[:middle], items[middle:]] if middle else []

    def concerning(self, failure: VoyageError, items: Sequence[Item]) -> VoyageError:
        """The failure, with the positions of the caller's inputs."""
        tokens = [self.tokens(item.estimated_tokens) for item in items]
        return concerning(failure, [item.key for item in items], tokens)  # type: ignore[misc]

    def is_too_much(self, failure: VoyageError, tokens: float) -> bool:
        """Whether a smaller request would be accepted."""
        return is_too_much(failure, self.budget.limiter, tokens)

    def is_query(self, expected: int) -> bool:  # noqa: ARG002 - of so many inputs
        """Whether somebody waits for the result; else it is a job."""
        return False

    # ── what they have in common ──────────────────────────────────────────────────────────────────

    def info(self, verb: Verb, inputs: int | None) -> OperationInfo:
        """What observers learn about it."""
        return OperationInfo(verb, self.model.name, inputs)

    def limits(self, count: int | None) -> Limits:
        """What the next request may hold, of so many inputs; None if their number is not known."""
        tokens = self.model.request_tokens
        if per_minute := self.budget.limiter.limits.tokens_per_minute:
            tokens = min(tokens, int(per_minute))
        inputs = min(self.model.request_inputs, self.context.host.request_inputs)
        estimated_tokens = self.max_estimated_tokens(tokens)
        if self._max_inputs is not None:
            return Limits(min(inputs, self._max_inputs), estimated_tokens, self.max_size)
        limits = Limits(inputs, estimated_tokens, self.max_size)
        return limits.spread(count, self.context.concurrency) if self.is_spread else limits

    def max_estimated_tokens(self, tokens: int) -> float:
        """The estimate of inputs that are billed so many tokens."""
        return self.ratio.max_estimate(tokens)

    def slices(self, items: Iterable[Item], count: int | None) -> Iterator[Sequence[Item]]:
        """The items of each request, in order.

        Args:
            items: What to plan. A deque is emptied on the way, so that texts can be freed.
            count: How many there are, None where nobody knows.
        """
        if isinstance(items, Sequence) and self._is_one_request(items):
            yield list(items)
            return
        if isinstance(items, deque):
            items = _emptied(items)
        weighed = ((item, item.estimated_tokens) for item in items)
        sizes = () if self.max_size == math.inf else (self.size,)
        for slice_ in pack(weighed, lambda: self.limits(count), *sizes):
            yield [item for item, _ in slice_]

    def _is_one_request(self, items: Sequence[Item]) -> bool:
        limits = self.limits(len(items))
        return (
            0 < len(items) <= limits.inputs
            and sum(item.estimated_tokens for item in items) <= limits.estimated_tokens
            and (self.max_size == math.inf or sum(map(self.size, items)) <= self.max_size)
        )

    def flows(
        self, items: Iterable[Item], results: PartialResults[Value]
    ) -> Iterator[Flow[list[tuple[Item, Value]]]]:
        """One flow per request, in order."""
        for slice_ in self.slices(items, results.expected):
            yield fetch(self, slice_, results)

    def advance(self, inputs: int, tokens: int = 0) -> None:
        """Report progress."""
        if self._advance is not None:
            self._advance(inputs, tokens)

    def warn_if_slow(self, results: PartialResults[Value] | None) -> None:
        """Warn once if a known rate limit makes this a matter of minutes."""
        limiter = self.budget.limiter
        if results is None or results.has_warned or not limiter.known:
            return
        limits = self.limits(results.expected)
        by_tokens = round(results.estimated_tokens_left / max(1.0, limits.estimated_tokens))
        by_count = round((results.expected - len(results.values)) / limits.inputs)
        requests = max(1, by_tokens, by_count)
        seconds = limiter.limits.forecast(requests, self.tokens(results.estimated_tokens_left))
        if seconds > SLOW_SECONDS:
            results.has_warned = True
            self.context.warn_slow(seconds, limiter.limits, self.model.name)


def _emptied(items: deque[Item]) -> Iterator[Item]:
    while items:
        yield items.popleft()


class VectorCall(EndpointCall[Item, Value]):
    """A call whose values are vectors.

    Args:
        context: What it shares with other calls.
        model: The catalogue's row of its model.
        options: What holds for every input.
        advance: Receives progress.
        max_inputs: Inputs of one request.
        scope: What keeps this kind of input apart from others in the cache.
    """

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        advance: Advance | None = None,
        max_inputs: int | None = None,
        scope: tuple[object, ...] = (),
    ) -> None:
        super().__init__(context, model, advance, max_inputs)
        self.options = options
        self._scope = scope

    @cached_property
    def cache_keys(self) -> CacheKeys:
        """The keys of its inputs in the cache."""
        return CacheKeys(self.context.host.cache_scope, self.options, *self._scope)

    def learn(self, items: Sequence[Item], total_tokens: int) -> None:
        """Improve the estimate. With a prompt the service bills one token less for each input."""
        unbilled = len(items) * bool(self.options.input_type)
        super().learn(items, total_tokens + unbilled)

    def is_query(self, expected: int) -> bool:
        """Whether somebody waits for the vectors of a few queries."""
        return self.options.input_type == "query" and expected <= MAX_QUERY_INPUTS

    def info(self, verb: Verb, inputs: int | None) -> OperationInfo:
        """What observers learn about it."""
        return OperationInfo(verb, self.model.name, inputs, self.options.expected_dimension)

    def partial(
        self, values: Mapping[Hashable, Row], count: int, usage: Usage
    ) -> PartialEmbeddings:
        """The vectors that were received of `count` inputs."""
        dtype = self.options.dtype
        found = {i: compact(values[i], dtype) for i in range(count) if i in values}
        missing = tuple(i for i in range(count) if i not in found)
        return PartialEmbeddings(found, missing, usage, self.model.name)


def fetch(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value] | None = None,
) -> Flow[list[tuple[Item, Value]]]:
    """The values of one slice, from the cache and the service, in no particular order.

    Raises:
        VoyageError: The service gave no value for an item; `indices` says for which.
    """
    found: list[tuple[Item, Value]] = []
    if call.context.has_cache:
        found = yield from _cached(call, items, results)
        known = {item.key for item, _ in found}
        items = [item for item in items if item.key not in known]
    if items:
        found += yield from _requested(call, items, results)
    return found


def _cached(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    keys = list(map(call.cache_key, items))
    stored = yield from cache_get(keys)
    found = [
        (item, call.from_bytes(stored[key]))
        for item, key in zip(items, keys, strict=True)
        if key in stored
    ]
    known = [item for item, _ in found]
    call.advance(call.done(known))
    if results is not None:
        results.add(known, [value for _, value in found], Usage())
    return found


def _requested(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    """Request the values; split the slice for as long as it is too much for one request."""
    estimated_tokens = sum(item.estimated_tokens for item in items)
    tokens = call.tokens(estimated_tokens)
    call.warn_if_slow(results)
    failure: VoyageError | None = None
    if len(items) == 1 or not call.budget.limiter.exceeds_minute_limit(tokens):
        context = call.context
        is_query = results is not None and call.is_query(results.expected)
        try:
            answer = yield from retrying(
                call.request(items),
                partial(call.read, items=items),
                context.host,
                context.query_policy if is_query else context.policy,
                call.budget.limiter,
                partial(call.tokens, estimated_tokens),
            )
            return (yield from _accepted(call, items, answer, results))
        except VoyageError as error:
            if not call.is_too_much(error, tokens):
                raise call.concerning(error, items)  # noqa: B904 - the error itself, with its cause
            failure = error
    parts = call.split(items, failure)
    if failure is not None and not parts:
        raise call.concerning(failure, items)
    status = None if failure is None else failure.http_status
    yield Emit(partial(BatchSplit, inputs=len(items), parts=len(parts), status=status))
    found: list[tuple[Item, Value]] = []
    for part in parts:
        found += yield from fetch(call, part, results)
    return found


def _accepted(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    answer: Decoded[Value],
    results: PartialResults[Value] | None,
) -> Flow[list[tuple[Item, Value]]]:
    """Record and cache the values of a response."""
    call.learn(items, answer.total_tokens)
    usage = answer.usage(call.model.name)
    call.context.record(usage)
    call.advance(call.done(items), usage.total_tokens)
    yield Emit(partial(Billed, inputs=len(items), usage=usage))
    if results is not None:
        results.add(items, answer.values, usage)
        call.warn_if_slow(results)
    if call.context.has_cache:
        keys, values = map(call.cache_key, items), map(call.to_bytes, answer.values)
        yield CachePut({k: v for k, v in zip(keys, values, strict=True) if v is not None})
    return list(zip(items, answer.values, strict=True))
