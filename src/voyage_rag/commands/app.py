"""The program: its commands, and their exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from voyage_rag._version import __version__
from voyage_rag.commands import batch, demo, doctor, embed, emulate, models, rerank, tokens
from voyage_rag.commands.failure import (
    FAILED,
    INTERRUPTED,
    MISUSED,
    CommandError,
    in_cli_syntax,
)
from voyage_rag.commands.screen import one_line
from voyage_rag.demo.options import DemoError
from voyage_rag.errors import VoyageError

PROGRAM = "voyage-rag"

# Newer versions of Typer vendor click, older ones import it. This works with both.
UsageError: type[typer.BadParameter] = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def examples(*lines: str) -> str:
    """Return help text whose lines are not wrapped, which the first character ensures."""
    shown = (line if f"{PROGRAM} " in line else f"{PROGRAM} {line}" for line in lines)
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in shown)


app: typer.Typer = typer.Typer(
    name=PROGRAM,
    add_completion=False,
    rich_markup_mode=None,  # Rich truncates the names of options in narrow terminals
    pretty_exceptions_enable=False,  # older versions would print local variables, such as a key
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=examples(*demo.EXAMPLES))(demo.demo)
app.command(epilog=examples(*embed.EXAMPLES))(embed.embed)
app.command(epilog=examples(*models.EXAMPLES))(models.models)
app.command(epilog=examples(*rerank.EXAMPLES))(rerank.rerank)
app.command(epilog=examples(*tokens.EXAMPLES))(tokens.tokens)
app.command(epilog=examples(*doctor.EXAMPLES))(doctor.doctor)
jobs: typer.Typer = typer.Typer(help="Run jobs with the Batch API, which costs a third less.")
for command in batch.COMMANDS:
    jobs.command(epilog=examples(*batch.EXAMPLES[command.__name__]))(command)
app.add_typer(jobs, name="batch")
app.command(epilog=examples(*emulate.EXAMPLES))(emulate.emulate)


@app.callback(invoke_without_command=True)
def program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Voyage AI embeddings and rerankers for LangChain, LlamaIndex and plain Python.

    Run voyage-rag COMMAND --help for the options of a command, and examples.
    """
    if version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def execute(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0, 1 (failed), 2 (misused) or 130 (Ctrl-C)."""
    try:
        _prepare_streams()
        code = app(_spread(arguments), prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        return _fail(f"{error.format_message().rstrip('.')} (see {command} --help)", MISUSED)
    except (CommandError, DemoError, ImportError, VoyageError) as error:
        if isinstance(error, ImportError) and "pip install" not in str(error):
            raise  # a bug, not a missing extra
        return _fail(in_cli_syntax(str(error), _options(arguments)), getattr(error, "code", FAILED))
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # for example stdout is a file on a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        named = f" {error.filename!r}" if error.filename else ""
        return _fail(f"cannot read or write{named}: {error.strerror or error}", FAILED)
    if code == INTERRUPTED:  # newer versions of Typer return this code instead of the exception
        return _fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    if sys.stderr is None:  # closed by the parent process
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stdout is None:
        raise CommandError(f"stdout is closed: redirect it, for example to {os.devnull}")
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(encoding="utf-8", errors="backslashreplace")


def _options(arguments: list[str]) -> set[str]:
    """Return the names of the options of the command that was run."""
    command: Any = typer.main.get_command(app)
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
    return {option.name for option in command.params}


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {one_line(message)}\n")
    return code


def _spread(arguments: list[str]) -> list[str]:
    """Let `--files` accept all paths up to the next option, as a shell expands `*`."""
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
