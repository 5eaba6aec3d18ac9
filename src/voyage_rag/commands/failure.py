"""Failures of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

FAILED, MISUSED, INCOMPLETE, INTERRUPTED = 1, 2, 3, 130

OPTION = r"(?<![\w'\"-])(?P<name>[a-z_]+)\b(?:=(?P<value>'[^']*'|[\w.]+))?"
OTHER_NAMES = {"text_column": "field", "id_column": "id_field"}
"""Options of `EmbeddingJob`, and their names in other commands than `embed`."""

PLAIN = r"'[\w.,-]+'"


class CommandError(Exception):
    """A command cannot run. The message contains the reason and the remedy.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Convert Ctrl-C to a `CommandError` with this message."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise CommandError(message, INTERRUPTED) from error


def in_cli_syntax(message: str, options: AbstractSet[str]) -> str:
    """Convert options in a message to command-line syntax.

    `on_error='skip'` becomes `--on-error skip`.
    """

    def typed(found: re.Match[str]) -> str:
        given, value = found["name"], found["value"]
        name = given if given in options else OTHER_NAMES.get(given, given)
        if name not in options or (value is None and "_" not in given):
            return found[0]
        option = "--" + ("no-" if value == "False" else "") + name.replace("_", "-")
        if value is None or value in {"True", "False"}:
            return option
        return f"{option} {value.strip(chr(39)) if re.fullmatch(PLAIN, value) else value}"

    return re.sub(OPTION, typed, message)
