"""Decide when a request is retried.

`retrying` returns a flow that sends a request until its response is usable, it must not be sent
again, or its attempts or its time are used up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Generic, TypeVar

from voyage_rag.core.failures import (
    MAX_RETRY_AFTER_SECONDS,
    OK,
    add_notes,
    error_text,
    failure_in_success,
    failure_of,
    is_persistent,
    late,
    request_id_of,
)
from voyage_rag.core.flow import Attempt, Flow, NothingToSendError, RequestItem
from voyage_rag.core.planning import Rejected
from voyage_rag.core.rate_limiter import RateLimiter, Reservation
from voyage_rag.core.rate_limits import limits_in_message
from voyage_rag.core.waiting_line import ASK_AGAIN_SECONDS
from voyage_rag.core.wire.responses import Body, Decoded, parse
from voyage_rag.errors import (
    APIConnectionError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response

DEFAULT_RETRIES = 6
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 32.0
DOUBLINGS = 6

RETRIED = (APIConnectionError, RateLimitError, ServerError, UnexpectedAnswerError)
"""Embedding changes nothing at the service, so a request with a lost response is retried."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits on the attempts of a request.

    Attributes:
        max_retries: Number of retries for any reason. None means 6, and as many as `total_timeout`
            allows for a 429.
        timeout: Seconds per attempt.
        total_timeout: Seconds for all attempts, the delays between them and the wait for the rate
            limit. None disables the limit.
        chance: Returns a number from 0 to 1, so that clients do not retry at the same time.
        wall_clock: Returns the seconds since the epoch, for a Retry-After with a date.
        is_query: Whether the request is interactive; otherwise it is part of a job.
    """

    max_retries: int | None
    timeout: float
    total_timeout: float | None
    chance: Callable[[], float]
    wall_clock: Callable[[], float]
    is_query: bool = False

    def for_queries(self, max_retries: int, total_timeout: float | None) -> RetryPolicy:
        """Return the policy of interactive requests, with these additional limits."""
        timeouts = [it for it in (total_timeout, self.total_timeout) if it is not None]
        return replace(
            self,
            max_retries=max_retries
            if self.max_retries is None
            else min(max_retries, self.max_retries),
            total_timeout=min(timeouts, default=None),
            is_query=True,
        )

    def backoff(self, failure: VoyageError, attempts: int) -> float:
        """Return the delay in seconds after this number of failed attempts.

        It doubles from half a second to 32 seconds, with downward jitter. A Retry-After is obeyed
        in full, with upward jitter.
        """
        if failure.retry_after is not None:
            return failure.retry_after + 0.25 * self.chance()
        delay = FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts - 1, DOUBLINGS)
        return min(delay, MAX_BACKOFF_SECONDS) * (1 - 0.25 * self.chance())

    def allows(self, failure: VoyageError, attempts: int, spent: float) -> bool:
        """Return whether to retry after this number of attempts and seconds."""
        return (
            isinstance(failure, RETRIED)
            and not isinstance(failure, QuotaExhaustedError)
            and attempts <= self._most_retries(failure)
            and (self.total_timeout is None or spent < self.total_timeout)
            and (failure.retry_after or 0.0) <= MAX_RETRY_AFTER_SECONDS
        )

    def time_left(self, spent: float) -> float:
        """Return the seconds that the next attempt may take."""
        if self.total_timeout is None:
            return self.timeout
        return min(self.timeout, self.total_timeout - spent)

    def _most_retries(self, failure: VoyageError) -> float:
        if self.max_retries is not None:
            return self.max_retries
        return inf if isinstance(failure, RateLimitError) else DEFAULT_RETRIES


Item = TypeVar("Item", bound=RequestItem)
Value = TypeVar("Value")


class PlannedRequest(Generic[Item]):
    """A request, and its items. A subclass may determine both when the request is sent.

    Attributes:
        items: The items.
        request: The request.
    """

    def __init__(
        self, items: Sequence[Item], request: Request, tokens_of: Callable[[float], int]
    ) -> None:
        self.items: Sequence[Item] = items
        self.request: Request = request
        self._tokens_of = tokens_of

    @property
    def is_needed(self) -> bool:
        """Whether it has items that no other request has sent."""
        return True

    def tokens(self) -> int:
        """Return its expected tokens."""
        return self._tokens_of(sum(item.estimated_tokens for item in self.items))

    def take(self) -> Request:
        """Return the request to send, or raise a `NothingToSendError`."""
        return self.request

    def put_back(self) -> None:
        """Prepare for the next attempt after a 429."""

    def withdraw(self) -> Sequence[Item]:
        """Return its items, which will not be sent."""
        return self.items


def retrying(
    planned: PlannedRequest[Any],
    read: Callable[[Body], Decoded[Value]],
    host: Host,
    policy: RetryPolicy,
    limiter: RateLimiter,
    rejected: Rejected,
) -> Flow[Decoded[Value]]:
    """Send a request until `read` accepts a response.

    Raises:
        VoyageError: The last failure, with the number of attempts.
        NothingToSendError: Other requests have sent its items.
    """
    attempts = Attempts(planned, policy, limiter, rejected)
    while True:
        attempt = attempts.next()
        try:
            response: Response = yield attempt
            if response.status == OK:
                return attempts.accept(_read(read, planned.request, response, host))
            failure: VoyageError = failure_of(planned.request, response, host, policy.wall_clock)
        except RateLimitError as error:  # the limit allows no request within the timeout
            raise attempts.final_failure(error)  # noqa: B904 - the error itself
        except APIConnectionError as error:
            failure = error
        except UnexpectedAnswerError as error:
            named = failure_in_success(planned.request, response, host, policy.wall_clock)
            failure = named or error
        finally:
            attempts.reservation.cancel()
            if rejected.first is attempts:
                rejected.first = None
        attempts.prepare_retry(failure)


class Attempts:
    """The attempts to send one request, and the time they take.

    The total timeout starts when the request first asks to be sent. A job asks for one request
    after another, so the job as a whole may wait for a limit without a timeout. After a 429, the
    timeout therefore starts again when the service accepts another request of the call.

    Attributes:
        reservation: The reservation of the current attempt.
    """

    def __init__(
        self,
        planned: PlannedRequest[Any],
        policy: RetryPolicy,
        limiter: RateLimiter,
        rejected: Rejected,
    ) -> None:
        self._planned = planned
        self._policy = policy
        self._limiter = limiter
        self._rejected = rejected
        self._sent = 0
        self._delay = self._due = 0.0
        self._failure: VoyageError | None = None
        self._began: float | None = None
        self._hedged: Reservation | None = None

    def next(self) -> Attempt:
        """Return the next attempt, after the backoff."""
        policy = self._policy
        self._due = self._limiter.now() + self._delay
        self.reservation: Reservation = self._limiter.reserve(
            self._planned.tokens, self._delay, is_query=policy.is_query
        )
        self._attempt = Attempt(
            self._planned.request,
            policy.timeout,
            self._wait,
            self._sent + 1,
            self._failure,
            self._allowed_in() if isinstance(self._failure, RateLimitError) else self._delay,
            self.reservation.limit_delay,
            self._hedge if policy.is_query else None,
        )
        return self._attempt

    def accept(self, result: Decoded[Value]) -> Decoded[Value]:
        """Report the billed tokens. A request that was sent twice is billed twice."""
        self.reservation.record_accepted(result.total_tokens)
        self._rejected.accepted_at = self._limiter.now()
        if self._hedged is None:
            return result
        self._hedged.record_accepted(result.total_tokens)
        return replace(result, times_billed=2)

    def prepare_retry(self, failure: VoyageError) -> None:
        """Determine the delay of the next attempt. Raise the last failure if there is none."""
        self._failure = failure
        self._delay = wait = self._policy.backoff(failure, self._sent)
        if isinstance(failure, RateLimitError):
            asked = failure.retry_after or 0.0
            delay = asked if asked <= MAX_RETRY_AFTER_SECONDS else None
            self.reservation.record_refused(delay, limits_in_message(failure.message))
            self._planned.put_back()
            tokens, is_divisible = self._planned.tokens(), len(self._planned.items) > 1
            if self._limiter.exceeds_minute_limit(tokens, self._sent * is_divisible):
                failure.is_too_large = is_divisible
                raise self.final_failure(failure)
            wait = self._allowed_in()
        spent = self._spent() + wait
        may_recover = self._limiter.has_accepted and not self._policy.is_query
        if is_persistent(failure, self._sent, spent, may_recover) or not self._policy.allows(
            failure, self._sent, spent
        ):
            raise self.final_failure(failure)

    def final_failure(self, failure: VoyageError) -> VoyageError:
        """Return the error to raise: the last failure with the outcome of the request."""
        failure = self._failure or failure
        failure.attempts = self._sent
        self.reservation.cancel()
        add_notes(failure, self._allowed_in())
        return failure

    def _wait(self) -> float:
        """Return the seconds until the attempt may be sent or should ask again.

        Raises:
            RateLimitError: The limit allows no request within the total timeout.
            NothingToSendError: Its items were sent with other requests.
        """
        if not self._planned.is_needed:
            raise NothingToSendError
        if isinstance(self._failure, RateLimitError) and not self._limiter.is_open:
            if (backoff := self._due - self._limiter.now()) > 0:
                return backoff
            self._rejected.first = self._rejected.first or self
            if self._rejected.first is not self:
                return ASK_AGAIN_SECONDS
        delay = self.reservation.wait()
        if self._began is None:
            self._began = self.reservation.asked_at
        spent = self._spent()
        if delay <= 0:
            if self._rejected.first is self:
                self._rejected.first = None
            self._sent += 1
            self._attempt.timeout = self._policy.time_left(spent)
            self._attempt.request = self._planned.take()
        elif (total := self._policy.total_timeout) is not None:
            limit_delay = self.reservation.limit_delay()
            if spent >= total or (limit_delay < inf and spent + limit_delay > total):
                raise late(self._limiter.limits, total, self._planned.request.model)
        return delay

    def _hedge(self) -> bool:
        """Return whether the limit allows sending the attempt again; if so, it is counted."""
        hedged = self._limiter.reserve(self._planned.tokens, is_query=True)
        if hedged.wait() > 0:
            hedged.cancel()
            return False
        self._hedged = hedged
        return True

    def _spent(self) -> float:
        if self._began is None:
            return 0.0
        is_limited = isinstance(self._failure, RateLimitError)
        began = max(self._began, self._rejected.accepted_at) if is_limited else self._began
        return self._limiter.now() - began

    def _allowed_in(self) -> float:
        """Return the seconds until the next attempt, by the backoff and the limit."""
        delay = self._limiter.allowed_in(self._planned.tokens(), is_query=self._policy.is_query)
        return max(delay, self._delay)


def _read(
    read: Callable[[Body], Decoded[Value]], request: Request, response: Response, host: Host
) -> Decoded[Value]:
    try:
        if type(host).decode is Host.decode:
            return read(response.body)
        return read(host.decode(request, parse(response.body)))
    except UnexpectedAnswerError as error:
        error.model = request.model
        error.http_status = response.status
        error.request_id = request_id_of(response)
        if text := error_text(response, host):
            error.message += f"; the response says: {text}"
            error.is_from_elsewhere = True
        response.distrust()
        raise
