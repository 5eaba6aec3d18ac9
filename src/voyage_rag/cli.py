"""The entry point of the command line: `voyage-rag` and `python -m voyage_rag`.

The commands need typer and rich. This module needs neither, so it can print an installation hint if
they are missing.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: The arguments without the program name. None uses `sys.argv`.
    """
    ended_by = list[int]()

    def interrupt(number: int, _: object) -> None:
        ended_by.append(number)
        raise KeyboardInterrupt

    try:
        if arguments is None:
            _handle_signals(interrupt)
        from voyage_rag.commands.app import execute  # noqa: PLC0415 - typer and rich may be missing
    except ImportError as error:
        if (error.name or "").split(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write(
            f"voyage-rag: the command line needs {error.name}: pip install 'voyage-rag[cli]'\n"
        )
        return 1
    except KeyboardInterrupt:  # during the import
        sys.stderr.write("voyage-rag: interrupted\n")
        code = INTERRUPTED
    else:
        code = execute(sys.argv[1:] if arguments is None else list(arguments))
    return 128 + ended_by[0] if ended_by and code == INTERRUPTED else code


def _handle_signals(handle: Callable[[int, object], None]) -> None:
    """Clean up after `kill`, `timeout` or a closed terminal, as after Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # unless nohup set it
            signal.signal(number, handle)
