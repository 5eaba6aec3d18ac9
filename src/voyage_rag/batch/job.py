"""A job: inputs cut into batches, sent, watched, and their results in the order of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voyage_rag.batch.types import LIMITS, BatchLimits

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence

    from voyage_rag.batch.types import BatchResult, Estimate, JobStatus
    from voyage_rag.client import Voyage
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import InputType


class BatchJob:
    """Work for Voyage's batch engine that outlives this process.

    Everything a job needs to be picked up is in its state file: a small JSON file, private, written
    whole or not at all, without keys and texts. Every verb but `open` has an async twin whose name
    starts with an `a` (`asubmit`, `aresults`, ...; that of `wait` is `await_`).
    """

    @classmethod
    def submit(
        cls,
        voyage: Voyage,
        inputs: Iterable[str] | Iterable[Sequence[str]] | Iterable[tuple[str, Sequence[str]]],
        state_file: str | os.PathLike[str],
        *,
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        top_k: int | None = None,
        custom_ids: Iterable[str] | None = None,
        limits: BatchLimits = LIMITS,
    ) -> BatchJob:
        """Check all inputs, cut them into batches, upload these and create as many as may run.

        Killed at any moment and called again with the same arguments it goes on where it was: no
        batch is created twice.

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
            custom_ids: One name per input, no two alike; their positions in digits unless given.
            limits: How much goes into one batch, and runs at once.

        Raises:
            InvalidInputError: An input cannot be embedded or its name is taken: its position is
                named, nothing was uploaded. Or the state file belongs to another job.
            VoyageError: The service could not be had to answer; call again to go on.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, voyage: Voyage, state_file: str | os.PathLike[str]) -> BatchJob:
        """A job that was submitted before, by whatever process. Nothing is sent.

        Raises:
            InvalidInputError: There is no such file, or it is no job's, or of another host.
        """
        raise NotImplementedError

    @classmethod
    def estimate(
        cls,
        inputs: Iterable[str] | Iterable[Sequence[str]] | Iterable[tuple[str, Sequence[str]]],
        *,
        model: str,
        limits: BatchLimits = LIMITS,
    ) -> Estimate:
        """What a job would take. Nothing is sent or written."""
        raise NotImplementedError

    def status(self) -> JobStatus:
        """Ask the service where the job stands."""
        raise NotImplementedError

    def wait(
        self,
        *,
        timeout: float | None = None,
        poll_interval: float = 60.0,
        on_progress: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """Wait until every batch has ended, creating those for which there was no room before.

        Args:
            timeout: Seconds to wait, None for as long as it takes.
            poll_interval: Seconds between two looks; shorter at first.
            on_progress: Told after every look.

        Raises:
            Timeout: It has not ended in time. Nothing is lost: wait again.
        """
        raise NotImplementedError

    def results(self) -> Iterator[BatchResult]:
        """What became of each input, in their order, in constant memory.

        Inputs that failed are among them (see `BatchResult.failure`). Those of batches that have
        not ended count as failed, with the code `unfinished`.
        """
        raise NotImplementedError

    def aresults(self) -> AsyncGenerator[BatchResult]:
        """Async twin of `results`."""
        raise NotImplementedError

    def resubmit(self, *, include_refused: bool = False) -> int:
        """Submit the inputs that failed once more, as new batches of this job; how many they are.

        Args:
            include_refused: Those, too, that the service refused for what they are (a 4xx): they
                would be refused again.
        """
        raise NotImplementedError

    def cancel(self) -> JobStatus:
        """Cancel every batch that has not ended. What is finished can still be fetched."""
        raise NotImplementedError

    def delete_files(self) -> int:
        """Delete the job's files at the service; how many there were. Fetch the results before."""
        raise NotImplementedError
