"""`voyage-rag embed`: embed files and folders of any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voyage_rag.commands.failure import INCOMPLETE, CommandError, interruptible
from voyage_rag.commands.options import (
    AsJSON,
    BaseURL,
    Delimiter,
    Emulated,
    Encoding,
    Header,
    InputFormatOption,
    SkipLines,
    input_path,
    listed,
)
from voyage_rag.commands.screen import (
    console,
    dollars,
    duration,
    hanging_indent,
    plural,
    progress_bar,
    remark,
    span,
    write_json,
)
from voyage_rag.commands.service import connected, scope_of
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.files import size
from voyage_rag.jobs.inputs.spool import is_stream
from voyage_rag.models import Engine, OutputDtype

if TYPE_CHECKING:
    from voyage_rag.bulk import EmbeddingJob, Estimate, JobProgress, JobReport
    from voyage_rag.bulk.progress import OnProgress

MODEL = "voyage-4"
HOUR = 3_600
LABEL_WIDTH = 14

EXAMPLES = (
    "embed passages.parquet -o vectors.parquet",
    "embed shards/*.jsonl.gz -o vectors/ --text-columns title,text",
    "embed passages.jsonl -o vectors/ --text-column body --dry-run",
    "embed notes/ -o notes.npy --output-dtype int8",
    "zcat a.jsonl.gz | voyage-rag embed - -o vectors.parquet --on-error skip",
)


def embed(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            parser=input_path,
            metavar="INPUT",
            help="Files, folders or globs: JSON Lines, JSON, CSV, TSV, Parquet, Arrow or text (one "
            "per line, in folders one per file), also compressed (.gz .bz2 .xz .zst); or - for "
            "stdin (JSON Lines unless --input-format).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="A .parquet, .jsonl or .npy file, a folder of Parquet files (no suffix), or "
            "- for JSON Lines on stdout.",
        ),
    ],
    text_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or JSON key with the text; doc.text for a nested one.",
            show_default="text",
        ),
    ] = None,
    text_columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Several columns, joined by line breaks: title,text."
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column or JSON key with the id of a row.",
            show_default="id or _id if present, otherwise the row number",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Other columns to copy to the output, or all."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="The embedding model.")] = MODEL,
    input_type: Annotated[
        Literal["document", "query", "none"], typer.Option(help="The prompt before a text.")
    ] = "document",
    output_dimension: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Length of the vectors.", show_default="the model's"),
    ] = None,
    output_dtype: Annotated[
        OutputDtype,
        typer.Option(help="Number type; the binary types pack eight dimensions into a byte."),
    ] = "float",
    truncation: Annotated[
        bool, typer.Option(help="Truncate texts to the model's context, or reject longer ones.")
    ] = True,
    input_format: InputFormatOption = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = True,
    skip_lines: SkipLines = 0,
    output_format: Annotated[
        Literal["parquet", "dataset", "jsonl", "npy"] | None,
        typer.Option(help="Format of the output.", show_default="by its name"),
    ] = None,
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option(
            help="For rows that cannot be embedded: stop before anything is sent, or skip them "
            "and write them to OUTPUT.refused.jsonl. If a file is damaged, skip the rest of it, "
            "and exit with 3."
        ),
    ] = "stop",
    engine: Annotated[
        Engine, typer.Option(help="realtime, or batch: within twelve hours, a third cheaper.")
    ] = "realtime",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything and estimate the cost; same exit codes as a run."
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the output, or discard a job with other options."
        ),
    ] = False,
    requests_per_minute: Annotated[
        float | None,
        typer.Option(min=1, metavar="N", help="The account's limit.", show_default="discovered"),
    ] = None,
    tokens_per_minute: Annotated[
        float | None,
        typer.Option(min=1, metavar="N", help="The account's limit.", show_default="discovered"),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, metavar="N", help="Number of concurrent requests.", show_default="16"
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model's tokenizer.json, for exact counts."),
    ] = None,
    base_url: BaseURL = None,
    emulated: Emulated = False,
    as_json: AsJSON = False,
) -> None:
    """Embed the texts of files and folders of any size.

    Rows are checked and counted first. After an interruption, the same command resumes: only
    requests that were in flight are paid twice, and the output is the same as without the
    interruption. The output appears when it is complete. The state of the job is in the folder
    OUTPUT.job. Uses the live service; tokens are billed.
    """
    from voyage_rag.bulk import EmbeddingJob  # noqa: PLC0415 - needs an extra

    if text_column is not None and text_columns is not None:
        raise typer.BadParameter("pass either --text-column or --text-columns, not both")
    if text_column == "":
        raise typer.BadParameter("the name of a column is empty")
    job = EmbeddingJob(
        inputs,
        output,
        model=model,
        text_column=listed(text_columns) or text_column or "text",
        id_column=id_column,
        keep=listed(keep),
        input_type=None if input_type == "none" else input_type,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=output_dtype,
        input_format=input_format,
        delimiter=delimiter,
        encoding=encoding,
        header=header,
        skip_lines=skip_lines,
        output_format=output_format,
        on_error=on_error,
        engine=engine,
        overwrite=overwrite,
    )
    settings: dict[str, Any] = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "tokenizer": tokenizer,
    }
    if dry_run:
        host = scope_of(base_url, emulated=emulated)
        with _progress() as on_progress:
            estimate = job.estimate(**settings, host=host, on_progress=on_progress)
        _show_estimate(job, estimate, as_json=as_json)
        return
    client = connected(base_url, emulated=emulated, concurrency=concurrency, **settings)
    to_stdout = output == Path("-")
    can_resume = not (to_stdout and any(map(is_stream, inputs)))
    resumes = "; finished vectors are kept, and the same command resumes" * can_resume
    with interruptible(f"interrupted{resumes}"), client as voyage:
        with _progress() as on_progress:
            report = job.run(voyage, on_progress=on_progress)
        _show_report(report, as_json=as_json, emulated=emulated, to_stdout=to_stdout)
    _check_complete(report.damaged)


@contextmanager
def _progress() -> Iterator[OnProgress | None]:
    """Show a progress bar with rate, tokens, cost and remaining time."""
    from rich.progress import TextColumn  # noqa: PLC0415 - not needed for help

    with progress_bar("reading", TextColumn("{task.fields[details]}", style="dim")) as update:

        def on_progress(progress: JobProgress) -> None:
            if update is not None:
                update(
                    description=progress.stage,
                    completed=progress.done,
                    total=progress.total,
                    details=_details(progress),
                )

        yield None if update is None else on_progress


def _details(progress: JobProgress) -> str:
    details = []
    if rate := progress.rows_per_second:
        details.append(f"{rate:,.0f}/s")
    if progress.tokens:
        details.append(f"{progress.tokens:,} tokens")
    if progress.tokens and progress.dollars is not None:
        details.append(dollars(progress.dollars))
    if (left := progress.seconds_left) is not None:
        details.append(f"{duration(left)} left")
    return "  ".join(details)


def _show_estimate(job: EmbeddingJob, estimate: Estimate, *, as_json: bool) -> None:
    """Print an estimate, and raise the error that would stop the run."""
    if as_json:
        write_json(asdict(estimate) | {"model": job.options.model, "engine": job.options.engine})
    else:
        _print_estimate(job, estimate)
    if estimate.problems:
        raise JobError("; ".join(estimate.problems))
    _check_complete(estimate.damaged)


def _print_estimate(job: EmbeddingJob, estimate: Estimate) -> None:
    out = console()
    low, high = estimate.tokens

    def show(label: str, text: object) -> None:
        line = f"{label:<{LABEL_WIDTH}}{text}"
        out.print(hanging_indent(line, LABEL_WIDTH, out.width), markup=False, soft_wrap=True)

    if estimate.files > 1 or estimate.unread:
        show("files", f"{estimate.files:,}; {estimate.unread:,} of other formats are ignored")
    show("texts", f"{estimate.texts:,}")
    if estimate.refused:
        show("rejected rows", f"{estimate.refused:,}, first {estimate.first_refused}")
    show("tokens", span(f"{low:,}", f"{high:,}"))
    price = "not known" if estimate.dollars is None else span(*map(dollars, estimate.dollars))
    show("price", f"{price} for {job.options.model} at list price")
    show("time", _time(estimate))
    if estimate.vector_bytes is not None:
        show("vectors", size(estimate.vector_bytes))
    if low != high:
        out.print(
            "\nThe range is from five characters per token (English prose) to three (used for "
            "planning). Exact counts: --tokenizer. Nothing was sent.",
            style="dim",
        )


def _time(estimate: Estimate) -> str:
    if estimate.hours is None:
        return "unknown: pass --tokens-per-minute"
    low, high = (duration(hours * HOUR) for hours in estimate.hours)
    if estimate.requests_per_minute is None and estimate.tokens_per_minute is None:
        return f"up to {high} with the Batch API"
    whose = "the given limits" if estimate.limits_are_given else "the limits of usage tier 1"
    assumed = {"requests": estimate.requests_per_minute, "tokens": estimate.tokens_per_minute}
    limits = [f"{limit:,.0f} {unit}" for unit, limit in assumed.items() if limit]
    return f"{span(low, high)} at {whose}: {' and '.join(limits)} a minute"


def _show_report(report: JobReport, *, as_json: bool, emulated: bool, to_stdout: bool) -> None:
    out = console(stderr=to_stdout)
    if as_json:
        output = "-" if to_stdout else report.output
        facts = asdict(report) | {"emulated": emulated, "output": output}
        write_json(facts, stderr=to_stdout)
        return
    before = " was finished before" if report.was_finished else ""
    if not to_stdout:
        out.print(
            f"{report.output}{before}: {plural(report.texts, 'vector')}, "
            f"{plural(report.tokens, 'token')}, "
            f"{dollars(report.dollars)} at list price",
            markup=False,
            soft_wrap=True,
        )
    if report.refused:
        line = f"{plural(report.refused, 'row')} rejected: {report.refused_file}"
        out.print(line, markup=False, soft_wrap=True)
    if report.unread:
        remark(f"{plural(report.unread, 'file')} of another format ignored")
    if not report.was_finished:
        remark(f"{duration(report.seconds)} for this run")


def _check_complete(damaged: int) -> None:
    """Exit with a separate code after damaged files, whose number of rows is unknown."""
    if damaged:
        files = "1 file was" if damaged == 1 else f"{damaged:,} files were"
        raise CommandError(f"{files} damaged and not read to the end", INCOMPLETE)
