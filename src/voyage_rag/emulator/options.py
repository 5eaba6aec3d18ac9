"""What an emulator can be told."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from voyage_rag.emulator.faults import Chance, Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of one emulator."""

    keys: Collection[str] | None = None
    """Keys that are accepted. None: any key without the word `invalid` in it."""
    latency: float = 0.0
    """Seconds every answer waits."""
    seconds_per_token: float = 0.0
    """Seconds it waits besides, for each billed token."""
    requests_per_minute: int | None = None
    """For each key and model. None: no limit, or 3 with `free_tier`."""
    tokens_per_minute: int | None = None
    """For each key and model. None: no limit, or 10,000 with `free_tier`."""
    burst_seconds: float = 60.0
    """How many seconds' worth of a limit may be spent at once."""
    free_tier: bool = False
    """Answer as to an account without a payment method: low limits, a warning in each answer."""
    retry_after: Literal["seconds", "date"] | None = None
    """Form of the Retry-After header of a 429; None, as with the service: no such header."""
    faults: Sequence[Fault | None] | Chance = ()
    """One for each request in turn, None for a proper answer, nothing wrong after the last; or by
    chance."""
    clock: Callable[[], float] = time.monotonic
    """Seconds; what the rate limits and the record of requests read."""
