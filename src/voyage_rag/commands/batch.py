"""`voyage-rag batch`: work for the batch engine, across processes and days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TimeElapsedColumn

from voyage_rag.commands.batch_rows import STDOUT, BatchRows, check_free, open_rows, result_writer
from voyage_rag.commands.failure import CommandError, interruptible
from voyage_rag.commands.options import AsJSON, BaseURL
from voyage_rag.commands.screen import console, dollars, progress_bar, remark, working, write_json
from voyage_rag.commands.service import connected

if TYPE_CHECKING:
    from voyage_rag.batch import BatchJob, JobStatus
    from voyage_rag.batch.types import BatchEstimate

SUBMIT_EXAMPLES = (
    "batch submit corpus.jsonl --job corpus.job --model voyage-4",
    "batch submit rows.jsonl --job a.job --model voyage-4 --dry-run",
    "batch submit rows.csv.gz --job a.job --model voyage-4 --field body",
)
EXAMPLES: dict[str, tuple[str, ...]] = {
    "submit": SUBMIT_EXAMPLES,
    "status": ("batch status corpus.job", "batch status corpus.job --json | jq .completed"),
    "wait": ("batch wait corpus.job", "batch wait corpus.job --timeout 3600"),
    "fetch": ("batch fetch corpus.job -o vectors.jsonl", "batch fetch corpus.job | head -1"),
    "resubmit": ("batch resubmit corpus.job", "batch resubmit corpus.job --refused"),
    "cancel": ("batch cancel corpus.job",),
}

OFFLINE = "voyage-rag emulate, whose address goes into VOYAGE_BASE_URL"
"""A job outlives the process, and so does the process that works on it."""

Job = Annotated[Path, typer.Argument(metavar="JOB", help="The job's file.")]


def submit(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSON Lines, or for texts any file, folder or glob that embed reads; - for stdin.",
        ),
    ],
    job: Annotated[
        Path,
        typer.Option("--job", "-j", metavar="JOB", help="Where the job is kept: a small file."),
    ],
    model: Annotated[str, typer.Option(help="An embedding, contextualized or rerank model.")],
    input_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="document, query, or nothing for neither.")
    ] = None,
    output_dimension: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Length of the vectors.")
    ] = None,
    output_dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="float, int8, uint8, binary, ubinary.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", "-k", min=1, metavar="N", help="Of each ranking.")
    ] = None,
    field: Annotated[
        str, typer.Option(metavar="NAME", help="Where the text is in a row.")
    ] = "text",
    id_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where a row's name is.", show_default="rows are numbered from 0"
        ),
    ] = None,
    no_truncation: Annotated[
        bool, typer.Option("--no-truncation", help="Fail texts that are too long; do not cut.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all rows, say what they take, send nothing.")
    ] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Submit rows to the batch engine: done within half a day, a third cheaper.

    A row is a text or an object with one; for a contextualized model a list of chunks or an object
    with `chunks`; for a reranker an object with `query` and `documents`. All rows are checked
    before anything is sent. Interrupted, and given again, it resumes.
    """
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help
    from voyage_rag.models import kind_of  # noqa: PLC0415 - as above

    with open_rows(files, kind_of(model), field, id_field) as rows, _row_named(rows):
        options: dict[str, Any] = {
            "model": model,
            "input_type": input_type,
            "truncation": not no_truncation,
            "output_dtype": output_dtype,
            "output_dimension": output_dimension,
            "top_k": top_k,
            "custom_ids": rows.ids,
        }
        if dry_run:
            _show_estimate(BatchJob.estimate(rows, state_file=job, **options), as_json=as_json)
            return
        resumed = "interrupted; the same command resumes"
        with (
            connected(base_url, emulated=False, offline=OFFLINE) as voyage,
            interruptible(resumed),
            working(f"Checking and submitting {files[0]}"),
        ):
            submitted = BatchJob.submit(voyage, rows, job, **options)
            current = submitted.status()
    _show(submitted, current, as_json=as_json)
    remark(f"voyage-rag batch wait {job}")


def status(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Say where a job stands."""
    with _opened(job, base_url) as opened:
        _show(opened, opened.status(), as_json=as_json)


def wait(
    job: Job,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Give up waiting; the job continues."),
    ] = None,
    poll_interval: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Most seconds between two looks.")
    ] = 60.0,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Wait until a job has ended. Ctrl-C stops waiting, not the job."""
    waiting = f"stopped waiting; the job continues: voyage-rag batch wait {job}"
    with _opened(job, base_url) as opened, interruptible(waiting):
        with progress_bar("waiting", TimeElapsedColumn()) as update:

            def on_progress(status: JobStatus) -> None:
                if update is not None:
                    ended = f"{status.ended} of {status.batches} batches ended"
                    update(description=ended, total=status.inputs, completed=status.completed)

            ended = opened.wait(
                timeout=timeout, poll_interval=poll_interval, on_progress=on_progress
            )
        _show(opened, ended, as_json=as_json)


def fetch(
    job: Job,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="JSON lines, .parquet for Parquet; - for stdout."
        ),
    ] = STDOUT,
    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where inputs without a result go, with the reason.",
            show_default="FILE.failed.jsonl; among the others on stdout",
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Fetch what there is of a job that has not ended.")
    ] = False,
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Then delete the job's files at the service.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Write the results of a job, in the order of its rows.

    A line is an object with `id` and `embedding`; `embeddings`, one per chunk, for documents;
    `results`, the best first, for rankings. Exit code 1 says that inputs failed.
    """
    if failed is None and output != STDOUT:
        failed = output.with_name(output.name + ".failed.jsonl")
    for path in filter(None, (output, failed)):
        check_free(path, overwrite=overwrite)
    with _opened(job, base_url) as opened:
        _check_ended(opened, job, partial=partial)
        with nullcontext() if output == STDOUT else working(f"Fetching into {output}"):
            done, lost, pending = _write(opened, output, failed)
        if delete_files and not lost and not pending:
            opened.delete_files()
    if as_json:
        counts = {"written": done, "failed": lost, "pending": pending}
        write_json(counts, stderr=output == STDOUT)
    remark(f"{done:,} results written" + (f", {pending:,} pending" if pending else ""))
    if lost:
        where = f"; {failed} says why" if failed else ""
        raise CommandError(
            f"{lost:,} of {done + lost:,} inputs failed{where}; voyage-rag batch resubmit {job} "
            "submits those again that may succeed"
        )


def resubmit(
    job: Job,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Also what was refused for what it is, such as too long."),
    ] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Submit the inputs of a job that failed once more."""
    with _opened(job, base_url) as opened:
        count = opened.resubmit(include_refused=refused)
        remark(f"{count:,} inputs submitted again")
        _show(opened, opened.status(), as_json=as_json)


def cancel(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Cancel what has not ended; what is finished can still be fetched."""
    with _opened(job, base_url) as opened:
        _show(opened, opened.cancel(), as_json=as_json)


COMMANDS = (submit, status, wait, fetch, resubmit, cancel)


@contextmanager
def _opened(job: Path, base_url: str | None) -> Iterator[BatchJob]:
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help

    with connected(base_url, emulated=False, offline=OFFLINE) as voyage:
        yield BatchJob.open(voyage, job)


@contextmanager
def _row_named(rows: BatchRows) -> Iterator[None]:
    """Say which row of the file an input is."""
    from voyage_rag.errors import InvalidInputError  # noqa: PLC0415 - not needed for help

    try:
        yield
    except InvalidInputError as error:
        if not error.indices:
            raise
        raise CommandError(f"{rows.place}: {error.message}") from error
    except OSError as error:
        raise CommandError(f"cannot keep the job: {error.strerror or error}") from error


def _check_ended(opened: BatchJob, job: Path, *, partial: bool) -> None:
    status = opened.status()
    if status.state != "ended" and not partial:
        raise CommandError(
            f"the job has not ended: {status.completed:,} of {status.inputs:,} inputs are done; "
            f"voyage-rag batch wait {job} waits for it, --partial fetches what there is"
        )


def _write(opened: BatchJob, output: Path, failed: Path | None) -> tuple[int, int, int]:
    """Write all results; how many there are, how many inputs failed, and how many are pending."""
    done = lost = pending = 0
    with (
        result_writer(output, opened) as write,
        result_writer(failed or STDOUT, opened) as write_failed,
    ):
        for result in opened.results():
            if result.failure is None:
                done += 1
                write(result)
            elif result.failure.code == "pending":
                pending += 1
            else:
                lost += 1
                write_failed(result)
    if failed is not None and not lost:
        failed.unlink(missing_ok=True)
    return done, lost, pending


def _show_estimate(estimate: BatchEstimate, *, as_json: bool) -> None:
    if as_json:
        write_json(asdict(estimate))
        return
    console().print(
        f"{estimate.inputs:,} inputs of at most some {estimate.tokens:,} tokens, "
        f"{estimate.batches:,} batches, {dollars(estimate.dollars)}. Nothing was sent."
    )


def _show(job: BatchJob, status: JobStatus, *, as_json: bool) -> None:
    if as_json:
        expected_at = status.expected_at and status.expected_at.isoformat()
        write_json({"job": str(job.path)} | asdict(status) | {"expected_at": expected_at})
        return
    line = f"{status.state}: {status.completed:,} of {status.inputs:,} inputs done"
    line += f", {status.failed:,} failed" if status.failed else ""
    line += f"; {status.ended} of {status.batches} batches ended"
    line += f", {status.pending} not created yet" if status.pending else ""
    if status.expected_at is not None:
        line += f"; done by {status.expected_at.astimezone():%Y-%m-%d %H:%M}"
    console().print(line, markup=False)
