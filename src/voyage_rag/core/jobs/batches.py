"""Create, look up, monitor and cancel batches.

Creating a batch is not idempotent: a batch that is created twice is billed twice. If the response
is lost, the request is therefore not repeated: the batch is looked up by a mark in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from voyage_rag.core import validation
from voyage_rag.core.flow import Flow
from voyage_rag.core.jobs.decoding import decode_batch
from voyage_rag.core.jobs.sending import JobContext, list_pages, object_path, send_with_retries
from voyage_rag.errors import (
    APIConnectionError,
    InvalidInputError,
    RateLimitError,
    ServerError,
    Timeout,
    UnexpectedAnswerError,
    VoyageError,
)
from voyage_rag.hosts.messages import Request
from voyage_rag.records import Batch

PATH = "/batches"
WINDOW = "12h"
ENDPOINTS = ("/v1/embeddings", "/v1/contextualizedembeddings", "/v1/rerank")
PAGE_SIZE = 100

MARK = "voyage_rag_id"
"""The metadata key that identifies a batch with an unknown id."""
MAX_METADATA_PAIRS = 16
MAX_KEY_CHARS, MAX_VALUE_CHARS = 64, 512

LOOKUP_DELAYS_SECONDS = (0.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each lookup of a batch whose creation received no response: a minute in total,
which is the longest time that the request may take."""

FIRST_POLL_SECONDS = 2.0
POLL_GROWTH = 1.5
MAX_GROWTH_STEPS = 40


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A batch to create.

    Attributes:
        endpoint: One of `ENDPOINTS`.
        input_file_id: The uploaded lines.
        request_params: Model and options of all lines.
        metadata: Up to 15 pairs of strings.
        mark: Unique identifier, which is added to the metadata.
    """

    endpoint: str
    input_file_id: str
    request_params: Mapping[str, Any]
    metadata: Mapping[str, str]
    mark: str

    def check(self) -> None:
        """Raise an `InvalidInputError` for an argument that the service would reject."""
        validation.check_choice("endpoint", self.endpoint, ENDPOINTS)
        object_path("/files", self.input_file_id)
        if not isinstance(self.request_params, Mapping) or "model" not in self.request_params:
            raise InvalidInputError("request_params must be a dictionary with the key 'model'")
        if len(self.metadata) >= MAX_METADATA_PAIRS:
            raise InvalidInputError(
                f"metadata has {len(self.metadata)} pairs, more than {MAX_METADATA_PAIRS - 1}: "
                "the service accepts 16, and one is needed to look up the batch if a response is "
                "lost"
            )
        for key, value in self.metadata.items():
            if key == MARK or not _fits(key, MAX_KEY_CHARS) or not _fits(value, MAX_VALUE_CHARS):
                raise InvalidInputError(
                    f"metadata[{key!r}] is invalid: keys are strings of up to {MAX_KEY_CHARS} "
                    f"characters, values of up to {MAX_VALUE_CHARS}, and {MARK!r} is reserved"
                )

    def request(self) -> Request:
        """Return the request that creates the batch."""
        body = {
            "endpoint": self.endpoint,
            "input_file_id": self.input_file_id,
            "completion_window": WINDOW,
            "request_params": self.request_params,
            "metadata": {**self.metadata, MARK: self.mark},
        }
        model = str(self.request_params["model"])
        document = json.dumps(body, separators=(",", ":")).encode()
        return Request(PATH, document, model, 0, repeatable=False)


def _fits(text: object, max_chars: int) -> bool:
    return isinstance(text, str) and len(text) <= max_chars


def is_surely_not_created(failure: VoyageError) -> bool:
    """Return whether the service cannot have created a batch: no request was accepted."""
    return isinstance(failure, RateLimitError) or (
        isinstance(failure, APIConnectionError) and failure.never_sent
    )


def create(
    context: JobContext,
    order: BatchRequest,
    may_repeat: Callable[[VoyageError], bool] = is_surely_not_created,
) -> Flow[Batch]:
    """Create a batch once, even if the response is lost.

    Raises:
        InvalidInputError: The service would reject an argument. Nothing was sent.
        APIConnectionError: The response is lost and the batch was not found, so it is unknown
            whether it was created.
        VoyageError: The batch was not created.
    """
    order.check()
    try:
        return (yield from send_with_retries(order.request(), decode_batch, context, may_repeat))
    except (APIConnectionError, ServerError, UnexpectedAnswerError) as failure:
        if is_surely_not_created(failure):
            raise
        lost = failure
    try:
        found = yield from find(context, order.mark, delays=LOOKUP_DELAYS_SECONDS)
    except VoyageError as failure:
        raise _unknown(lost, f"looking it up failed ({failure.message})") from failure
    if found is None:
        raise _unknown(lost, "it was looked up and not found") from lost
    return found


def _unknown(lost: VoyageError, lookup: str) -> APIConnectionError:
    return APIConnectionError(
        f"it is unknown whether the batch was created ({lost.message}), and {lookup}. It is not "
        "created again automatically, because it might be billed twice: check the list of your "
        "batches in a few minutes",
        model=lost.model,
        attempts=lost.attempts,
    )


def find(context: JobContext, mark: str, delays: tuple[float, ...] = (0.0,)) -> Flow[Batch | None]:
    """Look up a batch by its mark, once after each delay in seconds; None if it is not found."""
    for delay in delays:
        batches = yield from list_all(context, None, context.now() + delay)
        for batch in batches:
            if batch.metadata is not None and batch.metadata.get(MARK) == mark:
                return batch
    return None


def get(context: JobContext, batch_id: str, not_before: float = -inf) -> Flow[Batch]:
    """Return the description of a batch."""
    request = Request(object_path(PATH, batch_id), b"", "", 0, method="GET")
    return (yield from send_with_retries(request, decode_batch, context, not_before=not_before))


def list_all(context: JobContext, limit: int | None, not_before: float = -inf) -> Flow[list[Batch]]:
    """Return the newest `limit` batches, or all."""
    return list_pages(
        context, PATH, decode_batch, page_size=PAGE_SIZE, limit=limit, not_before=not_before
    )


def cancel(context: JobContext, batch_id: str) -> Flow[Batch]:
    """Cancel a batch; if it has ended in the meantime, return its description."""
    request = Request(object_path(PATH, batch_id, "cancel"), b"", "", 0)
    return (yield from send_with_retries(request, decode_batch, context))


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How often to poll, and for how long.

    Attributes:
        timeout: Seconds; None disables the limit.
        interval: Maximum seconds between two polls. The first intervals are shorter.
    """

    timeout: float | None = None
    interval: float = 60.0

    def check(self) -> None:
        """Raise an `InvalidInputError` for an argument that is not a number of seconds."""
        for name, value in (("timeout", self.timeout), ("poll_interval", self.interval)):
            right = type(value) in {int, float} and value is not None and value >= 0
            if not right and not (name == "timeout" and value is None):
                raise InvalidInputError(f"{name} must be a number of seconds, not {value!r}")

    def pause(self, polls: int, elapsed: float) -> float:
        """Return the seconds until the next poll, at most up to the timeout."""
        growth = POLL_GROWTH ** min(polls - 1, MAX_GROWTH_STEPS)
        return min(self.interval, FIRST_POLL_SECONDS * growth, self.time_left(elapsed))

    def time_left(self, elapsed: float) -> float:
        """Return the seconds until the timeout; inf without one."""
        return inf if self.timeout is None else max(0.0, self.timeout - elapsed)

    def is_over(self, elapsed: float) -> bool:
        """Return whether the timeout has passed."""
        return self.timeout is not None and elapsed >= self.timeout


def wait(
    context: JobContext,
    batch_id: str,
    schedule: PollSchedule,
    on_progress: Callable[[Batch], object] | None,
) -> Flow[Batch]:
    """Poll a batch until it has ended.

    Raises:
        Timeout: The batch has not ended in time. The service continues to process it.
    """
    schedule.check()
    start = due = context.now()
    polls = 0
    while True:
        polling = context.for_polling(schedule.time_left(due - start))
        batch = yield from get(polling, batch_id, due)
        polls += 1
        if on_progress is not None:
            on_progress(batch)
        if batch.has_ended:
            return batch
        elapsed = context.now() - start
        if schedule.is_over(elapsed):
            raise Timeout(
                f"batch {batch_id} is {batch.status} after {elapsed:,.0f} s, {batch.completed} of "
                f"{batch.total} lines done. It continues to run: wait again later",
                model=batch.model or None,
            )
        due = context.now() + schedule.pause(polls, elapsed)
