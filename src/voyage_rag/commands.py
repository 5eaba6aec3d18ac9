"""The commands of `voyage-rag`: what they take and what they print.

Answers go to stdout, everything else to stderr. A failure that can be foreseen is one line.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console

from voyage_rag._version import __version__
from voyage_rag.demo import DemoError, run_demo
from voyage_rag.demo.options import MODEL, PICTURE_MODEL, RERANK_MODEL, Options
from voyage_rag.errors import VoyageError
from voyage_rag.models import MODELS, Model

PROGRAM = "voyage-rag"

PIPE_WIDTH = 120
"""Columns of what is written where no terminal says how many there are."""

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

# Newer typers carry click inside themselves, older ones import it: this finds either.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


class CommandError(Exception):
    """A command cannot do its work; the message says why and what to do about it."""


def _examples(*lines: str) -> str:
    """Help text whose lines stay apart: two spaces are a line break in markdown."""
    return "Examples:\n\n" + "  \n".join(f"    {PROGRAM} {line}" for line in lines)


app = typer.Typer(
    name=PROGRAM,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # older typers would print local variables, and so a key
    context_settings={"help_option_names": ["-h", "--help"]},
)


def execute(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0, 1 (failed), 2 (misused) or 130 (Ctrl-C)."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        code = app(_spread(arguments), prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        return _fail(f"{error.format_message().rstrip('.')} (see {command} --help)", MISUSED)
    except (CommandError, DemoError, VoyageError) as error:
        return _fail(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if code == INTERRUPTED:  # newer typers have turned the exception into the code
        return _fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"{PROGRAM}: {''.join(c if c.isprintable() else '?' for c in line)}\n")
    return code


def _spread(arguments: list[str]) -> list[str]:
    """Let `--files` take every path up to the next option, as a shell's `*` writes them."""
    spread, taking = list[str](), False
    for position, argument in enumerate(arguments):
        if argument == "--":
            return spread + arguments[position:]
        following = arguments[position + 1 : position + 2]
        if argument == "--files" and following and not following[0].startswith("-"):
            taking = True
            continue
        taking = taking and not argument.startswith("-")
        spread += ["--files", argument] if taking else [argument]
    return spread


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


@app.callback(invoke_without_command=True)
def program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Voyage AI embeddings and rerankers for LangChain, LlamaIndex and notebooks."""
    if version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(
    epilog=_examples(
        "demo",
        'demo "how do I sort a list by two keys?"',
        'demo "who signed the contract?" --files notes/ letters/*.md',
        'demo "a red circle" --images pictures/',
        "demo --json | jq .first_hit_right",
    )
)
def demo(
    questions: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUESTION", help="Your own questions, each in quotes."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--files",
            metavar="PATH...",
            help="Search your own text: .txt .md .rst .py files, or folders of them.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Search the PNG, JPEG, WEBP and GIF pictures of a folder, without a reranker.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The embedding model.",
            show_default=f"{MODEL}; {PICTURE_MODEL} with --images",
        ),
    ] = None,
    rerank_model: Annotated[str, typer.Option(help="The reranker.")] = RERANK_MODEL,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take N passages or pictures only.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Ask Python's own documentation, through LangChain and LlamaIndex.

    Embeds the docstrings of the standard library, answers ten built-in questions (or yours) through
    a retriever and a reranker of each framework, and says what that costs.

    Without VOYAGE_API_KEY or VOYAGE_API_KEY_PATH an emulator answers, free of charge and offline;
    its vectors are not Voyage's. With a key the live service is used and tokens are spent.
    """
    options = Options(
        questions=tuple(questions or ()),
        files=tuple(files or ()),
        model=model or (PICTURE_MODEL if images else MODEL),
        rerank_model=rerank_model,
        limit=limit,
        as_json=as_json,
        images=images,
    )
    run_demo(options, _console(), _console(stderr=True))


@app.command("models", epilog=_examples("models", "models --json | jq '.[].name'"))
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON list.")] = False,
) -> None:
    """List Voyage's models with their limits, dimensions and prices."""
    if as_json:
        typer.echo(json.dumps([_as_json(model) for model in MODELS.values()], indent=2))
        return
    console = _console()
    row = "{:<23}  {:<10}  {:<18}  {:>7}  {:>7}  {:>5}".format
    console.print(row("model", "status", "dimensions", "context", "request", "$/1M"), style="bold")
    for kind, models in groupby(MODELS.values(), key=lambda model: model.kind):
        console.print(f"\n{kind}", style="bold blue")
        for model in models:
            dimensions = " ".join(str(dimension) for dimension in model.dimensions)
            price = "" if model.price is None else f"{model.price:.2f}"
            limits = _thousands(model.context), _thousands(model.request_tokens)
            console.print(
                row(model.name, model.status, dimensions, *limits, price),
                style="" if model.status == "active" else "dim",
            )
    console.print(
        "\nDimensions: the default first. Context, request: tokens of one input, of one"
        "\nrequest. $/1M: list price of a million tokens, in US dollars.",
        style="dim",
    )


def _thousands(tokens: int) -> str:
    return f"{tokens // 1_000_000}M" if tokens >= 1_000_000 else f"{tokens // 1_000}K"  # noqa: PLR2004


def _as_json(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "context": model.context,
        "dimensions": model.dimensions,
        "dtypes": model.dtypes,
        "request_tokens": model.request_tokens,
        "request_inputs": model.request_inputs,
        "dollars_per_million_tokens": model.price,
        "status": model.status,
        "source": model.source,
    }


@app.command(epilog=_examples("emulate", "emulate --port 9000 --host 0.0.0.0"))
def emulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Run an emulator of Voyage's API on this machine, for tests and for working offline.

    It checks and limits as the service does. Its vectors compare words; they are not Voyage's.
    """
    try:
        from voyage_rag.emulator.server import serve  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in {"numpy", "orjson", "starlette", "uvicorn"}:
            raise
        raise CommandError(
            f"the emulator needs {missing}: pip install 'voyage-rag[emulator]'"
        ) from error
    try:
        serve(host, port)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise CommandError(f"cannot listen on {host}:{port}: {reason}") from error
