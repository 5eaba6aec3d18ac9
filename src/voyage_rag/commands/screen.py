"""Where commands write: a console for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console

PIPE_WIDTH = 120
"""Columns of what is written where no terminal says how many there are."""


def console(*, stderr: bool = False) -> Console:
    """A console of Rich's: coloured on a terminal, the same words plainly in a pipe."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def working(what: str) -> AbstractContextManager[object]:
    """Show on a terminal that something takes a moment; nothing in a pipe."""
    err = console(stderr=True)
    return err.status(f"[dim]{what}[/]") if err.is_terminal else nullcontext()


def remark(text: str) -> None:
    """Say something by the way, to a person only."""
    err = console(stderr=True)
    if err.is_terminal:
        err.print(text, style="dim", markup=False)


def write_json(value: object) -> None:
    """Write one JSON value to stdout, indented, with its letters as they are."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def one_line(text: str) -> str:
    """The text without line breaks, and without what would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def dollars(amount: float | None) -> str:
    """A price as it is read: four places, because most are small."""
    if amount is None:
        return "not known"
    return "<$0.0001" if 0 < amount < 0.0001 else f"${amount:,.4f}"  # noqa: PLR2004
