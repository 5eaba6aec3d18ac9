"""Settings of an emulator, and its record of received requests."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from voyage_rag.emulator.faults import Fault, RandomFaults

EMULATOR_KEY = "pa-the-emulator-takes-any-key"
"""A key to pass to an emulator's clients."""

DialectName: TypeAlias = Literal[
    "voyage", "sagemaker", "azure-foundry", "azure-application", "openai"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """Settings of one emulator.

    Attributes:
        dialect: The emulated service: the Voyage API, or another service that hosts its models.
        served_model: The model of a SageMaker endpoint (default: the one in the endpoint's name),
            of an Azure application (default: voyage-4), or in the list of an OpenAI-compatible
            server.
        keys: Accepted keys. None accepts any key that does not contain `invalid`.
        latency: Seconds before every response.
        seconds_per_token: Additional seconds per billed token.
        requests_per_minute: Limit per key and model. None: no limit, or 3 with `free_tier`.
        tokens_per_minute: Limit per key and model. None: no limit, or 10,000 with `free_tier`.
        characters_per_token: Count tokens by length alone, to emulate text with many tokens. With
            None, words are counted as in plain English.
        burst_seconds: How many seconds of a limit may be used at once.
        free_tier: Respond as for an account without a payment method: low limits, and a warning in
            each response.
        retry_after: Format of the Retry-After header of a 429. None, like the service, sends no
            header.
        faults: One fault per request in order (None for a normal response), or random faults.
        clock: Returns seconds, for rate limits and the record of requests.
        batch_speed: Factor by which batches run faster than the clock.
        batch_validating: Seconds that the validation of a batch takes.
        batch_running: Seconds that the processing of its lines takes. A batch expires after twelve
            hours.
        batch_ending: Seconds that finalising or cancelling it takes.
        batch_inputs: Maximum number of texts, documents or queries per batch.
        batches_in_flight: Maximum number of unfinished batches per key.
        batch_tokens_in_flight: Maximum number of tokens in all unfinished batches per key.
        file_bytes: Maximum size of an uploaded file. Not documented; a third party reports 1 GB.
        failing_lines: Each custom_id whose line fails with a 500 in the first batch that contains
            it.

    Examples:
        >>> from voyage_rag.emulator import Emulator
        >>> emulator = Emulator(requests_per_minute=100, latency=0.05)
        >>> emulator.options.requests_per_minute
        100
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
        body: Parsed JSON; bytes if the body is not JSON; for an upload, its fields with the name
            and size of the file.
        headers: Headers with lower-case names; the Authorization header has no value.
        at: Time at which the request was read, in seconds of the emulator's clock.
        status: Status of the response; None before it, or without one.
        tokens: Billed tokens; None if the request was rejected.
        answered_at: Time at which the response began, in seconds of the emulator's clock.
        method: HTTP method.
        fault: The fault that was applied.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> emulator = Emulator()
        >>> with emulator as url:
        ...     result = Voyage(base_url=url).embed(["Hello, world"], model="voyage-4")
        >>> [(request.path, request.status) for request in emulator.requests]
        [('/v1/embeddings', 200)]
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
