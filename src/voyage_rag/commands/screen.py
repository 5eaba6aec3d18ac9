"""Where commands write: a console for people, JSON for programs."""

from __future__ import annotations

import json
import sys

from rich.console import Console

PIPE_WIDTH = 120
"""Columns of what is written where no terminal says how many there are."""


def console(*, stderr: bool = False) -> Console:
    """A console of Rich's: coloured on a terminal, the same words plainly in a pipe."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def write_json(value: object) -> None:
    """Write one JSON value to stdout, indented, with its letters as they are."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
