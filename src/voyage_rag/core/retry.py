"""What is worth another try, and when.

`retrying` turns a request into a flow that sends it until it is answered soundly, must not be sent
again, or has used up its attempts or its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeVar

from voyage_rag.core.failures import failure_of, request_id_of
from voyage_rag.core.flow import Attempt, send
from voyage_rag.core.rate_limits import limits_named
from voyage_rag.core.wire import parse
from voyage_rag.errors import (
    APIConnectionError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    VoyageError,
)

if TYPE_CHECKING:
    from voyage_rag.core.flow import Flow
    from voyage_rag.core.rate_limiter import Estimate, RateLimiter
    from voyage_rag.core.wire import Body
    from voyage_rag.hosts.host import Host
    from voyage_rag.hosts.messages import Request, Response

DEFAULT_RETRIES = 6
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 32.0
DOUBLINGS = 6

WORTH_ANOTHER_TRY = (APIConnectionError, RateLimitError, ServerError, UnexpectedAnswerError)
"""An embedding changes nothing at the service, so a lost answer may be asked for again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try.

    Attributes:
        max_retries: Further attempts after the first, for whatever reason. None means 6, and for
            a rate limit as many as `total_timeout` allows: a limit passes.
        timeout: Seconds one attempt may take.
        total_timeout: Seconds for all attempts and the waits between them, None for no limit.
        chance: Gives a number from 0 to 1, so that clients do not come back all at once.
        wall_clock: Seconds since the epoch, to read a Retry-After that is a date.
    """

    max_retries: int | None
    timeout: float
    total_timeout: float | None
    chance: Callable[[], float]
    wall_clock: Callable[[], float]

    def backoff(self, failure: VoyageError, attempts: int) -> float:
        """Seconds to wait after so many failed attempts.

        Doubles from half a second to 32, with jitter downward. A Retry-After is waited out in full,
        with jitter upward.
        """
        if failure.retry_after is not None:
            return failure.retry_after + 0.25 * self.chance()
        delay = FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts - 1, DOUBLINGS)
        return min(delay, LONGEST_BACKOFF_SECONDS) * (1 - 0.25 * self.chance())

    def allows(self, failure: VoyageError, attempts: int, spent: float) -> bool:
        """Whether to try again after so many attempts, having spent so many seconds."""
        return (
            isinstance(failure, WORTH_ANOTHER_TRY)
            and not isinstance(failure, QuotaExhaustedError)
            and attempts <= self._most_retries(failure)
            and (self.total_timeout is None or spent < self.total_timeout)
        )

    def time_left(self, spent: float) -> float:
        """Seconds the next attempt may take."""
        if self.total_timeout is None:
            return self.timeout
        return min(self.timeout, self.total_timeout - spent)

    def _most_retries(self, failure: VoyageError) -> float:
        if self.max_retries is not None:
            return self.max_retries
        return inf if isinstance(failure, RateLimitError) else DEFAULT_RETRIES


class HasTotal(Protocol):
    """An answer that says what it cost."""

    @property
    def total_tokens(self) -> int:
        """Tokens billed."""


Billed = TypeVar("Billed", bound=HasTotal)


def retrying(
    request: Request,
    read: Callable[[Body], Billed],
    host: Host,
    policy: RetryPolicy,
    limiter: RateLimiter,
    tokens: Estimate,
) -> Flow[Billed]:
    """Send a request until `read` accepts a response.

    Time spent waiting for the rate limit does not count towards the total timeout.

    Args:
        request: What to send.
        read: Makes the result of a body, or raises `UnexpectedAnswerError`.
        host: Who is asked, and knows what errors mean.
        policy: How hard to try.
        limiter: The budget's.
        tokens: What the request is expected to cost; asked when it is about to leave.

    Raises:
        VoyageError: The last failure, with the number of attempts.
    """
    attempts, spent, delay = 0, 0.0, 0.0
    failure: VoyageError | None = None
    while True:
        reservation = limiter.reserve(tokens, delay)
        attempts += 1
        try:
            response = yield from send(
                Attempt(
                    request,
                    policy.time_left(spent),
                    reservation.wait,
                    attempts,
                    failure,
                    delay,
                    reservation.held,
                )
            )
            failure = failure_of(request, response, host, policy.wall_clock)
            if failure is None:
                result = _read(read, request, response, host)
                reservation.accepted(result.total_tokens)
                return result
        except (APIConnectionError, UnexpectedAnswerError) as error:
            failure = error
        finally:
            reservation.cancel()
        delay = policy.backoff(failure, attempts)
        spent += reservation.age() + delay
        if isinstance(failure, RateLimitError):
            reservation.refused(failure.retry_after, limits_named(failure.message))
            if limiter.exceeds_minute_limit(tokens()):
                raise _after(failure, attempts)
        if not policy.allows(failure, attempts, spent):
            raise _after(failure, attempts)


def _after(failure: VoyageError, attempts: int) -> VoyageError:
    failure.attempts = attempts
    if isinstance(failure, UnexpectedAnswerError):
        failure.message += (
            " (a gateway or proxy may spoil answers: `voyage-rag doctor` says what is in between)"
        )
    return failure


def _read(
    read: Callable[[Body], Billed], request: Request, response: Response, host: Host
) -> Billed:
    try:
        if host.rewrites_responses:
            return read(host.decode(request, parse(response.body)))
        return read(response.body)
    except UnexpectedAnswerError as error:
        error.model = request.model
        error.http_status = response.status
        error.request_id = request_id_of(response)
        raise
