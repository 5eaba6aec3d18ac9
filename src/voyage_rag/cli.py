"""The entry point of the command line: `voyage-rag` and `python -m voyage_rag`.

The commands need typer and rich. This module needs neither, so it can print an installation hint if
they are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: The arguments without the program name. None uses `sys.argv`.
    """
    try:
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
        return 130
    return execute(sys.argv[1:] if arguments is None else list(arguments))
