"""What the demo refuses, in one line for its reader."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do about it."""
