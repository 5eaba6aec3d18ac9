"""Run a job with the Batch API: submit the texts, wait for them, and store their vectors.

The job can be killed at any moment and resumed: the job's folder contains the state file of the
`BatchJob`, and journals with the fetched vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing

from voyage_rag.batch import BatchJob, BatchResult, JobStatus
from voyage_rag.bulk.run import JobRun
from voyage_rag.client import Voyage
from voyage_rag.io.tasks import in_thread
from voyage_rag.jobs.errors import JobError
from voyage_rag.types import Vector
from voyage_rag.usage import Usage

RESULTS_PER_WRITE = 256


def embed(voyage: Voyage, run: JobRun) -> None:
    """Create all vectors, and store them."""
    job = BatchJob.submit(voyage, run.all_texts(), run.batch_file, **run.arguments)
    status = job.wait(on_progress=lambda status: run.waited(status.completed))
    if status.failed and job.resubmit():  # once, because a batch may have expired
        job.wait(on_progress=lambda status: run.waited(status.completed))
    writer = ResultWriter(run)
    for result in job.results():
        writer.add(result)
    writer.end()


async def aembed(voyage: Voyage, run: JobRun) -> None:
    """Async variant of `embed`."""

    def on_progress(status: JobStatus) -> None:
        run.waited(status.completed)

    job = await BatchJob.asubmit(voyage, run.all_texts(), run.batch_file, **run.arguments)
    status = await job.await_(on_progress=on_progress)
    if status.failed and await job.aresubmit():
        await job.await_(on_progress=on_progress)
    writer = ResultWriter(run)
    async with aclosing(job.aresults()) as results:
        async for result in results:
            await in_thread(writer.add, result)
    await in_thread(writer.end)


class ResultWriter:
    """Stores results in the order of the rows."""

    def __init__(self, run: JobRun) -> None:
        self._run = run
        run.fetching()
        self._texts: Iterator[str] = run.texts()
        self._sent = -1
        self._row: int | None = None
        self._held: dict[int, Vector] = {}
        self._tokens = 0
        self._unfinished = 0
        self._next()

    def add(self, result: BatchResult) -> None:
        """Store the result of a row, unless it is already stored."""
        if result.index != self._row:
            return
        if result.failure is None:
            self._held[self._sent] = result.vector
            self._tokens += result.total_tokens
            if len(self._held) >= RESULTS_PER_WRITE:
                self._store()
        elif result.failure.is_refused:
            self._store()
            self._run.refused_in_batch(result.index, result.failure.message)
        else:
            self._unfinished += 1
        self._next()

    def end(self) -> None:
        """Store the remaining results.

        Raises:
            JobError: Some rows have no result.
        """
        self._store()
        if self._unfinished:
            raise JobError(
                f"{self._unfinished:,} texts have no result, because their batch expired or "
                "failed: run the job again to submit them again; finished vectors are kept"
            )
        self._run.is_embedded = True

    def _next(self) -> None:
        """Move to the next row without a vector."""
        self._row = None
        if next(self._texts, None) is not None:
            self._sent += 1
            self._row = self._run.store.row_of(self._sent)

    def _store(self) -> None:
        if self._held:
            usage = Usage(self._tokens, 1)
            self._run.add(list(self._held), list(self._held.values()), usage)
            self._held, self._tokens = {}, 0
