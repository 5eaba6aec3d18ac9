"""Batches of an emulator: their states over time. Source: "Batch Inference" in Voyage's docs.

The state of a batch and the number of its completed lines follow from the clock, so that time can
be accelerated or set. Lines are processed in a thread, in random order. A batch that is not done
within twelve hours expires: it is finalised with the results so far, and its other lines are in the
error file. The documentation has no state for this, so the batch ends as `completed`.
"""

import threading
from array import array
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from voyage_rag.emulator import batch_lines
from voyage_rag.emulator.arguments import RejectedRequest
from voyage_rag.emulator.batch_lines import BatchKind, InspectedFile
from voyage_rag.emulator.file_storage import (
    FileStorage,
    StoredFile,
    new_id,
    reject_unknown,
    rfc3339,
)
from voyage_rag.emulator.options import EmulatorOptions
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer

WINDOW_SECONDS = 12 * 3_600.0
"""Age at which a batch expires."""

LINES_TIMEOUT_SECONDS = 10.0
"""Real time for which a request for a batch waits until its lines are processed."""

_ENDED = {"completed", "failed", "cancelled"}
_CANCELLABLE = {"validating", "in_progress"}


class BatchSpec(NamedTuple):
    """The arguments of a batch."""

    kind: BatchKind
    params: dict[str, Any]
    metadata: dict[str, str] | None
    file: StoredFile


class BatchExecution:
    """Processes the lines of a batch one after another, in a thread.

    Attributes:
        done: Number of processed lines.
    """

    def __init__(
        self,
        batch_id: str,
        spec: BatchSpec,
        found: InspectedFile,
        new_path: Callable[[], Path],
        tokens: EmulatedTokenizer,
        failing: Collection[str],
    ) -> None:
        self.done: int = 0
        self._batch_id, self._spec, self._failing = batch_id, spec, failing
        self._tokens = tokens
        self._offsets = found.offsets[:]
        Random(batch_id).shuffle(self._offsets)  # noqa: S311 - any order but theirs
        self._path, self._source = new_path(), new_path()
        self._path.touch()
        self._source.hardlink_to(spec.file.path)  # the file may be deleted meanwhile
        self._ends = array("q", [0])
        self._succeeded = bytearray()
        self._changed = threading.Condition()
        self._stopped = False

    def run(self) -> None:
        """Process every line."""
        if self._stopped:
            return
        options = self._spec.kind, self._spec.params, self._tokens, self._failing
        with self._source.open("rb") as source, self._path.open("wb") as results:
            for offset in self._offsets:
                source.seek(offset)
                result, succeeded = batch_lines.process_line(
                    self._batch_id, source.readline(), *options
                )
                results.write(result)
                results.flush()
                with self._changed:
                    self._ends.append(self._ends[-1] + len(result))
                    self._succeeded.append(succeeded)
                    self.done += 1
                    self._changed.notify_all()
                    if self._stopped:
                        return

    def wait_for(self, count: int) -> bool:
        """Wait up to ten seconds for `count` processed lines, and return whether they are done."""
        with self._changed:
            return self._changed.wait_for(lambda: self.done >= count, LINES_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop processing lines."""
        self._stopped = True

    def failures(self, count: int) -> int:
        """Return the number of failed lines among the first `count`."""
        return self._succeeded[:count].count(0)

    def write(self, count: int, output: Path, errors: Path, *, expired: bool) -> None:
        """Write the results of the first `count` lines; if `expired`, report the rest as errors."""
        with self._path.open("rb") as results, output.open("wb") as good, errors.open("wb") as bad:
            for number in range(count):
                size = self._ends[number + 1] - self._ends[number]
                (good if self._succeeded[number] else bad).write(results.read(size))
            if expired:
                with self._source.open("rb") as source:
                    for offset in self._offsets[count:]:
                        source.seek(offset)
                        bad.write(batch_lines.expire_line(self._batch_id, source.readline()))
        self._path.unlink()
        self._source.unlink()


@dataclass(slots=True)
class EmulatedBatch:
    """One batch.

    Attributes:
        created_at: Seconds since the epoch, like `expected_at`.
        shown: Number of lines that are reported as completed or failed.
        entered_at: When it entered each state, in seconds since the epoch.
        cancelled_after: Age in seconds at which it was cancelled, or None.
    """

    id: str
    key: str
    spec: BatchSpec
    found: InspectedFile
    created_at: float
    expected_at: float
    execution: BatchExecution
    status: str = "validating"
    shown: int = 0
    entered_at: dict[str, float] = field(default_factory=dict)
    cancelled_after: float | None = None
    output: StoredFile | None = None
    errors: StoredFile | None = None

    def describe(self) -> Payload:
        """Return the batch as the API shows it. The order of keys is a guess."""
        failed = self.execution.failures(self.shown)
        errors = {"object": "list", "data": self.found.errors}
        entered = {
            f"{state}_at": rfc3339(self.entered_at.get(state))
            for state in ("in_progress", "finalizing", "completed", "failed")
        }
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.spec.kind.endpoint.path,
            "model": self.spec.params["model"],
            "status": self.status,
            "input_file_id": self.spec.file.id,
            "output_file_id": self.output and self.output.id,
            "error_file_id": self.errors and self.errors.id,
            "completion_window": "12h",
            "request_counts": {
                "total": 0 if self.status == "validating" else len(self.found.offsets),
                "completed": self.shown - failed,
                "failed": failed,
            },
            "errors": errors if self.status == "failed" else None,
            "metadata": self.spec.metadata,
            "created_at": rfc3339(self.created_at),
            **entered,
            "expected_completion_at": rfc3339(self.expected_at),
            "cancelling_at": rfc3339(self.entered_at.get("cancelling")),
            "cancelled_at": rfc3339(self.entered_at.get("cancelled")),
        }


class BatchRegistry:
    """The batches of all keys."""

    def __init__(
        self, options: EmulatorOptions, storage: FileStorage, tokens: EmulatedTokenizer
    ) -> None:
        self._options, self._tokens = options, tokens
        self._storage = storage
        self._batches: dict[str, EmulatedBatch] = {}
        self._failing = set(options.failing_lines)
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="voyage-emulator-batch")

    def create(self, key: str, spec: BatchSpec) -> EmulatedBatch:
        """Start a batch, or reject the request."""
        found = batch_lines.inspect(spec.file.path, spec.kind, self._tokens)
        limit = self._options.batch_inputs
        if found.inputs > limit:
            message = f"The batch has {found.inputs} inputs; the limit is {limit}."
            found.add_error("too_many_inputs", message)
        with self._lock:
            self._check_in_flight(key, found.tokens)
            batch_id = new_id("batch")
            failing = self._failing & found.names
            self._failing -= failing
            found.names.clear()
            execution = BatchExecution(
                batch_id, spec, found, self._storage.new_path, self._tokens, failing
            )
            now = self._storage.now()
            expected = now + WINDOW_SECONDS / self._options.batch_speed
            batch = EmulatedBatch(batch_id, key, spec, found, now, expected, execution)
            self._batches[batch_id] = batch
        if not found.errors:
            self._workers.submit(execution.run)
        return batch

    def _check_in_flight(self, key: str, tokens: int) -> None:
        """Reject a batch above the limits of an organisation. The wordings are guesses."""
        running = [batch for batch in self.list(key) if batch.status not in _ENDED]
        if len(running) >= self._options.batches_in_flight:
            raise RejectedRequest(
                429,
                f"You have reached the limit of {self._options.batches_in_flight} batches in "
                "progress. Please wait for some of them to complete.",
            )
        limit = self._options.batch_tokens_in_flight
        in_flight = sum(batch.found.tokens for batch in running)
        if in_flight + tokens > limit:
            raise RejectedRequest(
                429,
                f"You have reached the limit of {limit} batch tokens in progress: {in_flight} are "
                f"in use, and this batch has {tokens}. Please wait for some of them to complete.",
            )

    def list(self, key: str) -> list[EmulatedBatch]:
        """Return a key's batches in their current state, newest first."""
        with self._lock:
            found = [batch for batch in self._batches.values() if batch.key == key]
            for batch in found:
                self._update(batch)
            return found[::-1]

    def find(self, key: str, id_: str) -> EmulatedBatch:
        """Return a batch in its current state, or reject the request."""
        with self._lock:
            batch = self._batches.get(id_)
            if batch is None or batch.key != key:
                reject_unknown("batch", id_)
            self._update(batch)
            return batch

    def cancel(self, key: str, id_: str) -> EmulatedBatch:
        """Cancel a batch, or reject the request."""
        with self._lock:
            batch = self.find(key, id_)
            if batch.status not in _CANCELLABLE:
                raise RejectedRequest(400, f"A batch that is {batch.status} cannot be cancelled.")
            batch.cancelled_after = self._age(batch)
            batch.execution.stop()
            self._update(batch)
            return batch

    def close(self) -> None:
        """Stop the thread."""
        for batch in self._batches.values():
            batch.execution.stop()
        self._workers.shutdown(cancel_futures=True)

    def _age(self, batch: EmulatedBatch) -> float:
        return (self._storage.now() - batch.created_at) * self._options.batch_speed

    def _update(self, batch: EmulatedBatch) -> None:
        """Advance a batch to its current state, as far as its lines are processed."""
        if batch.status in _ENDED:
            return
        schedule = _schedule(batch, self._options)
        age = self._age(batch)
        reached = [(after, status) for after, status in schedule.states if after <= age]
        due = schedule.lines_at(age)
        if not batch.execution.wait_for(due):
            due = batch.execution.done
            reached = [pair for pair in reached if pair[1] in {"validating", "in_progress"}]
        batch.shown = due
        for after, status in reached:
            entered_at = batch.created_at + after / self._options.batch_speed
            batch.entered_at.setdefault(status, entered_at)
        batch.status = reached[-1][1]
        if batch.status in {"completed", "cancelled"}:
            self._finish(batch, expired=schedule.expires)

    def _finish(self, batch: EmulatedBatch, *, expired: bool) -> None:
        output, errors = self._storage.new_path(), self._storage.new_path()
        batch.execution.stop()
        batch.execution.write(batch.shown, output, errors, expired=expired)
        if output.stat().st_size:
            name = f"{batch.id}_output.jsonl"
            batch.output = self._storage.add(batch.key, name, "batch-output", output)
        if errors.stat().st_size:
            name = f"{batch.id}_error.jsonl"
            batch.errors = self._storage.add(batch.key, name, "batch-error", errors)


class BatchSchedule(NamedTuple):
    """The ages in seconds at which a batch changes its state, and the lines that are then done."""

    states: list[tuple[float, str]]
    lines_at: Callable[[float], int]
    expires: bool = False


def _schedule(batch: EmulatedBatch, options: EmulatorOptions) -> BatchSchedule:
    begun, total = options.batch_validating, len(batch.found.offsets)
    if batch.found.errors:
        return BatchSchedule([(0.0, "validating"), (begun, "failed")], lambda _: 0)
    done = begun + options.batch_running
    stop = min(done, WINDOW_SECONDS)
    states = [(0.0, "validating"), (begun, "in_progress")]
    if batch.cancelled_after is not None:
        stop = batch.cancelled_after
        states = [pair for pair in states if pair[0] <= stop]
        states += [(stop, "cancelling"), (stop + options.batch_ending, "cancelled")]
    else:
        states += [(stop, "finalizing"), (stop + options.batch_ending, "completed")]

    def lines_at(age: float) -> int:
        worked = min(age, stop) - begun
        if worked >= options.batch_running:
            return total
        return max(0, int(total * worked / options.batch_running))

    expires = batch.cancelled_after is None and done > WINDOW_SECONDS
    return BatchSchedule(states, lines_at, expires)
