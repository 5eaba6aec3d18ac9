"""A job: one file or folder embedded into another, killed and run again as often as it takes."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from voyage_rag.bulk import batches
from voyage_rag.bulk.errors import JobError
from voyage_rag.bulk.estimate import Estimate, estimate
from voyage_rag.bulk.folder import JobFolder
from voyage_rag.bulk.options import JobOptions
from voyage_rag.bulk.outputs import output_format
from voyage_rag.bulk.planning import opened, planned
from voyage_rag.bulk.progress import ProgressReporter
from voyage_rag.bulk.run import Run
from voyage_rag.client import Voyage
from voyage_rag.errors import InvalidRequestError, VoyageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voyage_rag.bulk.progress import JobReport, OnProgress

    Location = str | os.PathLike[str]

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class EmbeddingJob:
    """The texts of a file or folder, embedded into another.

        job = EmbeddingJob("passages.parquet", "vectors.parquet", model="voyage-4")
        print(job.estimate())
        report = job.run()

    A job can be killed at any moment. Run again, with the same options, it goes on: only requests
    that were in flight are paid twice, and the output is the same byte for byte as long as the
    service gives the same vectors. What it needs for that is in the folder `<output>.job`.

    The output has the columns `id` and `embedding`, rows in the order of the input. It appears when
    it is complete.

    Args:
        input: JSON Lines, CSV, TSV or a file with a text on each line, each also packed (`.gz`);
            Parquet, a folder of Parquet files, or a folder of texts (.txt, .md, .rst); `-` for
            stdin.
        output: A Parquet file (`.parquet`), a folder of such (no suffix), JSON Lines (`.jsonl`), or
            a NumPy matrix (`.npy`) with the names beside it (`.npy.ids.jsonl`).
        options: The attributes of `JobOptions`; `model` is required.

    Raises:
        JobError: An option cannot work.
        InvalidInputError: The model does not offer that.
    """

    def __init__(self, input: Location, output: Location, **options: Any) -> None:  # noqa: A002
        self.options = JobOptions.of(**options)
        self.input = Path(input)
        self.output = Path(output)
        self._form = output_format(self.output, self.options.output_format)

    def estimate(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        tokenizer: Location | None = None,
        on_progress: OnProgress | None = None,
    ) -> Estimate:
        """Read and check the whole input, and say what the job would take. Nothing is sent.

        Args:
            requests_per_minute: The account's limit; that of usage tier 1 if neither is given.
            tokens_per_minute: The same, of tokens.
            tokenizer: The model's `tokenizer.json`, to count tokens instead of estimating them.
            on_progress: Told how far it is.

        Raises:
            JobError: The input cannot be read.
        """
        with (
            self._explained(),
            tempfile.TemporaryDirectory() as temporary,
            JobFolder(Path(temporary)) as folder,
        ):
            source, _ = opened(self.input, self.options, folder)
            telling = ProgressReporter(on_progress, lambda _: None)
            plan = planned(source, None if tokenizer is None else str(tokenizer), folder, telling)
            return estimate(
                plan,
                self.options,
                requests_per_minute,
                tokens_per_minute,
                counted=tokenizer is not None,
            )

    def run(
        self, voyage: Voyage | None = None, *, on_progress: OnProgress | None = None
    ) -> JobReport:
        """Do the job, or what is left of it.

        Args:
            voyage: The client; one of the environment's settings unless given.
            on_progress: Told how far it is, with every answer, by whatever thread.

        Raises:
            JobError: It cannot begin or go on; what was finished is kept.
            VoyageError: The service could not be had to answer; what was finished is kept.
        """
        voyage = voyage or Voyage()
        with self._explained(), self._folder() as folder:
            run = self._run(voyage, folder, on_progress)
            try:
                run.prepare()
                if self.options.engine == "batch" and not run.is_embedded:
                    batches.embed(voyage, run)
                while not run.is_embedded:
                    try:
                        voyage.embed_into(
                            run.take, run.texts(), batch_size=run.batch_size, **run.arguments
                        )
                        run.is_embedded = True
                    except InvalidRequestError as error:
                        run.refused(error)
                return run.finish()
            finally:
                run.close()

    async def arun(
        self, voyage: Voyage | None = None, *, on_progress: OnProgress | None = None
    ) -> JobReport:
        """Async twin of `run`."""
        voyage, in_thread = voyage or Voyage(), anyio.to_thread.run_sync
        with self._explained(), self._folder() as folder:
            run = self._run(voyage, folder, on_progress)
            try:
                await in_thread(run.prepare)
                if self.options.engine == "batch" and not run.is_embedded:
                    await batches.aembed(voyage, run)
                while not run.is_embedded:
                    try:
                        await voyage.aembed_into(
                            run.take, run.texts(), batch_size=run.batch_size, **run.arguments
                        )
                        run.is_embedded = True
                    except InvalidRequestError as error:
                        await in_thread(run.refused, error)
                return await in_thread(run.finish)
            finally:
                run.close()

    def _folder(self) -> JobFolder:
        return JobFolder(self.output.with_name(self.output.name + ".job"))

    def _run(self, voyage: Voyage, folder: JobFolder, on_progress: OnProgress | None) -> Run:
        return Run(
            self.input,
            self.output,
            self._form,
            self.options,
            voyage.settings,
            folder,
            on_progress,
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Reservation errors of the disk into errors of the job."""
        try:
            yield
        except OSError as error:
            if isinstance(error, VoyageError):
                raise
            if error.errno in NO_ROOM:
                raise JobError(self._told_of_full_disk) from error
            named = f" {error.filename!r}" if error.filename else ""
            raise JobError(f"cannot use{named}: {error.strerror or error}") from error
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise JobError(self._told_of_full_disk) from error
            raise JobError(f"cannot compare names in {str(self.output)!r}.job: {error}") from error

    @property
    def _told_of_full_disk(self) -> str:
        return (
            f"the disk of {str(self.output.parent)!r} is full: make room and run the job again; "
            "what is finished is kept"
        )


def embed_file(
    input: Location,  # noqa: A002 - what it is called everywhere
    output: Location,
    voyage: Voyage | None = None,
    *,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> JobReport:
    """Embed the texts of a file or folder into another: `EmbeddingJob(...).run(...)`."""
    return EmbeddingJob(input, output, **options).run(voyage, on_progress=on_progress)


async def aembed_file(
    input: Location,  # noqa: A002 - what it is called everywhere
    output: Location,
    voyage: Voyage | None = None,
    *,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> JobReport:
    """Async twin of `embed_file`."""
    return await EmbeddingJob(input, output, **options).arun(voyage, on_progress=on_progress)
