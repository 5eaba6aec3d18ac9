"""`BatchJob`: inputs cut into batches, sent, watched, and their results in their order."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from voyage_rag.batch import outcome
from voyage_rag.batch.endpoints import BatchOptions, endpoint_for
from voyage_rag.batch.state import JobState, StateFile
from voyage_rag.batch.submission import check_limits, check_same_job, estimated, prepare
from voyage_rag.batch.types import LIMITS, BatchEstimate, BatchLimits
from voyage_rag.batch.workflow import BatchWorkflow
from voyage_rag.core.jobs.batches import PollSchedule
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.tasks import iterate_in_thread, run_in_thread

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from voyage_rag.batch.state import IdType
    from voyage_rag.batch.types import BatchResult, JobStatus
    from voyage_rag.client import Voyage
    from voyage_rag.core.flow import Flow
    from voyage_rag.models import Kind as ModelKind
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import InputType

    Inputs: TypeAlias = (
        Iterable[str] | Iterable[Sequence[str]] | Iterable[tuple[str, Sequence[str]]]
    )


class BatchJob:
    """Work for Voyage's batch engine that outlives this process.

    Everything a job needs to be picked up is in its state file: a small JSON file, private, written
    whole or not at all, without keys and texts. Results are at the service for 30 days. One process
    at a time works on a job; others may look.

    Every verb that talks to the service has an async variant whose name starts with an `a`
    (`asubmit`, `aresults`, ...; that of `wait` is `await_`).
    """

    def __init__(self, voyage: Voyage, file: StateFile, state: JobState) -> None:
        """See `submit` and `open`."""
        if state.host != (host := voyage.settings.host.hostname):
            message = f"the job {str(file.path)!r} is at {state.host}, not at {host}: "
            raise InvalidInputError(f"{message}use the key or base_url it was submitted with")
        self._voyage = voyage
        self._file = file
        self._endpoint = endpoint_for(BatchOptions(**state.params))
        self._workflow = BatchWorkflow(voyage.job_context, state, file)

    def __repr__(self) -> str:
        file = getattr(self, "_file", None)  # of a job half made, none yet
        return f"BatchJob({str(file.path) if file else ''!r})"

    @property
    def path(self) -> Path:
        """The state file."""
        return self._file.path

    @property
    def kind(self) -> ModelKind:
        """What it makes: `embedding`, `contextualized` or `rerank`."""
        return self._endpoint.model_kind

    @property
    def id_type(self) -> IdType:
        """The type that the names of its inputs had, as Arrow calls it; they travel as strings."""
        return self._workflow.state.id_type

    @classmethod
    def open(cls, voyage: Voyage, state_file: str | os.PathLike[str]) -> Self:
        """A job that was submitted before, by whatever process. Nothing is sent.

        Raises:
            InvalidInputError: There is no such file, or it is no job's, or of another host.
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
        """What a job would take. Everything is checked as by `submit`; nothing is sent or written.

        Args:
            inputs: As for `submit`.
            model: As for `submit`.
            custom_ids: As for `submit`.
            limits: As for `submit`.
            state_file: Where the job would be kept, to see whether another job is there.
            options: The other options of `submit`.

        Raises:
            InvalidInputError: As for `submit`.
        """
        check_limits(limits)
        endpoint = endpoint_for(BatchOptions(model, **options))
        if state_file is not None:
            check_same_job(StateFile(state_file), endpoint, limits)
        return estimated(endpoint, inputs, custom_ids, limits)

    # ── submitted ─────────────────────────────────────────────────────────────────────────────────

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
        """Check all inputs, cut them into batches, upload these and create as many as may run.

        Killed at any moment and called again with the same arguments it resumes: no
        batch is created twice. Of a batch whose creation was not answered that is only sure after
        ten minutes; until then an error says so.

        Args:
            voyage: The client.
            inputs: Any iterable, read once, in constant memory. Texts for an embedding model, a
                list of chunks per document for a contextualized one, pairs of a query and its
                documents for a reranker.
            state_file: Where the job is kept. Inputs wait beside it, in `<state_file>.parts`, until
                their batch is created.
            model: An embedding, contextualized or rerank model, which says which endpoint.
            input_type: As for `Voyage.embed`.
            truncation: As for `Voyage.embed` and `Voyage.rerank`.
            output_dtype: As for `Voyage.embed`.
            output_dimension: As for `Voyage.embed`.
            top_k: As for `Voyage.rerank`.
            custom_ids: One name per input, strings or whole numbers, no two alike; their positions
                in digits unless given.
            limits: How much goes into one batch, and runs at once.

        Raises:
            InvalidInputError: An input cannot be embedded or its name is taken: its position is
                named, nothing was uploaded. Or the state file belongs to another job.
            VoyageError: The service did not return a usable response; call again to resume.
        """
        options = BatchOptions(model, input_type, truncation, output_dtype, output_dimension, top_k)
        file = StateFile(state_file)
        with file.held():
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
        """Async variant of `submit`. Inputs are read in a thread."""
        options = BatchOptions(model, input_type, truncation, output_dtype, output_dimension, top_k)
        file = StateFile(state_file)
        with file.held():
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

    # ── watched ───────────────────────────────────────────────────────────────────────────────────

    def status(self) -> JobStatus:
        """Ask the service where the job stands."""
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
        """Wait until every batch has ended, creating those that the account could not have before.

        Looks are two seconds apart at first, `poll_interval` in the end. The service may be away
        for an hour at a time.

        Args:
            timeout: Seconds to wait, None for as long as it takes.
            poll_interval: Most seconds between two looks.
            on_progress: Called after every look.

        Raises:
            Timeout: It has not ended in time. Nothing is lost: wait again.
        """
        schedule = PollSchedule(timeout, poll_interval)
        with self._file.held():
            return self._run(self._workflow.wait(schedule, on_progress))

    async def await_(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as its twin
        poll_interval: float = 60.0,
        on_progress: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Async variant of `wait`."""
        schedule = PollSchedule(timeout, poll_interval)
        with self._file.held():
            return await self._arun(self._workflow.wait(schedule, on_progress))

    def cancel(self) -> JobStatus:
        """Cancel every batch that has not ended. What is finished can still be fetched."""
        with self._file.held():
            return self._run(self._workflow.cancel())

    async def acancel(self) -> JobStatus:
        """Async variant of `cancel`."""
        with self._file.held():
            return await self._arun(self._workflow.cancel())

    # ── fetched ───────────────────────────────────────────────────────────────────────────────────

    def results(self) -> Iterator[BatchResult]:
        """What became of each input, in their order, in constant memory.

        Inputs that failed are among them (see `BatchResult.failure`). Those of batches that have
        not ended have a failure with the code `pending`. One batch after the other is
        downloaded into a directory beside the state file, which is removed in the end.
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
        """Async variant of `results`. Files are read in threads."""
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
        """Submit the inputs that failed once more, as new batches of this job; how many they are.

        Only batches that have ended are looked at; `wait` again for the new ones.

        Args:
            include_refused: Those, too, that the service refused for what they are (a 4xx): they
                would be refused again.
        """
        with self._file.held(), outcome.directory_of(self._workflow) as directory:
            self._reload()
            flow = outcome.resubmit(self._workflow, self._endpoint, directory, include_refused)
            return self._voyage.driver.run(flow)

    async def aresubmit(self, *, include_refused: bool = False) -> int:
        """Async variant of `resubmit`."""
        with self._file.held(), outcome.directory_of(self._workflow) as directory:
            self._reload()
            flow = outcome.resubmit(self._workflow, self._endpoint, directory, include_refused)
            return await self._voyage.driver.arun(flow)

    def delete_files(self) -> int:
        """Delete the job's files at the service; how many there were. Fetch the results before."""
        self._reload()
        return self._voyage.driver.run(self._workflow.delete_files())

    async def adelete_files(self) -> int:
        """Async variant of `delete_files`."""
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
        """Another process may have continued the job."""
        self._workflow.state = self._file.load()
