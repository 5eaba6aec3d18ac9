"""Packages that only some commands need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from voyage_rag.commands.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
