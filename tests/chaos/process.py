"""What a process holds: counted from the outside, by the kernel."""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

DESCRIPTORS = Path("/proc/self/fd")
PAGE = os.sysconf("SC_PAGE_SIZE")
SETTLING = 1.0
"""Seconds in which everything has to be released."""


@dataclass(frozen=True)
class Held:
    """What there is.

    Attributes:
        sockets: Open ones.
        threads: Of Python, daemons too, but for those that trio keeps for ten seconds.
    """

    sockets: int
    threads: int


def held(*, collecting: bool = True) -> Held:
    """What this process holds now, after garbage was collected or before."""
    if collecting:
        gc.collect()
    return Held(_sockets(), sum(not _is_trios(thread) for thread in threading.enumerate()))


def settled(expected: Held, *, collecting: bool = True) -> Held:
    """What it holds as soon as that is no more than expected, or when a second is over."""
    end = time.monotonic() + SETTLING
    while True:
        now = held(collecting=collecting)
        if (now.sockets <= expected.sockets and now.threads <= expected.threads) or (
            time.monotonic() > end
        ):
            return now
        time.sleep(0.01)


def memory() -> int:
    """Bytes of memory in use (resident set)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _sockets() -> int:
    count = 0
    for descriptor in DESCRIPTORS.iterdir():
        try:
            count += str(descriptor.readlink()).startswith("socket:")
        except OSError:
            continue  # the one this directory was listed with
    return count


def _is_trios(thread: threading.Thread) -> bool:
    """Whether a thread is one of trio's cache."""
    return thread.name.lower().startswith("trio ")
