"""`BatchJob`: submit inputs as batches, monitor them, and return the results in order."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

from voyage_rag.batch import outcome
from voyage_rag.batch.endpoints import BatchOptions, endpoint_for
from voyage_rag.batch.state import IdType, JobState, StateFile
from voyage_rag.batch.submission import check_limits, check_same_job, estimated, prepare
from voyage_rag.batch.types import LIMITS, BatchEstimate, BatchLimits, BatchResult, JobStatus
from voyage_rag.batch.workflow import BatchWorkflow
from voyage_rag.client import Voyage
from voyage_rag.core.flow import Flow
from voyage_rag.core.jobs.batches import PollSchedule
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.tasks import iterate_in_thread, run_in_thread
from voyage_rag.models import Kind as ModelKind
from voyage_rag.models import OutputDtype
from voyage_rag.types import InputType

Inputs: TypeAlias = Iterable[str] | Iterable[Sequence[str]] | Iterable[tuple[str, Sequence[str]]]


class BatchJob:
    """A job with Voyage's Batch API that does not depend on the process.

    The state of a job is in its state file: a small private JSON file, which is written atomically
    and contains no keys or texts. The service keeps results for 30 days. One process at a time can
    work on a job; others can read its status. Each method that sends requests has an async variant
    with the prefix `a`; the one of `wait` is `await_`.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.batch import BatchJob
        >>> texts = ["Read a CSV file.", "Send an email."]
        >>> job = BatchJob.submit(Voyage(), texts, "corpus.job", model="voyage-4")
        >>> job = BatchJob.open(Voyage(), "corpus.job")  # later, in any process
        >>> job.wait().state
        'ended'
        >>> [len(result.vector) for result in job.results()]
        [1024, 1024]
    """

    def __init__(self, voyage: Voyage, file: StateFile, state: JobState) -> None:
        """See `submit` and `open`."""
        if state.host != (host := voyage.settings.host.hostname):
            raise InvalidInputError(
                f"the job {str(file.path)!r} was submitted to {state.host}, not to {host}: use the "
                "same key or base_url"
            )
        self._voyage = voyage
        self._file = file
        self._endpoint = endpoint_for(BatchOptions(**state.params))
        self._workflow = BatchWorkflow(voyage.job_context, state, file)

    def __repr__(self) -> str:
        file = getattr(self, "_file", None)  # None while the job is being constructed
        return f"BatchJob({str(file.path) if file else ''!r})"

    @property
    def path(self) -> Path:
        """The state file."""
        return self._file.path

    @property
    def kind(self) -> ModelKind:
        """The kind of results: `embedding`, `contextualized` or `rerank`."""
        return self._endpoint.model_kind

    @property
    def id_type(self) -> IdType:
        """The Arrow type of the given ids, which are sent as strings."""
        return self._workflow.state.id_type

    @classmethod
    def open(cls, voyage: Voyage, state_file: str | os.PathLike[str]) -> Self:
        """Open a job that any process submitted before. Nothing is sent.

        Raises:
            InvalidInputError: The file is missing or not a state file, or belongs to another host.
        """
        file = StateFile(state_file)
        return cls(voyage, file, file.load())

    @classmethod
    def estimate(
        cls,
        inputs: Inputs,
        *,
        model: str,
        custom_ids: Iterable[str | int] | None = None,
        limits: BatchLimits = LIMITS,
        state_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> BatchEstimate:
        """Estimate the size and price of a job.

        Everything is checked as in `submit`. Nothing is sent or written.

        Args:
            inputs: As for `submit`.
            model: As for `submit`.
            custom_ids: As for `submit`.
            limits: As for `submit`.
            state_file: The state file of the planned job, to check that it belongs to no other job.
            options: The other options of `submit`.

        Raises:
            InvalidInputError: As for `submit`.
        """
        check_limits(limits)
        endpoint = endpoint_for(BatchOptions(model, **options))
        if state_file is not None:
            check_same_job(StateFile(state_file), endpoint, limits)
        return estimated(endpoint, inputs, custom_ids, limits)

    @classmethod
    def submit(
        cls,
        voyage: Voyage,
        inputs: Inputs,
        state_file: str | os.PathLike[str],
        *,
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        top_k: int | None = None,
        custom_ids: Iterable[str | int] | None = None,
        limits: BatchLimits = LIMITS,
    ) -> Self:
        """Check all inputs, divide them into batches, upload them, and create the batches.

        As many batches as the account allows are created immediately, the others by `wait`. A text
        that equals one of the last 8,192 different texts of its batch is not sent again. To resume,
        call `submit` again with the same arguments: no batch is created twice. If the creation of a
        batch received no response, an error is raised for ten minutes, until its outcome is known.

        Args:
            voyage: The client.
            inputs: Any iterable, which is read once, in constant memory. Texts for an embedding
                model, lists of chunks for a contextualized model, pairs of a query and its
                documents for a reranker.
            state_file: Path of the state file. Inputs are stored in `<state_file>.parts` until
                their batch is created.
            model: An embedding, contextualized or rerank model, which determines the endpoint.
            input_type: As for `Voyage.embed`.
            truncation: As for `Voyage.embed` and `Voyage.rerank`.
            output_dtype: As for `Voyage.embed`.
            output_dimension: As for `Voyage.embed`.
            top_k: As for `Voyage.rerank`.
            custom_ids: A unique string or integer per input. Default: the position of the input.
            limits: The size of a batch, and the number of concurrent batches.

        Raises:
            InvalidInputError: An input is invalid, or its id is not unique (the message names its
                position; nothing was uploaded), or the state file belongs to another job.
            VoyageError: The service did not return a usable response. Call again to resume.
        """
        options = BatchOptions(model, input_type, truncation, output_dtype, output_dimension, top_k)
        file = StateFile(state_file)
        with file.locked():
            job = cls._prepared(voyage, inputs, file, options, custom_ids, limits)
            voyage.driver.run(job._workflow.advance())  # noqa: SLF001 - its own
        return job

    @classmethod
    async def asubmit(
        cls,
        voyage: Voyage,
        inputs: Inputs,
        state_file: str | os.PathLike[str],
        *,
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        top_k: int | None = None,
        custom_ids: Iterable[str | int] | None = None,
        limits: BatchLimits = LIMITS,
    ) -> Self:
        """Async variant of `submit`. A worker thread reads the inputs."""
        options = BatchOptions(model, input_type, truncation, output_dtype, output_dimension, top_k)
        file = StateFile(state_file)
        with file.locked():
            job = await run_in_thread(
                partial(cls._prepared, voyage, inputs, file, options, custom_ids, limits)
            )
            await voyage.driver.arun(job._workflow.advance())  # noqa: SLF001 - its own
        return job

    @classmethod
    def _prepared(
        cls,
        voyage: Voyage,
        inputs: Inputs,
        file: StateFile,
        options: BatchOptions,
        custom_ids: Iterable[str | int] | None,
        limits: BatchLimits,
    ) -> Self:
        check_limits(limits)
        host, now = voyage.settings.host.hostname, voyage.job_context.policy.wall_clock()
        state = prepare(endpoint_for(options), inputs, custom_ids, file, limits, host, now)
        return cls(voyage, file, state)

    def status(self) -> JobStatus:
        """Request the current status of the job."""
        return self._run(self._workflow.refresh())

    async def astatus(self) -> JobStatus:
        """Async variant of `status`."""
        return await self._arun(self._workflow.refresh())

    def wait(
        self,
        *,
        timeout: float | None = None,
        poll_interval: float = 60.0,
        on_progress: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Wait until all batches have ended, and create pending ones as the account allows.

        The status is polled every two seconds at first, and less often later. Polling continues if
        the service is unavailable for up to an hour.

        Args:
            timeout: Seconds to wait. None waits without a limit.
            poll_interval: Maximum number of seconds between two requests.
            on_progress: Called with the status after each request.

        Raises:
            Timeout: The job did not end in time. It keeps running: call `wait` again.
        """
        schedule = PollSchedule(timeout, poll_interval)
        with self._file.locked():
            return self._run(self._workflow.wait(schedule, on_progress))

    async def await_(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as `wait`
        poll_interval: float = 60.0,
        on_progress: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Async variant of `wait`."""
        schedule = PollSchedule(timeout, poll_interval)
        with self._file.locked():
            return await self._arun(self._workflow.wait(schedule, on_progress))

    def cancel(self) -> JobStatus:
        """Cancel every batch that has not ended. Finished results can still be fetched."""
        with self._file.locked():
            return self._run(self._workflow.cancel())

    async def acancel(self) -> JobStatus:
        """Async variant of `cancel`."""
        with self._file.locked():
            return await self._arun(self._workflow.cancel())

    def results(self) -> Iterator[BatchResult]:
        """Yield the result of each input in order, in constant memory.

        Failed inputs are included (see `BatchResult.failure`), those of running batches with the
        code `pending`. The files of one batch at a time are stored next to the state file, and
        removed at the end.
        """
        driver = self._voyage.driver
        self._reload()
        driver.run(self._workflow.refresh())
        with outcome.directory_of(self._workflow) as directory:
            for part in self._workflow.state.own_parts:
                fetched = driver.run(outcome.fetch(self._workflow, part, directory))
                yield from outcome.results_of(self._workflow, self._endpoint, part, fetched)
                outcome.remove(fetched, self._file.spooled(part))

    async def aresults(self) -> AsyncGenerator[BatchResult]:
        """Async variant of `results`. A worker thread reads the files."""
        driver = self._voyage.driver
        self._reload()
        await driver.arun(self._workflow.refresh())
        with outcome.directory_of(self._workflow) as directory:
            for part in self._workflow.state.own_parts:
                fetched = await driver.arun(outcome.fetch(self._workflow, part, directory))
                found = iterate_in_thread(
                    outcome.results_of(self._workflow, self._endpoint, part, fetched)
                )
                async with aclosing(found) as results:
                    async for result in results:
                        yield result
                outcome.remove(fetched, self._file.spooled(part))

    def resubmit(self, *, include_refused: bool = False) -> int:
        """Submit the failed inputs again, as new batches of this job, and return their number.

        Only batches that have ended are considered. Call `wait` again for the new ones.

        Args:
            include_refused: Include inputs that the service rejected (4xx), although it would
                reject them again.
        """
        with self._file.locked(), outcome.directory_of(self._workflow) as directory:
            self._reload()
            flow = outcome.resubmit(self._workflow, self._endpoint, directory, include_refused)
            return self._voyage.driver.run(flow)

    async def aresubmit(self, *, include_refused: bool = False) -> int:
        """Async variant of `resubmit`."""
        with self._file.locked(), outcome.directory_of(self._workflow) as directory:
            self._reload()
            flow = outcome.resubmit(self._workflow, self._endpoint, directory, include_refused)
            return await self._voyage.driver.arun(flow)

    def delete_files(self) -> int:
        """Delete the files of an ended job at the service, and return their number.

        Raises:
            InvalidInputError: Some batches have not ended. Nothing was deleted.
        """
        with self._file.locked():
            self._reload()
            return self._voyage.driver.run(self._workflow.delete_files())

    async def adelete_files(self) -> int:
        """Async variant of `delete_files`."""
        with self._file.locked():
            self._reload()
            return await self._voyage.driver.arun(self._workflow.delete_files())

    def _run(self, flow: Flow[None]) -> JobStatus:
        self._reload()
        self._voyage.driver.run(flow)
        return self._workflow.status()

    async def _arun(self, flow: Flow[None]) -> JobStatus:
        self._reload()
        await self._voyage.driver.arun(flow)
        return self._workflow.status()

    def _reload(self) -> None:
        """Read the state file again, because another process may have changed it."""
        self._workflow.state = self._file.load()
