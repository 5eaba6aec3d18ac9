"""What is worth another try, and when.

`retrying` turns a request into a flow that sends it until it is answered soundly, must not be sent
again, or has used up its attempts or its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from voyage_rag.core.failures import failure_of
from voyage_rag.core.http import Attempt
from voyage_rag.errors import (
    APIConnectionError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    VoyageError,
)

if TYPE_CHECKING:
    from voyage_rag.core.http import Flow, Request, Response
    from voyage_rag.core.pacing import Pace

T = TypeVar("T")

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 32.0
DOUBLINGS = 6
RATE_LIMIT_PATIENCE = 2.0  # a rate-limit window is a minute: start at a second

WORTH_ANOTHER_TRY = (APIConnectionError, RateLimitError, ServerError, UnexpectedAnswerError)
"""An embedding changes nothing at the service, so a lost answer may be asked for again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try.

    Attributes:
        max_retries: Further attempts after the first.
        timeout: Seconds one attempt may take.
        total_timeout: Seconds for all attempts and the waits between them, None for no limit.
        chance: Gives a number from 0 to 1, so that clients do not come back all at once.
        wall_clock: Seconds since the epoch, to read a Retry-After that is a date.
    """

    max_retries: int
    timeout: float
    total_timeout: float | None
    chance: Callable[[], float]
    wall_clock: Callable[[], float]

    def backoff(self, failure: VoyageError, attempts: int) -> float:
        """Seconds to wait after so many failed attempts.

        Doubles from half a second to 32 (from one second after a 429, whose window is a minute),
        with jitter downward. A Retry-After is waited out in full, with jitter upward.
        """
        if failure.retry_after is not None:
            return failure.retry_after + 0.25 * self.chance()
        patience = RATE_LIMIT_PATIENCE if isinstance(failure, RateLimitError) else 1.0
        delay = FIRST_BACKOFF * patience * 2.0 ** min(attempts - 1, DOUBLINGS)
        return min(delay, LONGEST_BACKOFF) * (1 - 0.25 * self.chance())

    def allows(self, failure: VoyageError, attempts: int, spent: float) -> bool:
        """Whether to try again after so many attempts, having spent so many seconds."""
        return (
            isinstance(failure, WORTH_ANOTHER_TRY)
            and not isinstance(failure, QuotaExhaustedError)
            and attempts <= self.max_retries
            and (self.total_timeout is None or spent < self.total_timeout)
        )

    def time_left(self, spent: float) -> float:
        """Seconds the next attempt may take."""
        return self.timeout if self.total_timeout is None else min(
            self.timeout, self.total_timeout - spent
        )  # fmt: skip


def retrying(
    request: Request, read: Callable[[bytes], T], policy: RetryPolicy, pace: Pace
) -> Flow[T]:
    """Send a request until `read` accepts an answer.

    Time spent waiting for a turn under a rate limit does not count towards the total timeout.

    Raises:
        VoyageError: The last failure, with the number of attempts.
    """
    attempts, spent, delay = 0, 0.0, 0.0
    failure: VoyageError | None = None
    while True:
        turn = pace.book(delay)
        attempts += 1
        try:
            response = yield Attempt(request, policy.time_left(spent), turn.wait, attempts, failure)
            failure = failure_of(request, response, policy.wall_clock)
            if failure is None:
                return _read(read, request, response)
        except (APIConnectionError, UnexpectedAnswerError) as error:
            failure = error
        delay = policy.backoff(failure, attempts)
        spent += turn.age() + delay
        if not policy.allows(failure, attempts, spent):
            failure.attempts = attempts
            raise failure
        if isinstance(failure, RateLimitError):
            pace.hold(delay)


def _read(read: Callable[[bytes], T], request: Request, response: Response) -> T:
    try:
        return read(response.body)
    except UnexpectedAnswerError as error:
        error.model = request.model
        error.http_status = response.status
        error.request_id = response.headers.get("x-request-id")
        raise
