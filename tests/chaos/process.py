"""The resources of a process, as counted by the kernel."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

DESCRIPTORS = Path("/proc/self/fd")
PAGE = os.sysconf("SC_PAGE_SIZE")
SETTLING = 3.0
"""Seconds in which everything has to be released."""


@dataclass(frozen=True)
class Held:
    """What there is.

    Attributes:
        sockets: Open ones; not those that such a server has accepted.
        threads: Of Python, daemons too, but for those that trio keeps for ten seconds and those of
            a server of the tests, which may still read what clients have closed.
    """

    sockets: int
    threads: int


def held(*, collecting: bool = True) -> Held:
    """Return what this process has open now, before or after a garbage collection."""
    if collecting:
        gc.collect()
    return Held(_sockets(), sum(not _is_others(thread) for thread in threading.enumerate()))


def settled(expected: Held, *, collecting: bool = True) -> Held:
    """Return what it has open once that is no more than expected, or after three seconds."""
    end = time.monotonic() + SETTLING
    while True:
        now = held(collecting=collecting)
        if (now.sockets <= expected.sockets and now.threads <= expected.threads) or (
            time.monotonic() > end
        ):
            return now
        time.sleep(0.01)


def memory() -> int:
    """Return the bytes of memory in use (resident set)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _sockets() -> int:
    found = [each for path in DESCRIPTORS.iterdir() if (each := _port_of(path)) is not None]
    servers = {port for port, listens in found if listens and port}
    return sum(listens or port not in servers for port, listens in found)


def _port_of(path: Path) -> tuple[object, bool] | None:
    """Return the local port of a socket, or None, and whether it listens."""
    try:
        if not str(path.readlink()).startswith("socket:"):
            return None
        with socket.socket(fileno=os.dup(int(path.name))) as same:
            listens = bool(same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            address = same.getsockname()
    except OSError:
        return None  # the descriptor this directory was listed with
    return address[1] if isinstance(address, tuple) else None, listens


def _is_others(thread: threading.Thread) -> bool:
    """Whether a thread belongs to trio's cache or to a server of the tests."""
    return thread.name.lower().startswith("trio ") or "process_request_thread" in thread.name
