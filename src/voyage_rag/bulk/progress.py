"""The progress and the result of a job."""

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
    """The progress of a job.

    Attributes:
        stage: `reading` (and checking all rows), `waiting` (for the Batch API), `embedding`
            (with the Batch API: fetching vectors), or `writing` (the output).
        done: Number of rows that are done in this stage.
        total: Number of rows; None while they are being counted.
        done_before: Number of rows that were done before this run.
        tokens: Tokens billed so far, in all runs.
        dollars: Their list price; None if it is unknown.
        seconds: Seconds since the start of the stage in this run.

    Examples:
        >>> from voyage_rag.bulk import embed_file
        >>> stages = []
        >>> report = embed_file(
        ...     "passages.jsonl",
        ...     "vectors.parquet",
        ...     model="voyage-4",
        ...     on_progress=lambda progress: stages.append(progress.stage),
        ... )
        >>> list(dict.fromkeys(stages))
        ['reading', 'embedding', 'writing']
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
        """Rows per second in this run; None at its start."""
        done = self.done - self.done_before
        return done / self.seconds if done > 0 and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left in seconds; None at the start of a run."""
        if self.total is None or self.rows_per_second is None:
            return None
        return (self.total - self.done) / self.rows_per_second


OnProgress: TypeAlias = Callable[[JobProgress], None]


@dataclass(frozen=True, slots=True)
class JobReport:
    """The result of a job.

    Attributes:
        output: The file or folder with the vectors.
        texts: Number of vectors in it.
        refused: Number of rows that are not in it.
        refused_file: The file with these rows; None if there are none.
        tokens: Tokens billed, in all runs.
        requests: Number of successful requests, in all runs.
        dollars: The list price; None if it is unknown.
        seconds: Duration of this run.
        was_finished: Whether the job was finished before this run, which then did nothing.
        files: Number of files that were read.
        unread: Number of files in input folders that have another format.
        damaged: Number of files that could not be read to their end.

    Examples:
        >>> from voyage_rag.bulk import embed_file
        >>> report = embed_file("passages.jsonl", "vectors.parquet", model="voyage-4")
        >>> report.texts, report.requests, report.was_finished
        (1, 1, False)
        >>> embed_file("passages.jsonl", "vectors.parquet", model="voyage-4").was_finished
        True
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
    damaged: int = 0


class JobReporter:
    """Reports progress from any thread."""

    def __init__(
        self, on_progress: OnProgress | None, price: Callable[[int], float | None]
    ) -> None:
        self._on_progress = on_progress
        self._price = price
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._current = JobProgress("reading")

    def begin(self, stage: Stage, total: int | None, done: int = 0, tokens: int = 0) -> None:
        """Start a stage."""
        with self._lock:
            self._began = time.monotonic()
            self._current = JobProgress(stage, done, total, done, tokens)
        self.add(0)

    def set_done(self, done: int) -> None:
        """Set the number of rows that are done."""
        self.add(done - self._current.done)

    def add(self, rows: int, tokens: int = 0) -> None:
        """Add rows that are done, and their cost."""
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
