"""`voyage-rag batch`: jobs with the Batch API, which do not depend on the process."""

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
from voyage_rag.commands.options import (
    AsJSON,
    BaseURL,
    Delimiter,
    Encoding,
    Header,
    InputFormatOption,
    SkipLines,
    input_path,
)
from voyage_rag.commands.screen import (
    console,
    dollars,
    plural,
    progress_bar,
    remark,
    working,
    write_json,
)
from voyage_rag.commands.service import connected
from voyage_rag.jobs.inputs.rows import ReadOptions

if TYPE_CHECKING:
    from voyage_rag.batch import BatchJob, JobStatus
    from voyage_rag.batch.types import BatchEstimate

SUBMIT_EXAMPLES = (
    "batch submit corpus.jsonl --job corpus.job --model voyage-4",
    "batch submit rows.jsonl --job a.job --model voyage-4 --dry-run",
    "batch submit a.csv.gz --job a.job --model voyage-4 --field body",
)
EXAMPLES: dict[str, tuple[str, ...]] = {
    "submit": SUBMIT_EXAMPLES,
    "status": ("batch status corpus.job", "batch status corpus.job --json | jq .completed"),
    "wait": ("batch wait corpus.job", "batch wait corpus.job --timeout 3600"),
    "fetch": ("batch fetch corpus.job -o vectors.jsonl", "batch fetch corpus.job | head -1"),
    "resubmit": ("batch resubmit corpus.job", "batch resubmit corpus.job --refused"),
    "cancel": ("batch cancel corpus.job",),
}

OFFLINE = "voyage-rag emulate and its address in VOYAGE_BASE_URL"
"""An emulator inside the command, as with `--emulator`, would end before the job."""

Job = Annotated[Path, typer.Argument(metavar="JOB", help="State file of the job.")]


def submit(
    files: Annotated[
        list[Path],
        typer.Argument(
            parser=input_path,
            metavar="FILE",
            help="JSON Lines, or any file, folder or glob with texts, as for embed; - for stdin.",
        ),
    ],
    job: Annotated[
        Path,
        typer.Option("--job", "-j", metavar="JOB", help="State file to create for the job."),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="An embedding, contextualized or rerank model.")
    ],
    input_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Prompt: document or query. Default: no prompt."),
    ] = None,
    output_dimension: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Length of the vectors.")
    ] = None,
    output_dtype: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Number type: float, int8, uint8, binary or ubinary."),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", min=1, metavar="N", help="Number of results per ranking."),
    ] = None,
    field: Annotated[
        str, typer.Option(metavar="NAME", help="Column or JSON key with the text.")
    ] = "text",
    id_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or JSON key with the id of a row.",
            show_default="rows are numbered from 0",
        ),
    ] = None,
    input_format: InputFormatOption = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = True,
    skip_lines: SkipLines = 0,
    no_truncation: Annotated[
        bool,
        typer.Option(
            "--no-truncation", help="Reject texts that are too long instead of truncating them."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check all rows and estimate the cost. Nothing is sent."),
    ] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Submit rows to the Batch API.

    A batch finishes within twelve hours and costs a third less than single requests.

    A row is a text or an object with one; for a contextualized model, a list of chunks or an object
    with `chunks`; for a reranker, an object with `query` and `documents`. All rows are checked
    before anything is sent. After an interruption, the same command resumes.
    """
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help
    from voyage_rag.models import kind_of  # noqa: PLC0415 - as above

    reading = ReadOptions(encoding, delimiter, header, skip_lines)
    opened = open_rows(files, kind_of(model), field, id_field, input_format, reading)
    with opened as rows, _locating(rows):
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
        with (
            connected(base_url, emulated=False, offline=OFFLINE) as voyage,
            interruptible("interrupted; the same command resumes"),
            working(f"Checking and submitting {files[0]}"),
        ):
            submitted = BatchJob.submit(voyage, rows, job, **options)
            current = submitted.status()
    _show(submitted, current, as_json=as_json)
    remark(f"voyage-rag batch wait {job}")


def status(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Show the status of a job."""
    with _opened(job, base_url) as opened:
        _show(opened, opened.status(), as_json=as_json)


def wait(
    job: Job,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="Seconds to wait. The job continues afterwards."
        ),
    ] = None,
    poll_interval: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Maximum seconds between two requests.")
    ] = 60.0,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Wait until a job has ended. Ctrl-C stops waiting, but not the job."""
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
            "--output",
            "-o",
            metavar="FILE",
            help="JSON Lines, or Parquet if the name ends in .parquet; - for stdout.",
        ),
    ] = STDOUT,
    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for failed inputs and the reasons.",
            show_default="FILE.failed.jsonl; for stdout, among the results",
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Fetch the results so far, even if the job has not ended."),
    ] = False,
    delete_files: Annotated[
        bool,
        typer.Option("--delete-files", help="Then delete the job's files from the service."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Write the results of a job in the order of its rows.

    A line is an object with `id` and `embedding` (`embeddings`, one per chunk, for documents;
    `results`, most relevant first, for rankings). The exit code is 1 if inputs failed.
    """
    if failed is None and output != STDOUT:
        failed = output.with_name(output.name + ".failed.jsonl")
    check_free(output, failed, job, overwrite=overwrite)
    with _opened(job, base_url) as opened:
        now = opened.status()
        if now.state != "ended" and not partial:
            raise CommandError(
                f"the job has not ended: {now.completed:,} of {now.inputs:,} inputs are done; "
                f"voyage-rag batch wait {job} waits for it, --partial fetches the results so far"
            )
        with nullcontext() if output == STDOUT else working(f"Fetching into {output}"):
            done, lost, pending = _write(opened, output, failed)
        if delete_files and not lost and not pending:
            opened.delete_files()
    if as_json:
        write_json({"written": done, "failed": lost, "pending": pending}, stderr=output == STDOUT)
    remark(f"{done:,} results written" + (f", {pending:,} pending" if pending else ""))
    if lost:
        where = f"; see {failed} for the reasons" if failed else ""
        raise CommandError(
            f"{lost:,} of {done + lost:,} inputs failed{where}; voyage-rag batch resubmit {job} "
            "submits those that may succeed again"
        )


def resubmit(
    job: Job,
    refused: Annotated[
        bool,
        typer.Option(
            "--refused",
            help="Include inputs that the service rejected, such as texts that are too long.",
        ),
    ] = False,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Submit the failed inputs of a job again."""
    with _opened(job, base_url) as opened:
        count = opened.resubmit(include_refused=refused)
        remark(f"{plural(count, 'input')} submitted again")
        _show(opened, opened.status(), as_json=as_json)


def cancel(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Cancel batches that have not ended. Finished results can still be fetched."""
    with _opened(job, base_url) as opened:
        _show(opened, opened.cancel(), as_json=as_json)


COMMANDS = (submit, status, wait, fetch, resubmit, cancel)


@contextmanager
def _opened(job: Path, base_url: str | None) -> Iterator[BatchJob]:
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help

    with connected(base_url, emulated=False, offline=OFFLINE) as voyage:
        yield BatchJob.open(voyage, job)


@contextmanager
def _locating(rows: BatchRows) -> Iterator[None]:
    """Add the file and the row of an invalid input to its error."""
    from voyage_rag.errors import InvalidInputError  # noqa: PLC0415 - not needed for help

    try:
        yield
    except InvalidInputError as error:
        if not error.indices:
            raise
        raise CommandError(f"{rows.place}: {error.message}") from error
    except OSError as error:
        raise CommandError(f"cannot store the job: {error.strerror or error}") from error


def _write(opened: BatchJob, output: Path, failed: Path | None) -> tuple[int, int, int]:
    """Write all results, and return the numbers of results, failed inputs and pending inputs."""
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
        f"{plural(estimate.inputs, 'input')}, at most about {plural(estimate.tokens, 'token')}, "
        f"{plural(estimate.batches, 'batch', 'es')}, {dollars(estimate.dollars)}. Nothing was sent."
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
