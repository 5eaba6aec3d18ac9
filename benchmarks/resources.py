"""Time, processor time and memory of this process."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MB = 1_000_000
KIB = 1_024
PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Time and processor time since the process started.

    Attributes:
        seconds: Seconds of a monotonic clock.
        processor: Seconds of processor time, of all threads.
    """

    seconds: float
    processor: float

    @classmethod
    def now(cls) -> Self:
        """Read both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self) -> dict[str, float]:
        """Return the elapsed time and processor time."""
        now = self.now()
        return {"wall_s": now.seconds - self.seconds, "cpu_s": now.processor - self.processor}


def memory_mb() -> float:
    """Return the resident memory in MB."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * PAGE / MB


def peak_memory_mb() -> float:
    """Return the peak resident memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / MB
