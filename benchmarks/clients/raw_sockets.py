"""Lower bound for many texts: sixteen requests in flight over raw sockets."""

from __future__ import annotations

from benchmarks import baseline
from benchmarks.clients import MODEL, BenchmarkClient


def make(url: str, size: int) -> BenchmarkClient:
    """Create a client that sends `size` texts per request."""
    return BenchmarkClient(
        lambda texts: baseline.embed(url, texts, size, MODEL),
        lambda text: baseline.embed(url, [text], 1, MODEL)[0],
    )
