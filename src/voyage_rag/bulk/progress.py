"""How far a job is, and its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["reading", "waiting", "embedding", "writing"]


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        stage: `reading` and checking all rows, `waiting` for the batch engine, `embedding` them
            (with the batch engine: fetching its vectors), or `writing` the output.
        done: Rows that are done at this stage.
        total: Rows there are, None while they are counted.
        done_before: Rows that were done when this run began.
        tokens: Tokens billed by now, in all runs.
        dollars: What they cost at list price, None where it is not known.
        seconds: Since the stage began in this run.
    """

    stage: Stage
    done: int = 0
    total: int | None = None
    done_before: int = 0
    tokens: int = 0
    dollars: float | None = None
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float | None:
        """The rate of this run, None before there is one."""
        done = self.done - self.done_before
        return done / self.seconds if done > 0 and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At that rate, None before there is one."""
        if self.total is None or self.rows_per_second is None:
            return None
        return (self.total - self.done) / self.rows_per_second


OnProgress: TypeAlias = Callable[[JobProgress], None]


@dataclass(frozen=True, slots=True)
class JobReport:
    """The result of a job.

    Attributes:
        output: The file or folder with the vectors.
        texts: Vectors in it.
        refused: Rows that are not in it.
        refused_file: Where these are, None if there are none.
        tokens: Tokens billed, in all runs.
        requests: Requests that were answered, in all runs.
        dollars: What that costs at list price, None where it is not known.
        seconds: What this run took.
        was_finished: Whether it was finished before this run, which did nothing then.
        files: Files that were read.
        unread: Files in folders of the input that have another format.
    """

    output: Path
    texts: int
    refused: int
    refused_file: Path | None
    tokens: int
    requests: int
    dollars: float | None
    seconds: float
    was_finished: bool
    files: int = 1
    unread: int = 0


class JobReporter:
    """Reports how far a job is, from any thread."""

    def __init__(
        self, on_progress: OnProgress | None, price: Callable[[int], float | None]
    ) -> None:
        self._on_progress = on_progress
        self._price = price
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._current = JobProgress("reading")

    def begin(self, stage: Stage, total: int | None, done: int = 0, tokens: int = 0) -> None:
        """Begin a stage."""
        with self._lock:
            self._began = time.monotonic()
            self._current = JobProgress(stage, done, total, done, tokens)
        self.add(0)

    def set_done(self, done: int) -> None:
        """Report that so many rows are done by now."""
        self.add(done - self._current.done)

    def add(self, rows: int, tokens: int = 0) -> None:
        """Report that so many more rows are done, at such a cost."""
        with self._lock:
            tokens += self._current.tokens
            self._current = replace(
                self._current,
                done=self._current.done + rows,
                tokens=tokens,
                dollars=self._price(tokens),
                seconds=time.monotonic() - self._began,
            )
            if self._on_progress is not None:
                self._on_progress(self._current)
