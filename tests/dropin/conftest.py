"""The peers' packages are installed before the first test: it takes longer than a test may."""

from __future__ import annotations

from benchmarks.environments import python_with

from dropin.peers import PEERS


def pytest_collection_finish() -> None:
    """Make the environments that are not there yet."""
    for peer in PEERS.values():
        python_with(*peer.requirements)
