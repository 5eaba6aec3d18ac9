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
    batch_speed: float = 1.0
    """Seconds of a batch's life that pass in one second of the clock."""
    batch_validating: float = 2.0
    """Seconds of its life that a batch is validated for."""
    batch_running: float = 20.0
    """Seconds that all its lines take; it expires after twelve hours, whatever is done by then."""
    batch_ending: float = 2.0
    """Seconds that it is finalised or cancelled for."""
    batch_inputs: int = 100_000
    """Texts, documents or queries in one batch."""
    batches_in_flight: int = 100
    """Batches of one key that have not ended."""
    batch_tokens_in_flight: int = 1_000_000_000
    """Tokens of all batches of one key that have not ended."""
    file_bytes: int = 2**30
    """Size of an uploaded file. Not documented; a third party speaks of 1 GB."""
    failing_lines: Collection[str] = ()
    """Every custom_id whose line is answered with a 500 in the first batch that holds it."""
