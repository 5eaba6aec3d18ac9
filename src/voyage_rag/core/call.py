"""The steps of a call, for every endpoint: plan, request, split, cache, join.

Subclasses of `EndpointCall` implement what differs between endpoints. `fetch` is the flow of one
slice of items: from the cache, else from the service, in smaller requests if one is too large.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import ClassVar, Generic, TypeVar

from voyage_rag.core.cache_keys import CacheKeys
from voyage_rag.core.context import Budget, CallContext, TokenRatio
from voyage_rag.core.failures import is_too_large, with_positions
from voyage_rag.core.flow import (
    Advance,
    CacheGet,
    CachePut,
    Emit,
    Flow,
    NothingToSendError,
    OperationInfo,
    PartialResults,
    RequestItem,
)
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.planning import MIN_SPREAD_INPUTS, Limits, Rejected, slices
from voyage_rag.core.rate_limits import NO_LIMITS
from voyage_rag.core.repacking import PackedRequest, WaitingItems
from voyage_rag.core.retry import PlannedRequest, retrying
from voyage_rag.core.wire.responses import Body, Decoded
from voyage_rag.errors import RateLimitError, VoyageError
from voyage_rag.events import BatchSplit, Billed, Verb
from voyage_rag.hosts.messages import Request
from voyage_rag.models import Model
from voyage_rag.types import Vector
from voyage_rag.usage import NO_USAGE

MAX_QUERY_INPUTS = 8
"""Calls with more texts are jobs, such as an evaluation that embeds thousands of questions."""

SLOW_SECONDS, LONG_WAIT_SECONDS = 60.0, 5.0
"""Durations of a job and of a single wait from which a warning explains the reason."""

Item = TypeVar("Item", bound=RequestItem)
Value = TypeVar("Value")


class EndpointCall(ABC, Generic[Item, Value]):
    """One call of an endpoint, and the state that its requests share.

    Args:
        context: Shared with other calls.
        model: The catalogue's row of its model.
        options: The options of all inputs.
        max_inputs: Maximum number of inputs per request; None lets the plan decide.
        scope: Separates this kind of input from others in the cache.

    Attributes:
        progress: Receives progress (inputs done, tokens billed), or None.
        rejected: Its requests that a 429 rejected.
        ratio: Billed tokens per estimated token.
        max_size: Maximum total size of the items of a request (see `size`).
    """

    is_spread: ClassVar[bool] = True
    """Whether items are spread over as many requests as may be in flight."""

    def __init__(
        self,
        context: CallContext,
        model: Model,
        options: EmbedOptions,
        max_inputs: int | None = None,
        scope: tuple[object, ...] = (),
    ) -> None:
        self.context = context
        self.model = model
        self.options = options
        self.max_size: float = math.inf
        self.budget: Budget = context.budgets[model.name]
        if context.limits is not NO_LIMITS:
            self.budget.limiter.keep_to(context.limits)
        is_counted = context.count_tokens is not None
        self.ratio: TokenRatio = self.budget.exact_ratio if is_counted else self.budget.ratio
        self.progress: Advance | None = None
        self.rejected: Rejected = Rejected()
        self._max_inputs = max_inputs
        self._scope = scope

    @cached_property
    def cache_keys(self) -> CacheKeys:
        """The keys of its inputs in the cache."""
        return CacheKeys(self.context.host.cache_scope, self.options, *self._scope)

    # ── differences of endpoints ─────────────────────────────────────────────────────────────────

    @abstractmethod
    def request(self, items: Sequence[Item]) -> Request:
        """Return the request for these items."""

    @abstractmethod
    def read(self, body: Body, items: Sequence[Item]) -> Decoded[Value]:
        """Return the values in a response, one per item.

        Raises:
            UnexpectedAnswerError: The response does not contain exactly one valid value per item.
        """

    @abstractmethod
    def cache_key(self, item: Item) -> bytes:
        """Return the key of an item's value in the cache."""

    @abstractmethod
    def to_bytes(self, value: Value) -> bytes | None:
        """Return the cached form of a value; None if it is not cached."""

    @abstractmethod
    def from_bytes(self, stored: bytes) -> Value | None:
        """Return a cached value; None if it is invalid."""

    def size(self, item: Item) -> float:  # noqa: ARG002 - for endpoints that limit it
        """Return the size of an item, which counts towards `max_size`."""
        return 0.0

    def learn(self, items: Sequence[Item], total_tokens: int) -> None:
        """Improve the estimate. With a prompt, the service bills one token less per input."""
        unbilled = len(items) if self.options.input_type else 0
        self.ratio.learn(sum(item.estimated_tokens for item in items), total_tokens + unbilled)

    def finished_inputs(self, items: Sequence[Item]) -> int:
        """Return the number of the caller's inputs that are finished with these items."""
        return len(items)

    def split(
        self,
        items: Sequence[Item],
        failure: VoyageError | None,  # noqa: ARG002 - it may name an item
    ) -> list[Sequence[Item]]:
        """Divide a slice that is too large; return no slices if that is impossible."""
        middle = len(items) // 2
        return [items[:middle], items[middle:]] if middle else []

    def locate(self, failure: VoyageError, items: Sequence[Item]) -> VoyageError:
        """Return the failure with the positions of the caller's inputs."""
        tokens = [self.ratio.tokens(item.estimated_tokens) for item in items]
        return with_positions(failure, [item.key for item in items], tokens)  # type: ignore[misc]

    def is_oversized(self, failure: VoyageError, items: Sequence[Item]) -> bool:
        """Return whether a smaller request would be accepted, by its size or the rate limit."""
        is_limited = isinstance(failure, RateLimitError) and self.exceeds_minute_limit(items)
        return is_limited or is_too_large(failure)

    def is_query(self, expected: int) -> bool:
        """Return whether a call with this number of inputs is interactive, not a job."""
        return self.options.input_type == "query" and expected <= MAX_QUERY_INPUTS

    # ── common parts ──────────────────────────────────────────────────────────────────────────────

    def exceeds_minute_limit(self, items: Sequence[Item]) -> bool:
        """Return whether one request of these items exceeds the known limit of a whole minute."""
        limiter = self.budget.limiter
        return limiter.known and limiter.exceeds_minute_limit(
            self.ratio.tokens(sum(item.estimated_tokens for item in items))
        )

    def info(self, verb: Verb, inputs: int | None) -> OperationInfo:
        """Return facts about the call, for observers."""
        return OperationInfo(verb, self.model.name, inputs, self.options.expected_dimension)

    def limits(self, count: int | None, estimated_tokens: float = math.inf) -> Limits:
        """Return the limits of one request of a call with `count` inputs (None if unknown)."""
        rates = self.budget.limiter.limits
        tokens = self.model.request_tokens
        if rates is not NO_LIMITS:
            tokens = rates.tokens_of_a_request(tokens)
        inputs = min(self.model.request_inputs, self.context.host.request_inputs)
        inputs = min(inputs, self._max_inputs or inputs)
        limits = Limits(inputs, self.ratio.max_estimate(tokens), self.max_size)
        is_small = count is not None and count <= MIN_SPREAD_INPUTS
        if self._max_inputs or not self.is_spread or is_small:
            return limits
        return limits.spread(
            count, estimated_tokens, self.context.concurrency, rates.requests_per_minute
        )

    def slices(
        self, items: Iterable[Item], count: int | None, estimated_tokens: float = math.inf
    ) -> Iterator[Sequence[Item]]:
        """Return the items of each request, in order; see `limits`."""
        limits = partial(self.limits, count, estimated_tokens)
        if isinstance(items, deque) and self.max_size == math.inf:  # most calls are one request
            tokens, most = sum(item.estimated_tokens for item in items), limits()
            if 0 < len(items) <= most.inputs and tokens <= most.estimated_tokens:
                return iter([list(items)])
        size = None if self.max_size == math.inf else self.size
        return slices(items, limits, size)

    def flows(self, items: Iterable[Item], results: PartialResults[Value]) -> Iterator[Flow[None]]:
        """Return one flow per request, in order, which adds its values to the results."""
        waiting, count, tokens = None, results.expected, results.estimated_tokens_left
        results.has_warned = self.is_query(count)  # the log reports the waits of queries
        if count > MIN_SPREAD_INPUTS:
            limits = partial(self.limits, count, tokens)
            waiting = WaitingItems(limits, self.size, self.budget.limiter)
        for slice_ in self.slices(items, count, tokens):
            yield fetch(self, slice_, results, waiting)

    def advance(self, inputs: int, tokens: int = 0) -> None:
        """Report progress."""
        if self.progress is not None:
            self.progress(inputs, tokens)

    def warn_if_zero(self, vectors: Iterable[Vector]) -> None:
        """Warn about a vector of zeros, which has no direction."""
        if self.options.dtype == "float" and not all(map(any, vectors)):
            self.context.warn_zero_vector(self.model.name)

    def warn_if_slow(self, results: PartialResults[Value]) -> None:
        """Warn once if a known rate limit makes a job wait or take minutes."""
        limiter = self.budget.limiter
        if results.has_warned or not limiter.known:
            return
        inputs, left = results.expected - len(results.values), results.estimated_tokens_left
        requests = self.limits(results.expected, left).requests_for(inputs, left)
        seconds = limiter.limits.forecast(requests, self.ratio.tokens(left))
        wait = limiter.allowed_in(self.ratio.tokens(left / requests), is_query=False)
        if inputs > 0 and (seconds > SLOW_SECONDS or wait > LONG_WAIT_SECONDS):
            results.has_warned = True
            self.context.warn_slow(max(seconds, wait), limiter.limits, self.model.name)


def fetch(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value],
    waiting: WaitingItems[Item] | None = None,
) -> Flow[None]:
    """Add the values of one slice to the results, from the cache or the service.

    Raises:
        VoyageError: An item has no value. `indices` has its position.
    """
    if call.context.has_cache:
        items = yield from _uncached(call, items, results)
    if items:
        yield from _request(call, items, results, waiting)


def _uncached(
    call: EndpointCall[Item, Value], items: Sequence[Item], results: PartialResults[Value]
) -> Flow[list[Item]]:
    """Add cached values to the results, and return the other items."""
    keys = list(map(call.cache_key, items))
    stored: Mapping[bytes, bytes] = yield CacheGet(keys)
    found: list[Item] = []
    values: list[Value] = []
    others: list[Item] = []
    for item, key in zip(items, keys, strict=True):
        if key in stored and (value := call.from_bytes(stored[key])) is not None:
            found.append(item)
            values.append(value)
        else:
            others.append(item)
    call.advance(call.finished_inputs(found))
    results.add(found, values, NO_USAGE)
    return others


def _request(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value],
    waiting: WaitingItems[Item] | None,
) -> Flow[None]:
    """Request the values. Split the slice if it is too much for one request."""
    own, failure = items, None
    call.warn_if_slow(results)
    if len(items) == 1 or not call.exceeds_minute_limit(items):
        context = call.context
        policy = context.query_policy if call.is_query(results.expected) else context.policy
        planned = (
            PlannedRequest(items, call.request(items), call.ratio.tokens)
            if waiting is None
            else PackedRequest(items, call.request, call.ratio.tokens, waiting)
        )
        try:
            answer = yield from retrying(
                planned,
                lambda body: call.read(body, planned.items),
                context.host,
                policy,
                call.budget.limiter,
                call.rejected,
            )
        except NothingToSendError:
            return
        except VoyageError as error:
            items = planned.withdraw()
            if not call.is_oversized(error, items):
                raise call.locate(error, items)  # noqa: B904 - the error itself, with its cause
            failure = error
        else:
            yield from _accept(call, planned.items, answer, results)
            items = ()
    if items:
        yield from _divide(call, items, results, failure)
    if waiting is not None and (left := waiting.take(own)):
        yield from _request(call, left, results, waiting)


def _divide(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    results: PartialResults[Value],
    failure: VoyageError | None,
) -> Flow[None]:
    """Request items in smaller requests."""
    parts = call.split(items, failure)
    if failure is not None and not parts:
        raise call.locate(failure, items)
    status = failure.http_status if failure else None
    yield Emit(partial(BatchSplit, inputs=len(items), parts=len(parts), status=status))
    for part in parts:
        yield from fetch(call, part, results)


def _accept(
    call: EndpointCall[Item, Value],
    items: Sequence[Item],
    answer: Decoded[Value],
    results: PartialResults[Value],
) -> Flow[None]:
    """Record and cache the values of a response."""
    call.learn(items, answer.total_tokens)
    usage = answer.usage(call.model.name)
    call.context.record(usage)
    call.advance(call.finished_inputs(items), usage.total_tokens)
    yield Emit(partial(Billed, inputs=len(items), usage=usage))
    results.add(items, answer.values, usage)
    call.warn_if_slow(results)
    if call.context.has_cache:
        keys, values = map(call.cache_key, items), map(call.to_bytes, answer.values)
        yield CachePut({k: v for k, v in zip(keys, values, strict=True) if v is not None})
