"""The requests of the most recent minute, as the service counts them."""

from __future__ import annotations

from collections import deque
from math import inf

from voyage_rag.core.rate_limits import RateLimits, scaled

WINDOW_SECONDS = 60.1
"""Voyage counts per minute (docs: "Rate Limits"). The service counts a request at some time between
sending and response. Here, the minute starts with the response, so it never ends too early."""

FAR_FACTOR = 2.0
"""Counts and limits that differ by more than this factor contradict each other."""


class Slot:
    """A request in the count of its budget.

    Attributes:
        tokens: Expected tokens, later billed ones.
        is_query: Whether it is interactive; otherwise it is part of a job.
        allowed_at: When it may be sent, according to the last answer of the limiter.
        sent_at: When it was sent; None while it waits.
        generation: The generation of the limiter when it was sent.
        is_accepted: Whether the service accepted it.
        counted_at: When it was sent, later when its response arrived.
        is_counted: Whether it is part of the most recent minute.
    """

    allowed_at: float = -inf
    counted_at: float = -inf
    sent_at: float | None = None
    generation: int = 0
    is_accepted: bool = False
    is_counted: bool = False

    def __init__(self, tokens: float, *, is_query: bool = False) -> None:
        self.tokens = tokens
        self.is_query = is_query


class SlidingWindow:
    """The requests of the most recent minute, with running totals."""

    __slots__ = ("_job_requests", "_job_tokens", "_requests", "_slots", "_tokens")

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self._requests = self._job_requests = 0
        self._tokens = self._job_tokens = 0.0

    def add(self, slot: Slot, now: float) -> None:
        """Count a request that is sent now, and remove those that are too old."""
        slots = self._slots
        while slots and slots[0].counted_at <= now - WINDOW_SECONDS:
            self.remove(slots.popleft())
        slots.append(slot)
        slot.counted_at = now
        slot.is_counted = True
        self._count(slot, 1, slot.tokens)

    def accept(self, slot: Slot, tokens: float, now: float) -> None:
        """Count the billed tokens of a request."""
        if slot.is_counted:
            self._count(slot, 0, tokens - slot.tokens)
        slot.counted_at = now
        slot.tokens = tokens
        slot.is_accepted = True

    def remove(self, slot: Slot) -> None:
        """Stop counting a request, because the service rejected it or it is too old."""
        if slot.is_counted:
            slot.is_counted = False
            self._count(slot, -1, -slot.tokens)

    def _count(self, slot: Slot, requests: int, tokens: float) -> None:
        self._requests += requests
        self._tokens += tokens
        if not slot.is_query:
            self._job_requests += requests
            self._job_tokens += tokens

    def is_far_below(self, limits: RateLimits) -> bool:
        """Return whether limits were not the cause of a 429."""
        return not scaled(limits, 1 / FAR_FACTOR).are_exceeded_by(self._requests, self._tokens)

    def has_accepted_far_more_than(self, limits: RateLimits) -> bool:
        """Return whether limits that a 429 named are not the account's."""
        return scaled(limits, FAR_FACTOR).are_exceeded_by(*self.accepted_totals())

    def accepted_totals(self) -> tuple[int, float]:
        """Return the number of accepted requests, and their tokens."""
        tokens = [slot.tokens for slot in self._slots if slot.is_counted and slot.is_accepted]
        return len(tokens), sum(tokens)

    def in_flight_before(self, other: Slot) -> tuple[int, float]:
        """Return the number of requests without a response that were sent before another one."""
        tokens = [
            slot.tokens
            for slot in self._slots
            if slot.is_counted and not slot.is_accepted and slot.counted_at < other.counted_at
        ]
        return len(tokens), sum(tokens)

    def earliest_time(
        self, at: float, limits: RateLimits, requests: int, tokens: float, *, for_job: bool
    ) -> float:
        """Return the earliest time, from `at` on, at which the last minute allows requests.

        A request that exceeds a whole minute's allowance is sent when the minute is empty.

        Args:
            at: The time from which to search.
            limits: The limits of the budget.
            requests: Number of requests to send: one, and those ahead of it.
            tokens: Their tokens.
            for_job: Whether it is part of a job, which leaves a part of the budget to queries.
        """
        most_requests = limits.requests_per_minute or inf
        most_tokens = limits.tokens_per_minute or inf
        share = limits.for_jobs if for_job else limits
        job_requests, job_tokens = share.requests_per_minute or inf, share.tokens_per_minute or inf
        total_requests, total_tokens = requests + self._requests, tokens + self._tokens
        requests_of_jobs = requests + self._job_requests
        tokens_of_jobs = tokens + self._job_tokens
        for slot in self._slots:
            has_room = total_requests <= most_requests and total_tokens <= most_tokens
            if has_room and (
                not for_job
                or requests_of_jobs == 1
                or (requests_of_jobs <= job_requests and tokens_of_jobs <= job_tokens)
            ):
                return at
            if slot.is_counted:
                total_requests -= 1
                total_tokens -= slot.tokens
                if not slot.is_query:
                    requests_of_jobs -= 1
                    tokens_of_jobs -= slot.tokens
                at = max(at, slot.counted_at + WINDOW_SECONDS)
        return at if requests == 1 or total_requests <= most_requests else at + WINDOW_SECONDS
