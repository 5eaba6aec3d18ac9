"""Batches of an emulator: their states over time. Source: "Batch Inference" in Voyage's docs.

A batch's state follows from the clock, so that time can be sped up or set. Its lines are worked on
in a thread, in an order of their own; how many of them show as done follows from the clock, too. A
batch that is not done within twelve hours expires: it is finalised with what it has, and its other
lines are in the error file. The documentation knows no state for that, so it ends as `completed`.
"""

import threading
from array import array
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from voyage_rag.emulator import lines
from voyage_rag.emulator.lines import Inspection, Kind
from voyage_rag.emulator.options import Options
from voyage_rag.emulator.rules import Refusal
from voyage_rag.emulator.storage import Storage, StoredFile, moment, name_one, refuse_unknown
from voyage_rag.emulator.work import Payload

WINDOW = 12 * 3_600.0
"""Seconds after which a batch expires."""

ENDED = {"completed", "failed", "cancelled"}
CANCELLABLE = {"validating", "in_progress"}

PATIENCE = 10.0
"""Seconds of real time that a question waits for the work it asks about."""


class Order(NamedTuple):
    """What a batch was asked to do."""

    kind: Kind
    params: dict[str, Any]
    metadata: dict[str, str] | None
    file: StoredFile


class Execution:
    """The lines of a batch, answered one after the other in a thread.

    Attributes:
        done: How many are.
    """

    def __init__(
        self,
        batch_id: str,
        order: Order,
        found: Inspection,
        make_path: Callable[[], Path],
        failing: Collection[str],
    ) -> None:
        self.done = 0
        self._batch_id, self._order, self._failing = batch_id, order, failing
        self._offsets = found.offsets
        self._places = list(range(len(found.offsets)))
        Random(batch_id).shuffle(self._places)  # noqa: S311  (any order but theirs)
        self._path, self._source = make_path(), make_path()
        self._path.touch()
        self._source.hardlink_to(order.file.path)  # should the file be deleted meanwhile
        self._ends = array("q", [0])
        self._sound = bytearray()
        self._moved = threading.Condition()
        self._unwanted = False

    def run(self) -> None:
        """Answer every line."""
        if self._unwanted:
            return
        with self._source.open("rb") as source, self._path.open("wb") as answers:
            for place in self._places:
                source.seek(self._offsets[place])
                written, sound = lines.answer(
                    self._batch_id,
                    source.readline(),
                    self._order.kind,
                    self._order.params,
                    self._failing,
                )
                answers.write(written)
                answers.flush()
                with self._moved:
                    self._ends.append(self._ends[-1] + len(written))
                    self._sound.append(sound)
                    self.done += 1
                    self._moved.notify_all()
                    if self._unwanted:
                        return

    def wait_for(self, count: int) -> bool:
        """Wait a little for so many lines to be done; return whether they are."""
        with self._moved:
            return self._moved.wait_for(lambda: self.done >= count, PATIENCE)

    def stop(self) -> None:
        """Answer no more lines."""
        self._unwanted = True

    def failures(self, count: int) -> int:
        """Return how many of the first so many lines have failed."""
        return self._sound[:count].count(0)

    def write(self, count: int, output: Path, errors: Path, *, expired: bool) -> None:
        """Write what the first so many lines were answered, and which ones were not reached."""
        with self._path.open("rb") as answers, output.open("wb") as right, errors.open("wb") as bad:
            for number in range(count):
                size = self._ends[number + 1] - self._ends[number]
                (right if self._sound[number] else bad).write(answers.read(size))
            if expired:
                with self._source.open("rb") as source:
                    for place in self._places[count:]:
                        source.seek(self._offsets[place])
                        bad.write(lines.expire(self._batch_id, source.readline()))
        self._path.unlink()
        self._source.unlink()


@dataclass(slots=True)
class Batch:
    """One batch. Times are seconds of its life, unless they say otherwise."""

    id: str
    key: str
    order: Order
    found: Inspection
    created_at: float
    """Seconds since the epoch, as the next one."""
    expected_at: float
    execution: Execution
    status: str = "validating"
    shown: int = 0
    """Lines that show as done."""
    at: dict[str, float] = field(default_factory=dict)
    """When it entered each state, in seconds since the epoch."""
    cancelled_after: float | None = None
    output: StoredFile | None = None
    errors: StoredFile | None = None

    def describe(self) -> Payload:
        """Return what the API says of it. The order of keys is a guess."""
        failed = self.execution.failures(self.shown)
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.order.kind.endpoint.path,
            "model": self.order.params["model"],
            "status": self.status,
            "input_file_id": self.order.file.id,
            "output_file_id": self.output and self.output.id,
            "error_file_id": self.errors and self.errors.id,
            "completion_window": "12h",
            "request_counts": {
                "total": 0 if self.status == "validating" else len(self.found.offsets),
                "completed": self.shown - failed,
                "failed": failed,
            },
            "errors": {"object": "list", "data": self.found.faults}
            if self.status == "failed"
            else None,
            "metadata": self.order.metadata,
            "created_at": moment(self.created_at),
            "in_progress_at": moment(self.at.get("in_progress")),
            "finalizing_at": moment(self.at.get("finalizing")),
            "completed_at": moment(self.at.get("completed")),
            "failed_at": moment(self.at.get("failed")),
            "expected_completion_at": moment(self.expected_at),
            "cancelling_at": moment(self.at.get("cancelling")),
            "cancelled_at": moment(self.at.get("cancelled")),
        }


class Batches:
    """The batches of all keys.

    Args:
        options: How long things take, and how many there may be.
        storage: Where their files are.
    """

    def __init__(self, options: Options, storage: Storage) -> None:
        self._options = options
        self._storage = storage
        self._batches: dict[str, Batch] = {}
        self._failing = set(options.failing_lines)
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="voyage-emulator-batch")

    def create(self, key: str, order: Order) -> Batch:
        """Start a batch, or refuse."""
        found = lines.inspect(order.file.path, order.kind)
        if found.inputs > self._options.batch_inputs:
            message = f"The batch has {found.inputs} inputs; the limit is "
            message += f"{self._options.batch_inputs}."
            found.faults.append(lines.make_fault("too_many_inputs", message))
        with self._lock:
            self._admit(key, found.tokens)
            batch_id = name_one("batch")
            failing = self._failing & found.names
            self._failing -= failing
            found.names.clear()
            execution = Execution(batch_id, order, found, self._storage.make_path, failing)
            now = self._storage.now()
            expected = now + WINDOW / self._options.batch_speed
            batch = Batch(batch_id, key, order, found, now, expected, execution)
            self._batches[batch_id] = batch
        if not found.faults:
            self._workers.submit(execution.run)
        return batch

    def _admit(self, key: str, tokens: int) -> None:
        """Refuse what is above the limits of an organisation. The wordings are guesses."""
        running = [batch for batch in self.of(key) if batch.status not in ENDED]
        if len(running) >= self._options.batches_in_flight:
            raise Refusal(
                429,
                f"You have reached the limit of {self._options.batches_in_flight} batches in "
                "progress. Please wait for some of them to complete.",
            )
        limit = self._options.batch_tokens_in_flight
        held = sum(batch.found.tokens for batch in running)
        if held + tokens > limit:
            raise Refusal(
                429,
                f"You have reached the limit of {limit} batch tokens in progress: {held} are, and "
                f"this batch has {tokens}. Please wait for some of them to complete.",
            )

    def of(self, key: str) -> list[Batch]:
        """Return a key's batches as they are now, newest first."""
        with self._lock:
            found = [batch for batch in self._batches.values() if batch.key == key]
            for batch in found:
                self._update(batch)
            return found[::-1]

    def find(self, key: str, id_: str) -> Batch:
        """Return a batch as it is now, or refuse."""
        with self._lock:
            batch = self._batches.get(id_)
            if batch is None or batch.key != key:
                refuse_unknown("batch", id_)
            self._update(batch)
            return batch

    def cancel(self, key: str, id_: str) -> Batch:
        """Cancel a batch, or refuse."""
        with self._lock:
            batch = self.find(key, id_)
            if batch.status not in CANCELLABLE:
                raise Refusal(400, f"A batch that is {batch.status} cannot be cancelled.")
            batch.cancelled_after = self._age(batch)
            batch.execution.stop()
            self._update(batch)
            return batch

    def close(self) -> None:
        """Let no thread live on."""
        for batch in self._batches.values():
            batch.execution.stop()
        self._workers.shutdown(cancel_futures=True)

    def _age(self, batch: Batch) -> float:
        return (self._storage.now() - batch.created_at) * self._options.batch_speed

    def _update(self, batch: Batch) -> None:
        """Bring a batch to where the clock says it is, as far as its work has got."""
        if batch.status in ENDED:
            return
        plan = _plan(batch, self._options)
        age = self._age(batch)
        reached = [(after, status) for after, status in plan.states if after <= age]
        due = plan.lines_at(age)
        if not batch.execution.wait_for(due):
            due = batch.execution.done
            reached = [pair for pair in reached if pair[1] in {"validating", "in_progress"}]
        batch.shown = due
        for after, status in reached:
            if status not in batch.at:
                batch.at[status] = batch.created_at + after / self._options.batch_speed
        batch.status = reached[-1][1]
        if batch.status in {"completed", "cancelled"}:
            self._finish(batch, expired=plan.expires)

    def _finish(self, batch: Batch, *, expired: bool) -> None:
        output, errors = self._storage.make_path(), self._storage.make_path()
        batch.execution.stop()
        batch.execution.write(batch.shown, output, errors, expired=expired)
        if output.stat().st_size:
            name = f"{batch.id}_output.jsonl"
            batch.output = self._storage.keep(batch.key, name, "batch-output", output)
        if errors.stat().st_size:
            name = f"{batch.id}_error.jsonl"
            batch.errors = self._storage.keep(batch.key, name, "batch-error", errors)


class Plan(NamedTuple):
    """When a batch enters which state, in seconds of its life."""

    states: list[tuple[float, str]]
    lines_at: Callable[[float], int]
    expires: bool = False


def _plan(batch: Batch, options: Options) -> Plan:
    begun, total = options.batch_validating, len(batch.found.offsets)
    if batch.found.faults:
        return Plan([(0.0, "validating"), (begun, "failed")], lambda _: 0)
    done = begun + options.batch_running
    stop = min(done, WINDOW)
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

    return Plan(states, lines_at, expires=batch.cancelled_after is None and done > WINDOW)
