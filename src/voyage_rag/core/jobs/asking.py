"""A question about files or batches, asked until it is answered.

There is no rate limit to pace these calls by; each knows which failures it may be repeated after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

from voyage_rag.core.failures import failure_of
from voyage_rag.core.flow import Attempt
from voyage_rag.errors import APIConnectionError, UnexpectedAnswerError, VoyageError

if TYPE_CHECKING:
    from voyage_rag.core.flow import Flow
    from voyage_rag.core.retry import RetryPolicy
    from voyage_rag.hosts.host import Host
    from voyage_rag.hosts.messages import Request, Response

T = TypeVar("T")

SOUND = range(200, 300)

OUTAGE = 3_600.0
"""Seconds that a watch of half a day continues while the service does not respond."""
COUNTLESS = 1_000_000

DIGESTING = 600.0
"""Seconds the service may take to answer an upload, as long as Voyage's own client waits for
anything: to give up sooner would be to send it all again."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """On which terms files and batches are asked about.

    Attributes:
        host: Where the models run.
        policy: How hard to try.
        now: Seconds on a clock that never goes back.
    """

    host: Host
    policy: RetryPolicy
    now: Callable[[], float]

    @property
    def patient(self) -> JobContext:
        """The same, for a watch that outlasts an outage."""
        policy = replace(self.policy, max_retries=COUNTLESS, total_timeout=OUTAGE)
        return replace(self, policy=policy)


def always(_: VoyageError) -> bool:
    """After any failure that passes: the call changes nothing."""
    return True


def asking(
    request: Request,
    read: Callable[[bytes], T],
    context: JobContext,
    repeatable: Callable[[VoyageError], bool] = always,
    not_before: float = -inf,
) -> Flow[T]:
    """Send a request until `read` accepts an answer.

    Args:
        request: What to send.
        read: Makes the result of a body, or raises `UnexpectedAnswerError`.
        context: How hard to try.
        repeatable: Whether the call may be made again after a failure that passes.
        not_before: When it may leave, on the terms' clock.

    Raises:
        VoyageError: The last failure, with the number of attempts.
    """
    policy, attempts, delay, due = context.policy, 0, 0.0, not_before
    begun = max(context.now(), not_before)
    failure: VoyageError | None = None
    while True:
        attempts += 1
        spent = context.now() - begun if failure else 0.0
        timeout = _patience(request, policy) if request.is_transfer else policy.time_left(spent)
        try:
            wait = partial(_until, due, context)
            response: Response = yield Attempt(
                request,
                timeout,
                wait,
                attempts,
                failure,
                delay,
                limits_silence=request.is_transfer,
            )
            if response.status in SOUND:
                return read(response.body)
            failure = failure_of(request, response, context.host, policy.wall_clock)
        except (APIConnectionError, UnexpectedAnswerError) as error:
            failure = error
        delay = policy.backoff(failure, attempts)
        due = context.now() + delay
        if not (policy.allows(failure, attempts, due - begun) and repeatable(failure)):
            failure.attempts = attempts
            raise failure


def _patience(request: Request, policy: RetryPolicy) -> float:
    return policy.timeout if request.upload is None else max(policy.timeout, DIGESTING)


def _until(due: float, context: JobContext) -> float:
    return max(0.0, due - context.now())
