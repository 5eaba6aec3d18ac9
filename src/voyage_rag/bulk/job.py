"""A job: embed files into a file or folder, and resume after an interruption."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from voyage_rag.bulk import batch_engine
from voyage_rag.bulk.estimate import Estimate, estimate
from voyage_rag.bulk.job_folder import JobFolder
from voyage_rag.bulk.options import JobOptions, JobSpec
from voyage_rag.bulk.outputs import format_of
from voyage_rag.bulk.preparation import Preparation, check_disk_space, collecting
from voyage_rag.bulk.progress import JobReport, JobReporter, OnProgress
from voyage_rag.bulk.run import JobRun
from voyage_rag.client import Voyage
from voyage_rag.errors import InvalidRequestError, VoyageError
from voyage_rag.io.tasks import in_thread
from voyage_rag.jobs.errors import DamagedFileError, JobError
from voyage_rag.jobs.files import is_special
from voyage_rag.jobs.inputs.discovery import is_url
from voyage_rag.jobs.inputs.rows import is_utf8
from voyage_rag.jobs.inputs.spool import is_stream

Location: TypeAlias = str | os.PathLike[str]

STDOUT = Path("-")
FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class EmbeddingJob:
    """Embeds the texts of files and folders into a file or folder.

    A job can be killed at any moment. If it runs again with the same options, it resumes: only
    requests that were in flight are paid twice, and the output is identical as long as the service
    returns the same vectors. The state of the job is in the folder `<output>.job`.

    The output has the columns `id` and `embedding` and those in `keep`, with rows in the order of
    the input. It appears when it is complete.

    Args:
        input: A file, folder or glob, or a list of these; `-` is stdin. Supported formats are JSON
            Lines, JSON arrays, CSV, TSV, Parquet, Arrow and files with one text per line. Text
            files may be compressed (`.gz`, `.bz2`, `.xz`, `.zst`). Folders are read recursively:
            tables of one format, or text files (.txt, .md, .rst); names that begin with `.` or `_`
            are ignored.
        output: A Parquet file (`.parquet`), a folder of Parquet files (no suffix), JSON Lines
            (`.jsonl`), a NumPy matrix (`.npy`) with the ids in a second file (`.npy.ids.jsonl`), or
            `-` for JSON Lines on stdout.
        options: The attributes of `JobOptions`; `model` is required.

    Raises:
        JobError: An option is invalid.
        InvalidInputError: The model does not support an option.

    Setup:
        Run `pip install 'voyage-rag[bulk]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from voyage_rag.bulk import EmbeddingJob
        >>> job = EmbeddingJob("passages.jsonl", "vectors.parquet", model="voyage-4")
        >>> job.estimate().texts
        1
        >>> report = job.run()
        >>> report.texts, report.output.name
        (1, 'vectors.parquet')
    """

    def __init__(
        self,
        input: Location | Sequence[Location],  # noqa: A002 - the usual name
        output: Location,
        **options: Any,
    ) -> None:
        self.options: JobOptions = JobOptions.of(**options)
        is_one = any(hasattr(input, name) for name in ("split", "read", "columns", "keys"))
        given: list[Any] = list(input) if isinstance(input, Iterable) and not is_one else [input]
        if not given:
            raise JobError("there is no input: pass a file, a folder or a glob")
        self.inputs: list[Path] = [_path(path) for path in given]
        self.output: Path = _path(output)
        if not self.output.name:
            raise JobError(f"the output {str(output)!r} has no name: pass a file or a new folder")
        self._to_stdout = self.output == STDOUT
        self._is_from_stream = any(map(is_stream, self.inputs))
        if not self._to_stdout:
            self.output = _writable(self.output)
        else:
            if self.options.output_format not in {None, "jsonl"}:
                raise JobError(
                    "the output on stdout is JSON Lines: omit output_format, or pass a file"
                )
            if not hasattr(sys.stdout, "buffer"):
                raise JobError("stdout is closed, or accepts only text: pass a file as output")
            self.output = self._file_for_stdout()
        form = format_of(self.output, self.options.output_format)
        if form in {"parquet", "dataset"} and not is_utf8(str(self.output.absolute())):
            raise JobError(
                f"the path {str(self.output)!r} is not UTF-8, which Parquet requires: choose "
                "another output"
            )
        self._spec = JobSpec(self.inputs, self.output, form, self.options)

    def estimate(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        tokenizer: Location | None = None,
        host: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Estimate:
        """Read and check the whole input, and estimate the job. Nothing is sent.

        Args:
            requests_per_minute: The account's limit. Default: that of usage tier 1.
            tokens_per_minute: The account's limit of tokens.
            tokenizer: Path of the model's `tokenizer.json`, to count tokens instead of estimating
                them.
            host: The host of the planned run, to recognise an existing job. Default: any host.
            on_progress: Called with the progress.

        Raises:
            JobError: The input cannot be read.
        """
        options, problems = self.options, list[str]()
        with (
            self._explained(),
            tempfile.TemporaryDirectory() as temporary,
            JobFolder(Path(temporary) / "job") as scratch,
        ):
            preparation = Preparation(
                self._spec,
                self._folder(),
                scratch,
                JobReporter(on_progress, lambda _: None),
                None if tokenizer is None else str(tokenizer),
                problems,
            )
            _, manifest, _ = preparation.prepare(host, rescan=True)
        summary, each = manifest.summary, None
        if options.length is not None:
            schema = options.output_schema(summary)
            each = schema.bytes_in(self._spec.form, options.length)
            with collecting(problems):
                check_disk_space(self.output.absolute(), summary.rows * each)
        return estimate(
            summary,
            options,
            requests_per_minute,
            tokens_per_minute,
            is_counted=tokenizer is not None,
            bytes_per_vector=each,
            problems=tuple(problems),
        )

    def run(
        self, voyage: Voyage | None = None, *, on_progress: OnProgress | None = None
    ) -> JobReport:
        """Run the job, or the rest of it.

        Args:
            voyage: The client. Default: a client with the settings of the environment.
            on_progress: Called with the progress after each response, by any thread.

        Raises:
            JobError: The job cannot start or resume. Finished vectors are kept.
            VoyageError: The service did not return a usable response. Finished vectors are kept.
        """
        voyage = voyage or Voyage()
        with self._begun(voyage, on_progress) as run:
            run.prepare()
            if self.options.engine == "batch" and not run.is_embedded:
                batch_engine.embed(voyage, run)
            while not run.is_embedded:
                try:
                    voyage.embed_into(
                        run.add, run.texts(), batch_size=run.batch_size, **run.arguments
                    )
                    run.is_embedded = True
                except InvalidRequestError as error:
                    run.refused(error)
            report = run.finish()
        self._write_to_stdout()
        return report

    async def arun(
        self, voyage: Voyage | None = None, *, on_progress: OnProgress | None = None
    ) -> JobReport:
        """Async variant of `run`."""
        voyage = voyage or Voyage()
        with self._begun(voyage, on_progress) as run:
            await in_thread(run.prepare)
            if self.options.engine == "batch" and not run.is_embedded:
                await batch_engine.aembed(voyage, run)
            while not run.is_embedded:
                try:
                    await voyage.aembed_into(
                        run.add, run.texts(), batch_size=run.batch_size, **run.arguments
                    )
                    run.is_embedded = True
                except InvalidRequestError as error:
                    await in_thread(run.refused, error)
            report = await in_thread(run.finish)
        await in_thread(self._write_to_stdout)
        return report

    @contextmanager
    def _begun(self, voyage: Voyage, on_progress: OnProgress | None) -> Iterator[JobRun]:
        try:
            with (
                self._explained(),
                self._folder() as folder,
                closing(JobRun(self._spec, voyage.settings, folder, on_progress)) as run,
            ):
                yield run
        except BaseException:
            if self._to_stdout and self._is_from_stream:
                self._discard()
            raise

    def _folder(self) -> JobFolder:
        return JobFolder(self.output.with_name(self.output.name + ".job"))

    def _file_for_stdout(self) -> Path:
        """Return the file that is copied to stdout at the end; the same one for the same job.

        A job with an input from a pipe cannot be identified. It is discarded if it fails.
        """
        cache = _path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "voyage-rag"
        if not cache.is_absolute():
            raise JobError(
                "vectors for stdout are stored in a cache folder until they are complete, but "
                "there is no home folder: set XDG_CACHE_HOME"
            )
        known = [str(path.absolute()) for path in self.inputs]
        known += [uuid4().hex] * self._is_from_stream
        recorded = JobSpec((), STDOUT, "jsonl", self.options).recorded(None)
        name = hashlib.blake2b(os.fsencode(f"{known} {recorded}"), digest_size=8).hexdigest()
        return cache / "stdout" / f"{name}.jsonl"

    def _write_to_stdout(self) -> None:
        if not self._to_stdout:
            return
        try:
            with self.output.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except OSError as error:
            if self._is_from_stream or isinstance(error, BrokenPipeError):  # its reader has enough
                self._discard()
            raise
        self._discard()

    def _discard(self) -> None:
        self.output.unlink(missing_ok=True)
        shutil.rmtree(self._folder().path, ignore_errors=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert errors of the file system and of damaged files to a `JobError`."""
        try:
            yield
        except DamagedFileError as error:
            remedy = "repair the file, or skip its unreadable part with on_error='skip'"
            can_be_skipped = self.options.on_error == "stop"
            raise JobError(error.message + f": {remedy}" * can_be_skipped) from error
        except OSError as error:
            if isinstance(error, VoyageError):
                raise
            if error.errno in FULL_DISK:
                raise JobError(self._full_disk) from error
            path = error.filename2 or error.filename  # of a moved file, the target
            named = f" {path!r}" if path else ""
            if path and self._to_stdout and self._folder().path.is_relative_to(path):
                named += " for temporary files (set XDG_CACHE_HOME to a writable folder)"
            raise JobError(f"cannot use{named}: {error.strerror or error}") from error
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise JobError(self._full_disk) from error
            raise JobError(f"cannot compare ids in {str(self.output)!r}.job: {error}") from error

    @property
    def _full_disk(self) -> str:
        return (
            f"the disk of {str(self.output.parent)!r} is full: free some space and run the job "
            "again; finished vectors are kept"
        )


def _path(given: Location) -> Path:
    """Expand `~`, as a shell does: it may come from quotes or a configuration file."""
    if not isinstance(given, str | os.PathLike):
        kind = type(given).__name__
        raise JobError(f"pass the path of a file, not {kind}: write data to a file first")
    if not os.fspath(given):
        raise JobError("a path is empty: pass a file or folder ('.' for the current one)")
    return Path(os.path.expanduser(given))  # noqa: PTH111 - pathlib's raises without a home folder


def _writable(output: Path) -> Path:
    """Return the output, or the target of a symbolic link.

    Raises:
        JobError: It is a URL, a device or a pipe.
    """
    if is_url(output):
        raise JobError(f"{str(output)!r} is a URL: pass a file, and upload it afterwards")
    if is_special(output):
        raise JobError(f"{str(output)!r} is not a regular file: pass one, or '-' for stdout")
    if not output.is_symlink():
        return output
    target = Path(os.path.realpath(output))
    if target.is_symlink():
        raise JobError(f"{str(output)!r} is a symbolic link to itself: choose another output")
    return target


def embed_file(
    input: Location | Sequence[Location],  # noqa: A002 - the usual name
    output: Location,
    voyage: Voyage | None = None,
    *,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> JobReport:
    """Embed the texts of files and folders: `EmbeddingJob(...).run(...)`."""
    return EmbeddingJob(input, output, **options).run(voyage, on_progress=on_progress)


async def aembed_file(
    input: Location | Sequence[Location],  # noqa: A002 - the usual name
    output: Location,
    voyage: Voyage | None = None,
    *,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> JobReport:
    """Async variant of `embed_file`."""
    return await EmbeddingJob(input, output, **options).arun(voyage, on_progress=on_progress)
