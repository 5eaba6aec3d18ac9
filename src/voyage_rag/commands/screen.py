"""Output of commands: a console for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from textwrap import wrap

from rich.console import Console
from rich.progress import ProgressColumn

MINUTE, HOUR, DAY = 60, 3_600, 86_400

PIPE_WIDTH = 120
"""Width of output without a terminal, in columns."""


def console(*, stderr: bool = False) -> Console:
    """Return a Rich console: coloured on a terminal, plain in a pipe."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


@contextmanager
def progress_bar(first: str, *columns: ProgressColumn) -> Iterator[Callable[..., None] | None]:
    """Show a progress bar on a terminal, and return its update function; None in a pipe."""
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
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *columns)
    with Progress(*shown, console=err, transient=True) as bar:
        yield partial(bar.update, bar.add_task(first, total=None, details=""))


def working(what: str) -> AbstractContextManager[object]:
    """Show a status on a terminal while something takes time."""
    err = console(stderr=True)
    return err.status(f"[dim]{what}[/]") if err.is_terminal else nullcontext()


def remark(text: str) -> None:
    """Print a remark on a terminal."""
    err = console(stderr=True)
    if err.is_terminal:
        err.print(text, style="dim", markup=False)


def write_json(value: object, *, stderr: bool = False) -> None:
    """Write one JSON value, indented and without escaping letters; paths as strings."""
    stream = sys.stderr if stderr else sys.stdout
    stream.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int, left: int) -> list[str]:
    """Return the header and the rows, aligned; `left` is how many columns are aligned to the left.

    If a line would exceed `width` columns, each row becomes a block with one value per line.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        cells = [f"{{:{'<' if at < left else '>'}{size}}}" for at, size in enumerate(widths)]
        return ["  ".join(cells).format(*line).rstrip() for line in lines]
    label = max(map(len, header[1:]))
    return [header[0]] + [
        "\n".join(
            [row[0]]
            + [
                f"  {name:<{label}}  {cell}"
                for name, cell in zip(header[1:], row[1:], strict=True)
                if cell
            ]
        )
        for row in lines[1:]
    ]


def one_line(text: str) -> str:
    """Return the text without line breaks and terminal control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def shortened(text: str, width: int) -> str:
    """Return one line, truncated at the beginning if it is too long."""
    line = one_line(text)
    return line if len(line) <= width else f"…{line[1 - width :]}"


def hanging_indent(text: str, indent: int, width: int) -> str:
    """Wrap a line, and indent all lines but the first."""
    return "\n".join(wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False))


def dollars(amount: float | None) -> str:
    """Format a price with four decimal places, because most prices are small."""
    if amount is None:
        return "not known"
    return "<$0.0001" if 0 < amount < 0.0001 else f"${amount:,.4f}"  # noqa: PLR2004


def plural(number: int, singular: str, ending: str = "s") -> str:
    """Format a number of things."""
    return f"{number:,} {singular}{'' if number == 1 else ending}"


def span(low: str, high: str) -> str:
    """Format a range, or a single value."""
    return low if low == high else f"{low} – {high}"


def duration(seconds: float) -> str:
    """Format a duration in a suitable unit."""
    if seconds < 2 * MINUTE:
        return f"{seconds:,.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:,.0f} min"
    return f"{seconds / HOUR:,.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:,.1f} days"
