"""Batches: created once, looked up, watched, cancelled.

Creating is not idempotent: a batch that is created twice is paid for twice. So a lost answer is not
asked for again: the batch is looked for by a mark in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from voyage_rag.core import validation
from voyage_rag.core.jobs import descriptions
from voyage_rag.core.jobs.asking import JobContext, asking
from voyage_rag.core.jobs.files import listing, path_of
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

if TYPE_CHECKING:
    from voyage_rag.core.flow import Flow
    from voyage_rag.records import Batch

PATH = "/batches"
WINDOW = "12h"
ENDPOINTS = ("/v1/embeddings", "/v1/contextualizedembeddings", "/v1/rerank")
MOST_ON_A_PAGE = 100

MARK = "voyage_rag_id"
"""The key of the metadata by which a batch is looked for."""
MOST_METADATA = 16
LONGEST_KEY, LONGEST_VALUE = 64, 512

LOOKS = (0.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between the looks for a batch whose creation was not answered: a minute, which is as long
as a request may take that was on its way when its answer was given up."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What is to be created.

    Attributes:
        endpoint: One of `ENDPOINTS`.
        input_file_id: The uploaded lines.
        request_params: Model and options, for all lines.
        metadata: Up to 15 pairs of strings.
        mark: Tells this order from every other.
    """

    endpoint: str
    input_file_id: str
    request_params: Mapping[str, Any]
    metadata: Mapping[str, str]
    mark: str

    def check(self) -> None:
        """Refuse what the service would.

        Raises:
            InvalidInputError: An argument cannot work.
        """
        validation.check_choice("endpoint", self.endpoint, ENDPOINTS)
        path_of("/files", self.input_file_id)
        if not isinstance(self.request_params, Mapping) or "model" not in self.request_params:
            raise InvalidInputError("request_params must be a dictionary that names the 'model'")
        if len(self.metadata) >= MOST_METADATA:
            raise InvalidInputError(
                f"metadata has {len(self.metadata)} pairs, {MOST_METADATA - 1} are possible: the "
                "service takes 16, and one is needed to find the batch if an answer is lost"
            )
        for key, value in self.metadata.items():
            if key == MARK or not _fits(key, LONGEST_KEY) or not _fits(value, LONGEST_VALUE):
                raise InvalidInputError(
                    f"metadata[{key!r}] cannot be: keys are strings of up to {LONGEST_KEY} "
                    f"characters, values of up to {LONGEST_VALUE}, and {MARK!r} is taken"
                )

    def request(self) -> Request:
        """What creates it."""
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


def _fits(text: object, longest: int) -> bool:
    return isinstance(text, str) and len(text) <= longest


def surely_not_done(failure: VoyageError) -> bool:
    """Whether the service cannot have created anything: it never saw the request, or refused it."""
    return isinstance(failure, RateLimitError) or (
        isinstance(failure, APIConnectionError) and failure.never_sent
    )


def create(
    context: JobContext,
    order: BatchRequest,
    repeatable: Callable[[VoyageError], bool] = surely_not_done,
) -> Flow[Batch]:
    """Create a batch, once, whatever becomes of the answer.

    Raises:
        InvalidInputError: An argument cannot work; nothing was sent.
        APIConnectionError: Whether there is a batch is not known: there was no answer, and no such
            batch can be found.
        VoyageError: There is none.
    """
    context.host.require(PATH)
    order.check()
    try:
        return (yield from asking(order.request(), descriptions.batch_of, context, repeatable))
    except (APIConnectionError, ServerError, UnexpectedAnswerError) as failure:
        if surely_not_done(failure):
            raise
        lost = failure
    try:
        found = yield from find(context, order.mark, looks=LOOKS)
    except VoyageError as failure:
        raise _unknown(lost, f"It could not be looked for: {failure.message}") from failure
    if found is None:
        raise _unknown(lost, "It was looked for and not found.") from lost
    return found


def _unknown(lost: VoyageError, search: str) -> APIConnectionError:
    return APIConnectionError(
        f"whether the batch was created is not known: {lost.message} {search} It is not created "
        "again by itself, since it might be paid for twice: look at the list of your batches in "
        "some minutes",
        model=lost.model,
        attempts=lost.attempts,
    )


def find(context: JobContext, mark: str, looks: tuple[float, ...] = (0.0,)) -> Flow[Batch | None]:
    """Look for a batch by its mark, once or after some waits; None if it is not there."""
    for wait in looks:
        batches = yield from list_all(context, None, context.now() + wait)
        for batch in batches:
            if batch.metadata is not None and batch.metadata.get(MARK) == mark:
                return batch
    return None


def get(context: JobContext, batch_id: str, not_before: float = -inf) -> Flow[Batch]:
    """Describe a batch."""
    context.host.require(PATH)
    request = Request(path_of(PATH, batch_id), b"", "", 0, method="GET")
    return (yield from asking(request, descriptions.batch_of, context, not_before=not_before))


def list_all(context: JobContext, limit: int | None, not_before: float = -inf) -> Flow[list[Batch]]:
    """The batches there are, newest first, however many pages they take."""
    context.host.require(PATH)
    if limit is not None:
        validation.check_count("limit", limit)
    found: list[Batch] = []
    after: str | None = None
    while limit is None or len(found) < limit:
        room = MOST_ON_A_PAGE if limit is None else min(limit - len(found), MOST_ON_A_PAGE)
        request = listing(PATH, limit=room, after=after)
        page = yield from asking(request, descriptions.batches_of, context, not_before=not_before)
        found += page.items
        after = page.after
        if after is None:
            break
    return found


def cancel(context: JobContext, batch_id: str) -> Flow[Batch]:
    """Cancel a batch; where it has ended meanwhile, describe it."""
    context.host.require(PATH)
    request = Request(path_of(PATH, batch_id, "cancel"), b"", "", 0)
    return (yield from asking(request, descriptions.batch_of, context))


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How often to look, and for how long.

    Attributes:
        timeout: Seconds, None for as long as it takes.
        longest: Seconds between two looks; shorter at first.
    """

    timeout: float | None = None
    longest: float = 60.0

    def check(self) -> None:
        """Refuse what is no number of seconds.

        Raises:
            InvalidInputError: It is none.
        """
        for name, value in (("timeout", self.timeout), ("poll_interval", self.longest)):
            right = type(value) in {int, float} and value is not None and value >= 0
            if not right and not (name == "timeout" and value is None):
                raise InvalidInputError(f"{name} must be a number of seconds, not {value!r}")

    def pause(self, looks: int, elapsed: float) -> float:
        """Seconds until the next look after so many, never past the timeout."""
        pause = min(self.longest, FIRST_PAUSE * PAUSES_GROW ** min(looks - 1, ENOUGH_GROWTH))
        return pause if self.timeout is None else min(pause, max(0.0, self.timeout - elapsed))

    def is_over(self, elapsed: float) -> bool:
        """Whether the time is up."""
        return self.timeout is not None and elapsed >= self.timeout


FIRST_PAUSE = 2.0
PAUSES_GROW = 1.5
ENOUGH_GROWTH = 40


def wait(
    context: JobContext,
    batch_id: str,
    watch: PollSchedule,
    on_progress: Callable[[Batch], object] | None,
) -> Flow[Batch]:
    """Look at a batch until it has ended.

    Raises:
        Timeout: It has not ended in time; it continues by itself.
    """
    watch.check()
    begun, looks = context.now(), 0
    due = -inf
    while True:
        batch = yield from get(context.patient, batch_id, due)
        looks += 1
        if on_progress is not None:
            on_progress(batch)
        if batch.has_ended:
            return batch
        elapsed = context.now() - begun
        if watch.is_over(elapsed):
            raise Timeout(
                f"batch {batch_id} is {batch.status} after {elapsed:,.0f} s, {batch.completed} of "
                f"{batch.total} lines done: it continues by itself, wait again later",
                model=batch.model or None,
            )
        due = context.now() + watch.pause(looks, elapsed)
