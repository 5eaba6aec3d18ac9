"""The server, started for one measurement and stopped after it."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.server import Manner

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server.

    Attributes:
        url: The base URL for clients.
    """

    url: str

    def statistics(self) -> dict[str, Any]:
        """What has been asked of it so far."""
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - it is our own server
        address = f"{self.url}/statistics"
        with urllib.request.urlopen(address, context=context) as answer:  # noqa: S310
            outcome: dict[str, Any] = json.load(answer)
        return outcome


@contextmanager
def served(manner: Manner) -> Iterator[Served]:
    """A server of that manner, in its own process."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.server", json.dumps(asdict(manner))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        scheme = "http" if manner.certificate is None else "https"
        yield Served(f"{scheme}://{HOST}:{int(process.stdout.readline())}/v1")
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
