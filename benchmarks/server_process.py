"""Start the server for one measurement."""

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

from benchmarks.server import ServerBehavior

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A running server.

    Attributes:
        url: The base URL for clients.
    """

    url: str

    def statistics(self) -> dict[str, Any]:
        """Return the counts of the server."""
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - our own server
        address = f"{self.url}/statistics"
        with urllib.request.urlopen(address, context=context) as response:  # noqa: S310
            outcome: dict[str, Any] = json.load(response)
        return outcome


@contextmanager
def running_server(behavior: ServerBehavior) -> Iterator[RunningServer]:
    """Run a server with this behavior in its own process."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.server", json.dumps(asdict(behavior))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        scheme = "http" if behavior.certificate is None else "https"
        yield RunningServer(f"{scheme}://{HOST}:{int(process.stdout.readline())}/v1")
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
