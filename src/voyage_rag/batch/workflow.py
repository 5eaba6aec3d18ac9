"""The workflow of a job as generators: upload, create, monitor, cancel.

The state file is written before and after each step. A job can therefore be killed at any moment
and resumed by another process, and no batch is created twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from math import inf

from voyage_rag.batch.state import BatchPart, JobState, StateFile
from voyage_rag.batch.types import BatchLimits, JobStatus
from voyage_rag.core.flow import Flow, offload
from voyage_rag.core.jobs import batches, files
from voyage_rag.core.jobs.batches import BatchRequest, PollSchedule, is_surely_not_created
from voyage_rag.core.jobs.sending import JobContext
from voyage_rag.errors import (
    APIConnectionError,
    InvalidInputError,
    InvalidRequestError,
    QuotaExhaustedError,
    RateLimitError,
    Timeout,
    VoyageError,
)
from voyage_rag.records import ENDED, Batch

FULL_SECONDS = 30 * 60.0
"""Seconds to wait after the service rejected another batch (docs: "Batch Inference"), unless one of
this job's batches ends earlier.
"""

MAX_CREATION_SECONDS = 10 * 60.0
"""Seconds after which a batch that is not listed was not created, if the request for it received no
response. This is far longer than any request takes.
"""

CANCELLED = "cancelled"


@dataclass(slots=True)
class BatchWorkflow:
    """A job in progress.

    Attributes:
        full_until: Time until which no other batch can be created, on the context's clock.
        full_at: Number of batches that had ended when the limit was reached.
    """

    context: JobContext
    state: JobState
    file: StateFile
    full_until: float = -inf
    full_at: int = 0
    limits: BatchLimits = field(init=False)

    def __post_init__(self) -> None:
        self.limits = BatchLimits(**self.state.limits)

    @property
    def running(self) -> list[BatchPart]:
        """Batches that were created and have not ended."""
        return [part for part in self.state.parts if part.batch_id and part.status not in ENDED]

    @property
    def pending(self) -> list[BatchPart]:
        """Batches that are not created yet."""
        return [part for part in self.state.parts if not part.batch_id and not part.status]

    @property
    def ended(self) -> list[BatchPart]:
        """Batches whose status is final."""
        return [part for part in self.state.parts if part.status in ENDED]

    def attempts_of(self, part: BatchPart) -> list[BatchPart]:
        """Return a part, and the parts with its resubmitted inputs, in order."""
        return [part, *(other for other in self.state.parts if other.again == part.number)]

    def may_have_failed(self, part: BatchPart) -> bool:
        """Return whether a part has ended without a result for each of its inputs."""
        attempts, ended = self.attempts_of(part), self.ended
        completed = sum(attempt.completed for attempt in attempts)
        return all(attempt in ended for attempt in attempts) and completed < part.inputs

    def status(self) -> JobStatus:
        """Return the known status of the job."""
        parts, ended = self.state.parts, self.ended
        inputs = sum(part.inputs for part in self.state.own_parts)
        tried_again = sum(part.inputs for part in parts) - inputs
        lost = sum(part.inputs - part.completed for part in ended)
        created = any(part.batch_id for part in parts)
        expected = [part.expected_at for part in self.running if part.expected_at is not None]
        return JobStatus(
            state="ended" if len(ended) == len(parts) else "running" if created else "pending",
            inputs=inputs,
            completed=sum(part.completed for part in parts),
            failed=max(0, lost - tried_again),
            batches=len(parts),
            pending=len(self.pending),
            ended=len(ended),
            statuses={part.batch_id: part.status or "" for part in parts if part.batch_id},
            expected_at=max(map(datetime.fromisoformat, expected), default=None),
        )

    def advance(self) -> Flow[None]:
        """Create as many batches as the account allows, in order.

        Raises:
            APIConnectionError: Whether a batch was created is unknown.
            VoyageError: A batch cannot be created.
        """
        for part in self.pending:
            if not self._fits(part):
                return
            try:
                yield from self._create(part)
            except QuotaExhaustedError:
                raise
            except RateLimitError:
                self.full_until = self.context.now() + FULL_SECONDS
                self.full_at = len(self.ended)
                return

    def _fits(self, part: BatchPart) -> bool:
        running = self.running
        tokens = sum(other.tokens for other in running) + part.tokens
        is_full = self.context.now() < self.full_until and len(self.ended) == self.full_at
        return (
            not is_full
            and len(running) < self.limits.batches
            and (not running or tokens <= self.limits.tokens)
        )

    def _create(self, part: BatchPart) -> Flow[None]:
        if part.file_id is None:
            yield from self._upload(part)
        mark = f"{self.state.id}-{part.number}"
        batch = None
        if part.asked_at is not None:
            batch = yield from self._look_for(part, mark)
        if batch is None:
            batch = yield from self._request_batch(part, mark)
        part.asked_at = None
        record(part, batch)
        yield from self._save()
        yield from offload(partial(self.file.discard, part))

    def _look_for(self, part: BatchPart, mark: str) -> Flow[Batch | None]:
        """Find a batch that an earlier attempt may have created; None if it was not created."""
        batch = yield from batches.find(self.context, mark)
        now = self.context.policy.wall_clock()
        asked_at = part.asked_at or 0.0
        if asked_at > now:  # the clock was set back, or that of another machine is fast
            part.asked_at = asked_at = now
            yield from self._save()
        left = asked_at + MAX_CREATION_SECONDS - now
        if batch is None and left > 0:
            raise APIConnectionError(
                f"it is not known yet whether batch {part.number + 1} was created. It may still "
                f"appear within {left:,.0f} s and is not created again until then: wait again"
            )
        return batch

    def _request_batch(self, part: BatchPart, mark: str) -> Flow[Batch]:
        assert part.file_id is not None  # noqa: S101 - it was just uploaded
        part.asked_at = self.context.policy.wall_clock()
        yield from self._save()
        state = self.state
        metadata = {"voyage_rag_job": state.id, "voyage_rag_part": str(part.number)}
        request = BatchRequest(state.endpoint, part.file_id, state.params, metadata, mark)
        try:
            return (yield from batches.create(self.context, request, _is_unseen))
        except VoyageError as error:
            if is_surely_not_created(error) or isinstance(error, InvalidRequestError):
                part.asked_at = None
                if error.http_status == NOT_FOUND:  # the next attempt uploads the file again
                    part.file_id, part.uploading = None, False
                yield from self._save()
            raise

    def _upload(self, part: BatchPart) -> Flow[None]:
        path, name = self.file.spooled(part), f"{self.state.id}-{part.number:04d}.jsonl"
        if part.uploading:
            known = yield from files.list_all(self.context, "batch", None)
            same = [file for file in known if (file.filename, file.bytes) == (name, part.size)]
            part.file_id = same[0].id if same else None
        if part.file_id is None:
            if not (yield from offload(path.exists)):
                raise self.file.missing(part)
            part.uploading = True
            yield from self._save()
            part.file_id = (yield from files.upload(self.context, str(path), name)).id
        yield from self._save()

    def refresh(self, context: JobContext | None = None, not_before: float = -inf) -> Flow[None]:
        """Request the status of every running batch."""
        for part in self.running:
            assert part.batch_id is not None  # noqa: S101 - it runs
            try:
                batch = yield from batches.get(context or self.context, part.batch_id, not_before)
            except InvalidRequestError as error:
                if error.http_status != NOT_FOUND:
                    raise
                raise InvalidInputError(
                    f"the service does not know the batch {part.batch_id!r} of this job: use the "
                    f"key and address that submitted it, or delete {str(self.file.path)!r} and "
                    "submit the rows again, which are then billed again"
                ) from error
            record(part, batch)

    def wait(
        self, watch: PollSchedule, on_progress: Callable[[JobStatus], object] | None
    ) -> Flow[None]:
        """Poll the job until it has ended, and create batches as the account allows.

        Raises:
            Timeout: The job has not ended in time.
        """
        watch.check()
        begun = due = self.context.now()
        looks = 0
        while True:
            polling = self.context.for_polling(watch.time_left(due - begun))
            if not self.running and looks:  # nothing to poll: wait with another request
                yield from batches.list_all(polling, 1, due)
            yield from self.refresh(polling, due)
            yield from self._advance_or_wait()
            yield from self._save()
            looks += 1
            if on_progress is not None:
                on_progress(self.status())
            if not self.running and not self.pending:
                return
            elapsed = self.context.now() - begun
            if watch.is_over(elapsed):
                raise self._late(elapsed)
            due = self.context.now() + watch.pause(looks, elapsed)

    def _advance_or_wait(self) -> Flow[None]:
        """Create batches; if the outcome of one is unknown, continue with the others."""
        try:
            yield from self.advance()
        except APIConnectionError:
            if not any(part.asked_at is not None for part in self.pending):
                raise

    def _late(self, elapsed: float) -> Timeout:
        status = self.status()
        return Timeout(
            f"{status.completed:,} of {status.inputs:,} inputs are done after {elapsed:,.0f} s, "
            f"{status.ended} of {status.batches} batches have ended. The others continue: wait "
            "again later"
        )

    def cancel(self) -> Flow[None]:
        """Cancel every batch that has not ended, and create no more.

        Raises:
            APIConnectionError: Whether a batch was created is unknown; the others are cancelled.
        """
        unknown: APIConnectionError | None = None
        for part in self.pending:
            batch = None
            if part.asked_at is not None:
                try:
                    batch = yield from self._look_for(part, f"{self.state.id}-{part.number}")
                except APIConnectionError as error:
                    unknown = error
                    continue
            part.asked_at = None
            if batch is None:
                part.status = CANCELLED
            else:
                record(part, batch)
        yield from self._save()
        for part in self.running:
            assert part.batch_id is not None  # noqa: S101 - it runs
            try:
                batch = yield from batches.cancel(self.context, part.batch_id)
            except InvalidRequestError:  # it is being finalised or has ended
                batch = yield from batches.get(self.context, part.batch_id)
            record(part, batch)
        yield from self._save()
        if unknown is not None:
            raise unknown

    def delete_files(self) -> Flow[int]:
        """Delete the job's files at the service, and return their number.

        Raises:
            InvalidInputError: The job has not ended.
        """
        yield from self.refresh()
        if left := len(self.running) + len(self.pending):
            raise InvalidInputError(
                f"{left} of {len(self.state.parts)} batches of the job {str(self.file.path)!r} "
                "have not ended and need their files: wait for the job or cancel it first"
            )
        count = 0
        ids = [(p.file_id, p.output_file_id, p.error_file_id) for p in self.state.parts]
        for file_id in filter(None, chain.from_iterable(ids)):
            try:
                count += yield from files.delete(self.context, file_id)
            except InvalidRequestError as error:
                if error.http_status != NOT_FOUND:
                    raise
        return count

    def _save(self) -> Flow[None]:
        yield from offload(partial(self.file.save, self.state))


NOT_FOUND = 404


def record(part: BatchPart, batch: Batch) -> None:
    """Record the service's description of a batch."""
    part.batch_id, part.status = batch.id, batch.status
    part.output_file_id, part.error_file_id = batch.output_file_id, batch.error_file_id
    part.completed, part.failed = batch.completed, batch.failed
    expected = batch.expected_completion_at
    part.expected_at = None if expected is None else expected.astimezone(UTC).isoformat()


def _is_unseen(failure: VoyageError) -> bool:
    """Whether the service cannot have received a request, so that it can be sent again.

    A 429 is not retried immediately, because no batch can be created until one has ended.
    """
    return isinstance(failure, APIConnectionError) and failure.never_sent
