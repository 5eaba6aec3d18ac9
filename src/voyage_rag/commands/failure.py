"""How a command ends when it does not succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

OPTION = r"(?<![\w'\"-])(?P<name>[a-z_]+)\b(?:=(?P<value>'[^']*'|[\w.]+))?"
PLAIN = r"'[\w.,-]+'"


class CommandError(Exception):
    """A command cannot do its work; the message says why and what to do about it.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Say on Ctrl-C what becomes of the work."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise CommandError(message, INTERRUPTED) from error


@contextmanager
def extra(name: str, *packages: str, what: str) -> Iterator[None]:
    """Turn a missing package of an extra into a line that says what to install.

    Args:
        name: The extra, as in `pip install 'voyage-rag[name]'`.
        packages: What it brings; other missing modules are bugs and keep their traceback.
        what: Who needs it, as the line begins: "the emulator".
    """
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in packages:
            raise
        raise CommandError(f"{what} needs {missing}: pip install 'voyage-rag[{name}]'") from error


def in_cli_syntax(message: str, options: AbstractSet[str]) -> str:
    """A message with options as they are typed: `on_error='skip'` becomes `--on-error skip`.

    Args:
        message: What an error of the library says.
        options: The names of the program's options.
    """

    def typed(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name not in options or (value is None and "_" not in name):
            return found[0]
        option = "--" + ("no-" if value == "False" else "") + name.replace("_", "-")
        if value is None or value in {"True", "False"}:
            return option
        return f"{option} {value.strip(chr(39)) if re.fullmatch(PLAIN, value) else value}"

    return re.sub(OPTION, typed, message)
