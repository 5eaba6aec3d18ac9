"""Send requests about files and batches, retry them, and read lists of several pages.

These requests have no rate limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from voyage_rag.core import validation
from voyage_rag.core.failures import failure_of
from voyage_rag.core.flow import Attempt, Flow
from voyage_rag.core.jobs.decoding import Item, decode_page
from voyage_rag.core.retry import RetryPolicy
from voyage_rag.errors import (
    APIConnectionError,
    InvalidInputError,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.failures import SUCCESS
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response

T = TypeVar("T")

OUTAGE_SECONDS = 3_600.0
"""Time for which polling continues during an outage, because a batch may take twelve hours."""
UNLIMITED_RETRIES = 1_000_000

UPLOAD_RESPONSE_SECONDS = 600.0
"""Maximum seconds without a response after an upload, because a retry sends the whole file."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What all requests of a client about files and batches share; `now` is a monotonic clock."""

    host: Host
    policy: RetryPolicy
    now: Callable[[], float]

    def for_polling(self, seconds: float) -> JobContext:
        """Return a copy that retries during an outage, for these seconds and at most an hour.

        The first attempt always has its whole timeout.
        """
        total = max(self.policy.timeout, min(OUTAGE_SECONDS, seconds))
        policy = replace(self.policy, max_retries=UNLIMITED_RETRIES, total_timeout=total)
        return replace(self, policy=policy)


def object_path(base: str, id_: object, *rest: str) -> str:
    """Return the path of a file or batch, or raise an `InvalidInputError` for its id."""
    if not isinstance(id_, str) or not id_.strip():
        raise InvalidInputError(f"an id of {base.strip('/')} must be a string, not {id_!r}")
    return "/".join([base, quote(id_, safe=""), *rest])


def always(_: VoyageError) -> bool:
    """Allow a retry after any temporary failure, because the call changes nothing."""
    return True


def send_with_retries(
    request: Request,
    decode: Callable[[bytes], T],
    context: JobContext,
    may_repeat: Callable[[VoyageError], bool] = always,
    not_before: float = -inf,
) -> Flow[T]:
    """Send a request until `decode` accepts the body of a response.

    Args:
        request: The request.
        decode: Returns the result of a body, or raises `UnexpectedAnswerError`.
        context: Host, timeouts and retries.
        may_repeat: Returns whether the call may be repeated after a temporary failure.
        not_before: The earliest time to send it, on the context's clock.

    Raises:
        InvalidInputError: The host does not have the endpoint. Nothing was sent.
        VoyageError: The last failure, with the number of attempts.
    """
    context.host.require("/" + re.split("[/?]", request.path)[1])
    policy, attempts, delay, due = context.policy, 0, 0.0, not_before
    start = max(context.now(), not_before)
    failure: VoyageError | None = None
    while True:
        attempts += 1
        elapsed = context.now() - start if failure else 0.0
        try:
            response: Response = yield Attempt(
                request,
                _timeout(request, policy, elapsed),
                partial(_seconds_until, due, context),
                attempts,
                failure,
                delay,
                limits_silence=request.is_transfer,
            )
            if response.status in SUCCESS:
                return decode(response.body)
            failure = failure_of(request, response, context.host, policy.wall_clock)
        except (APIConnectionError, UnexpectedAnswerError) as error:
            failure = error
        delay = policy.backoff(failure, attempts)
        due = context.now() + delay
        if not (policy.allows(failure, attempts, due - start) and may_repeat(failure)):
            failure.attempts = attempts
            raise failure


def list_pages(
    context: JobContext,
    base: str,
    decode: Callable[[Mapping[str, Any]], Item],
    *,
    page_size: int,
    limit: int | None,
    purpose: str | None = None,
    not_before: float = -inf,
) -> Flow[list[Item]]:
    """Return the newest `limit` objects, or all, from as many pages as necessary.

    The first request is sent at `not_before`.

    Raises:
        InvalidInputError: The limit is not a positive number.
    """
    if limit is not None:
        limit = validation.check_count("limit", limit)
    found: list[Item] = []
    after: str | None = None
    while limit is None or len(found) < limit:
        size = page_size if limit is None else min(limit - len(found), page_size)
        query = {"purpose": purpose, "limit": size, "after": after}
        given = {name: value for name, value in query.items() if value is not None}
        request = Request(f"{base}?{urlencode(given)}", b"", "", 0, method="GET")
        page = yield from send_with_retries(
            request, partial(decode_page, decode=decode), context, not_before=not_before
        )
        found += page.items
        after = page.after
        if after is None:
            break
    return found


def _timeout(request: Request, policy: RetryPolicy, elapsed: float) -> float:
    if not request.is_transfer:
        return policy.time_left(elapsed)
    return (
        policy.timeout if request.upload is None else max(policy.timeout, UPLOAD_RESPONSE_SECONDS)
    )


def _seconds_until(due: float, context: JobContext) -> float:
    return max(0.0, due - context.now())
