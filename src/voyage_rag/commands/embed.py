"""`voyage-rag embed`: files and folders of any size into vectors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voyage_rag.commands.extras import extra
from voyage_rag.commands.options import AsJSON, BaseURL, Emulated
from voyage_rag.commands.screen import console, dollars, remark, write_json
from voyage_rag.commands.service import connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voyage_rag.bulk import EmbeddingJob, Estimate, JobProgress, JobReport
    from voyage_rag.bulk.progress import OnProgress

MODEL = "voyage-4"
HOUR, DAY = 3_600, 86_400
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

EXAMPLES = (
    "embed passages.parquet -o vectors.parquet",
    "embed passages.jsonl -o vectors/ --text-column body --dry-run",
    "embed notes/ -o notes.npy --output-dtype int8",
    "zcat passages.jsonl.gz | voyage-rag embed - -o vectors.parquet --on-error skip",
)


class InputFormat(StrEnum):
    """How texts lie in the input."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    LINES = "lines"
    FOLDER = "folder"


class OutputFormat(StrEnum):
    """What to make."""

    PARQUET = "parquet"
    DATASET = "dataset"
    JSONL = "jsonl"
    NPY = "npy"


class Dtype(StrEnum):
    """Number types of vectors."""

    FLOAT = "float"
    INT8 = "int8"
    UINT8 = "uint8"
    BINARY = "binary"
    UBINARY = "ubinary"


class Prompt(StrEnum):
    """Voyage's prompts, and none."""

    DOCUMENT = "document"
    QUERY = "query"
    NONE = "none"


class OnError(StrEnum):
    """What becomes of bad rows."""

    STOP = "stop"
    SKIP = "skip"


class Engine(StrEnum):
    """Who does the work."""

    REALTIME = "realtime"
    BATCH = "batch"


def embed(
    input: Annotated[  # noqa: A002 - what it is called everywhere
        Path,
        typer.Argument(
            metavar="INPUT",
            help="JSON Lines, CSV, TSV or a text file (a text a line), each also packed (.gz); "
            "Parquet; a folder of texts or of Parquet files; or - for stdin (JSON Lines unless "
            "--input-format).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="A .parquet, .jsonl or .npy file, or without a suffix a folder of Parquet files.",
        ),
    ],
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column or JSON key with the text.")
    ] = "text",
    id_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column or JSON key with the name of a row.",
            show_default="id if there is one, else the row's position",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The embedding model.")] = MODEL,
    input_type: Annotated[Prompt, typer.Option(help="The prompt before a text.")] = Prompt.DOCUMENT,
    output_dimension: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Length of a vector.", show_default="the model's"),
    ] = None,
    output_dtype: Annotated[
        Dtype, typer.Option(help="The number type; the binary ones hold eight dimensions a byte.")
    ] = Dtype.FLOAT,
    truncation: Annotated[
        bool, typer.Option(help="Cut texts to the model's context, or refuse longer ones.")
    ] = True,
    input_format: Annotated[
        InputFormat | None, typer.Option(help="Of the input.", show_default="by its name")
    ] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option(help="Of the output.", show_default="by its name")
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="With rows that cannot be embedded: stop before anything is sent, or skip them "
            "and write them to OUTPUT.refused.jsonl."
        ),
    ] = OnError.STOP,
    engine: Annotated[
        Engine,
        typer.Option(help="realtime, or batch: a third cheaper, within half a day."),
    ] = Engine.REALTIME,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all rows and say what it would take.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the output, or a job begun with other options."),
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
        typer.Option(min=1, max=256, metavar="N", help="Requests at once.", show_default="16"),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model's tokenizer.json, to count exactly."),
    ] = None,
    base_url: BaseURL = None,
    emulated: Emulated = False,
    as_json: AsJSON = False,
) -> None:
    """Embed the texts of a file or folder, of any size, into vectors with their ids.

    Rows are checked and counted first. Killed at any moment and run again with the same options it
    goes on where it was: only requests that were in flight are paid twice, and the output is the
    same as if nothing had happened. It appears when it is complete; until then, and to know a
    finished job again, there is a folder OUTPUT.job. Uses the live service and spends tokens.
    """
    with extra("bulk", "pyarrow", what="voyage-rag embed"):
        from voyage_rag.bulk import EmbeddingJob  # noqa: PLC0415 - an extra of its own

    job = EmbeddingJob(
        input,
        output,
        model=model,
        text_column=text_column,
        id_column=id_column,
        input_type=None if input_type is Prompt.NONE else input_type.value,
        truncation=truncation,
        output_dimension=output_dimension,
        output_dtype=output_dtype.value,
        input_format=input_format and input_format.value,
        output_format=output_format and output_format.value,
        on_error=on_error.value,
        engine=engine.value,
        overwrite=overwrite,
    )
    if dry_run:
        with _shown() as on_progress:
            estimate = job.estimate(
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                tokenizer=tokenizer,
                on_progress=on_progress,
            )
        _tell_estimate(job, estimate, as_json=as_json)
        return
    client = connected(
        base_url,
        emulated=emulated,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrency=concurrency,
        tokenizer=tokenizer,
    )
    with client as voyage:
        with _shown() as on_progress:
            report = job.run(voyage, on_progress=on_progress)
        _tell_report(report, as_json=as_json, emulated=emulated)


@contextmanager
def _shown() -> Iterator[OnProgress | None]:
    """A bar on a terminal, with rate, tokens, cost and the time that is left; else nothing."""
    from rich.progress import (  # noqa: PLC0415 - not needed for help
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    err = console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", style="dim"),
        console=err,
        transient=True,
    )
    with bar:
        task = bar.add_task("reading", total=None, told="")

        def on_progress(progress: JobProgress) -> None:
            bar.update(
                task,
                description=progress.stage,
                completed=progress.done,
                total=progress.total,
                told=_told(progress),
            )

        yield on_progress


def _told(progress: JobProgress) -> str:
    told = []
    if rate := progress.rows_per_second:
        told.append(f"{rate:,.0f}/s")
    if progress.tokens:
        told.append(f"{progress.tokens:,} tokens")
    if progress.tokens and progress.dollars is not None:
        told.append(dollars(progress.dollars))
    if (left := progress.seconds_left) is not None:
        told.append(f"{_duration(left)} left")
    return "  ".join(told)


def _tell_estimate(job: EmbeddingJob, estimate: Estimate, *, as_json: bool) -> None:
    if as_json:
        write_json(asdict(estimate) | {"model": job.options.model, "engine": job.options.engine})
        return
    out = console()
    line = f"{{:<{len('refused rows')}}}  {{}}".format
    low, high = estimate.tokens
    out.print(line("texts", f"{estimate.texts:,}"))
    if estimate.refused:
        out.print(line("refused rows", f"{estimate.refused:,}, first {estimate.first_refused}"))
    out.print(line("tokens", _span(f"{low:,}", f"{high:,}")))
    price = "not known"
    if estimate.dollars is not None:
        price = _span(*map(dollars, estimate.dollars))
    out.print(line("price", f"{price} for {job.options.model} at list price"))
    out.print(line("time", _time(estimate)))
    if estimate.vector_bytes is not None:
        out.print(line("vectors", _size(estimate.vector_bytes)))
    if low != high:
        out.print(
            "\nFrom five characters a token (English prose, as Voyage's documentation says) to the "
            "three that are\nplanned with. Exact counts: --tokenizer. Nothing was sent.",
            style="dim",
        )


def _time(estimate: Estimate) -> str:
    if estimate.hours is None:
        return "not known: give --tokens-per-minute"
    low, high = (_duration(hours * HOUR) for hours in estimate.hours)
    if estimate.requests_per_minute is None and estimate.tokens_per_minute is None:
        return f"up to {high}, by the batch engine"
    whose = "the limits given" if estimate.limits_are_given else "the limits of usage tier 1"
    limits = [
        f"{limit:,.0f} {unit}"
        for limit, unit in (
            (estimate.requests_per_minute, "requests"),
            (estimate.tokens_per_minute, "tokens"),
        )
        if limit
    ]
    return f"{_span(low, high)} at {whose}: {' and '.join(limits)} a minute"


def _tell_report(report: JobReport, *, as_json: bool, emulated: bool) -> None:
    if as_json:
        told = asdict(report) | {"emulated": emulated, "output": str(report.output)}
        told["refused_file"] = report.refused_file and str(report.refused_file)
        write_json(told)
        return
    out = console()
    before = " was finished before" if report.was_finished else ""
    out.print(
        f"{report.output}{before}: {report.texts:,} vectors, {report.tokens:,} tokens, "
        f"{dollars(report.dollars)} at list price",
        markup=False,
        soft_wrap=True,
    )
    if report.refused:
        out.print(
            f"{report.refused:,} rows refused: {report.refused_file}", markup=False, soft_wrap=True
        )
    if not report.was_finished:
        remark(f"{_duration(report.seconds)} for this run")


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} – {high}"


def _duration(seconds: float) -> str:
    if seconds < 2 * 60:
        return f"{seconds:,.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds / HOUR:,.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:,.1f} days"


def _size(count: int) -> str:
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count} bytes"
