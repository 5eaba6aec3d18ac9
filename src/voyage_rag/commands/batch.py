"""`voyage-rag batch`: work for the batch engine, across processes and days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from voyage_rag.commands.batch_rows import STDOUT, Rows, appearing, as_row, is_free
from voyage_rag.commands.failure import CommandError
from voyage_rag.commands.options import AsJSON, BaseURL
from voyage_rag.commands.screen import console, dollars, remark, working, write_json
from voyage_rag.commands.service import connected

if TYPE_CHECKING:
    from voyage_rag.batch import BatchJob, JobStatus

SUBMIT_EXAMPLES = (
    "batch submit corpus.jsonl --job corpus.job --model voyage-4",
    "batch submit rows.jsonl --job a.job --model voyage-4 --dry-run",
    "batch submit rows.jsonl --job a.job --model voyage-4 --field body",
)
EXAMPLES = {
    "submit": SUBMIT_EXAMPLES,
    "status": ("batch status corpus.job", "batch status corpus.job --json | jq .completed"),
    "wait": ("batch wait corpus.job", "batch wait corpus.job --timeout 3600"),
    "fetch": ("batch fetch corpus.job -o vectors.jsonl", "batch fetch corpus.job | head -1"),
    "resubmit": ("batch resubmit corpus.job", "batch resubmit corpus.job --refused"),
    "cancel": ("batch cancel corpus.job",),
}

OFFLINE = "voyage-rag emulate, whose address goes into VOYAGE_BASE_URL"
"""A job outlives the process, and so must whoever works on it."""

Job = Annotated[Path, typer.Argument(metavar="JOB", help="The job's file.")]


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of JSON, one a line.")],
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
    before anything is sent. Interrupted, and given again, it goes on where it was.
    """
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help
    from voyage_rag.models import kind_of  # noqa: PLC0415 - as above

    rows = Rows(file, kind_of(model), field, id_field)
    if dry_run:
        with _row_named(rows):
            estimate = BatchJob.estimate(rows, model=model)
        told = {
            "inputs": estimate.inputs,
            "tokens": estimate.tokens,
            "batches": estimate.batches,
            "dollars": estimate.dollars,
        }
        if as_json:
            write_json(told)
        else:
            console().print(
                f"{estimate.inputs:,} inputs of at most some {estimate.tokens:,} tokens, "
                f"{estimate.batches:,} batches, {dollars(estimate.dollars)}. Nothing was sent."
            )
        return
    options: dict[str, Any] = {
        "model": model,
        "input_type": input_type,
        "truncation": not no_truncation,
        "output_dtype": output_dtype,
        "output_dimension": output_dimension,
        "top_k": top_k,
        "custom_ids": rows.names,
    }
    with connected(base_url, emulated=False, offline=OFFLINE) as voyage:
        with _row_named(rows), working(f"Checking and submitting {file}"):
            submitted = BatchJob.submit(voyage, rows, job, **options)
        _tell(submitted, submitted.status(), as_json=as_json)
    remark(f"voyage-rag batch wait {job}")


def status(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Say where a job stands."""
    with _opened(job, base_url) as opened:
        _tell(opened, opened.status(), as_json=as_json)


def wait(
    job: Job,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Give up waiting; the job goes on."),
    ] = None,
    poll_interval: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Most seconds between two looks.")
    ] = 60.0,
    base_url: BaseURL = None,
    as_json: AsJSON = False,
) -> None:
    """Wait until a job has ended. Ctrl-C stops waiting, not the job."""
    with _opened(job, base_url) as opened:
        with _bar() as advance:
            ended = opened.wait(timeout=timeout, poll_interval=poll_interval, on_progress=advance)
        _tell(opened, ended, as_json=as_json)


def fetch(
    job: Job,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="JSON lines; - for stdout."),
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
) -> None:
    """Write the results of a job, in the order of its rows.

    A line is an object with `id` and `embedding`; `embeddings`, one per chunk, for documents;
    `results`, the best first, for rankings. Exit code 1 says that inputs failed.
    """
    if failed is None and output != STDOUT:
        failed = output.with_name(output.name + ".failed.jsonl")
    for path in filter(None, (output, failed)):
        is_free(path, overwrite=overwrite)
    with _opened(job, base_url) as opened:
        _check_ended(opened, job, partial=partial)
        with nullcontext() if output == STDOUT else working(f"Fetching into {output}"):
            done, lost = _write(opened, output, failed)
        if delete_files and not lost:
            opened.delete_files()
    remark(f"{done:,} results written")
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
        _tell(opened, opened.status(), as_json=as_json)


def cancel(job: Job, base_url: BaseURL = None, as_json: AsJSON = False) -> None:
    """Cancel what has not ended; what is finished can still be fetched."""
    with _opened(job, base_url) as opened:
        _tell(opened, opened.cancel(), as_json=as_json)


COMMANDS = (submit, status, wait, fetch, resubmit, cancel)


@contextmanager
def _opened(job: Path, base_url: str | None) -> Iterator[BatchJob]:
    from voyage_rag.batch import BatchJob  # noqa: PLC0415 - not needed for help

    with connected(base_url, emulated=False, offline=OFFLINE) as voyage:
        yield BatchJob.open(voyage, job)


@contextmanager
def _row_named(rows: Rows) -> Iterator[None]:
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


@contextmanager
def _bar() -> Iterator[Any]:
    """Progress on a terminal, silence in a pipe."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bar:
        task = bar.add_task("waiting", total=None)

        def advance(status: JobStatus) -> None:
            ended = f"{status.ended} of {status.batches} batches ended"
            bar.update(task, description=ended, total=status.inputs, completed=status.completed)

        yield advance


def _check_ended(opened: BatchJob, job: Path, *, partial: bool) -> None:
    status = opened.status()
    if status.state != "ended" and not partial:
        raise CommandError(
            f"the job has not ended: {status.completed:,} of {status.inputs:,} inputs are done; "
            f"voyage-rag batch wait {job} waits for it, --partial fetches what there is"
        )


def _write(opened: BatchJob, output: Path, failed: Path | None) -> tuple[int, int]:
    """Write all results; how many there are, and how many inputs have none."""
    done = lost = 0
    with appearing(output) as right, appearing(failed or STDOUT) as wrong:
        for result in opened.results():
            is_lost = result.failure is not None
            done, lost = done + (not is_lost), lost + is_lost
            line = json.dumps(as_row(result, opened.kind), ensure_ascii=False)
            (wrong if is_lost else right).write(line + "\n")
    if failed is not None and not lost:
        failed.unlink(missing_ok=True)
    return done, lost


def _tell(job: BatchJob, status: JobStatus, *, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "job": str(job.path),
                "state": status.state,
                "inputs": status.inputs,
                "completed": status.completed,
                "failed": status.failed,
                "batches": status.batches,
                "pending": status.pending,
                "ended": status.ended,
                "statuses": dict(status.statuses),
                "expected_at": status.expected_at and status.expected_at.isoformat(),
            }
        )
        return
    line = f"{status.state}: {status.completed:,} of {status.inputs:,} inputs done"
    line += f", {status.failed:,} failed" if status.failed else ""
    line += f"; {status.ended} of {status.batches} batches ended"
    line += f", {status.pending} not created yet" if status.pending else ""
    if status.expected_at is not None:
        line += f"; done by {status.expected_at.astimezone():%Y-%m-%d %H:%M}"
    console().print(line, markup=False)
