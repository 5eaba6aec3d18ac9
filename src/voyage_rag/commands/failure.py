"""How a command ends when it does not succeed."""

from __future__ import annotations

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class CommandError(Exception):
    """A command cannot do its work; the message says why and what to do about it."""
