"""The floor for many texts: sixteen requests in flight over raw sockets."""

from __future__ import annotations

from benchmarks import floor
from benchmarks.contestants import MODEL, Contestant


def make(url: str, size: int) -> Contestant:
    """With `size` texts per request."""
    return Contestant(
        lambda texts: floor.embed(url, texts, size, MODEL),
        lambda text: floor.embed(url, [text], 1, MODEL)[0],
    )
