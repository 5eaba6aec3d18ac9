"""Settings of an emulator, and its record of the requests it received."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from voyage_rag.emulator.faults import Fault, RandomFaults

DialectName: TypeAlias = Literal[
    "voyage", "sagemaker", "azure-foundry", "azure-application", "openai"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """Settings of one emulator.

    Attributes:
        dialect: The service that is emulated: the Voyage API, or another that runs its models.
        served_model: The model of a SageMaker endpoint (None: that in the endpoint's name), of an
            Azure application (None: voyage-4), or in the list of an OpenAI-compatible server.
        keys: Accepted keys. None: any key without the word `invalid` in it.
        latency: Seconds before every response.
        seconds_per_token: Seconds that are added for each billed token.
        requests_per_minute: For each key and model. None: no limit, or 3 with `free_tier`.
        tokens_per_minute: For each key and model. None: no limit, or 10,000 with `free_tier`.
        characters_per_token: Count tokens by length alone, as for text that needs many. None: count
            words as of plain English.
        burst_seconds: Seconds' worth of a limit that may be spent at once.
        free_tier: Respond as to an account without a payment method: low limits, a warning in each
            response.
        retry_after: Form of the Retry-After header of a 429; None, as with the service: no header.
        faults: One for each request in turn (None for a proper response, and none after the last),
            or random ones.
        clock: Returns seconds; read by the rate limits and the record of requests.
        batch_speed: Seconds of a batch's life that pass in one second of the clock.
        batch_validating: Seconds of its life that a batch is validated for.
        batch_running: Seconds that all its lines take; a batch expires after twelve hours.
        batch_ending: Seconds that it is finalised or cancelled for.
        batch_inputs: Texts, documents or queries in one batch.
        batches_in_flight: Batches of one key that have not ended.
        batch_tokens_in_flight: Tokens of all batches of one key that have not ended.
        file_bytes: Size of an uploaded file. Not documented; a third party reports 1 GB.
        failing_lines: Every custom_id whose line fails with a 500 in the first batch that has it.
    """

    dialect: DialectName = "voyage"
    served_model: str | None = None
    keys: Collection[str] | None = None
    latency: float = 0.0
    seconds_per_token: float = 0.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    characters_per_token: float | None = None
    burst_seconds: float = 60.0
    free_tier: bool = False
    retry_after: Literal["seconds", "date"] | None = None
    faults: Sequence[Fault | None] | RandomFaults = ()
    clock: Callable[[], float] = time.monotonic
    batch_speed: float = 1.0
    batch_validating: float = 2.0
    batch_running: float = 20.0
    batch_ending: float = 2.0
    batch_inputs: int = 100_000
    batches_in_flight: int = 100
    batch_tokens_in_flight: int = 1_000_000_000
    file_bytes: int = 2**30
    failing_lines: Collection[str] = ()


@dataclass(slots=True)
class ReceivedRequest:
    """A request that an emulator received.

    Attributes:
        path: Path of the URL.
        body: Parsed JSON; the bytes themselves where they are not JSON; of an upload its fields,
            with name and size of the file.
        headers: Lower-case names; the Authorization header without its value.
        at: Seconds of the emulator's clock, when the request had been read.
        status: Status of the response; None before it, and where there is none.
        tokens: Billed tokens; None where the request was rejected.
        answered_at: Seconds of the emulator's clock, when the response began.
        method: HTTP method.
        fault: The fault that the request met.
    """

    path: str
    body: Any
    headers: dict[str, str]
    at: float
    status: int | None = None
    tokens: int | None = None
    answered_at: float | None = None
    method: str = "POST"
    fault: Fault | None = None
