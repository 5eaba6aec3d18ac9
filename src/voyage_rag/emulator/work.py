"""What stands between a checked request and its answer."""

from collections.abc import Callable
from typing import Any, NamedTuple

from voyage_rag.emulator.rules import Argument, Arguments

Payload = dict[str, Any]
"""The body of an answer: JSON, except that vectors are numpy arrays."""


class Work(NamedTuple):
    """A request that may be answered, once the rate limits agree."""

    model: str
    tokens: int
    """What it is billed."""
    as_base64: bool
    produce: Callable[[], Payload]
    """Does the part that costs time."""


class Endpoint(NamedTuple):
    """One path of the API."""

    path: str
    arguments: tuple[Argument, ...]
    prepare: Callable[[Arguments], Work]
    """Check arguments against their model's limits; raise `Refusal`."""
    check_together: Callable[[Arguments], None] = lambda _: None
    """Check arguments against each other, before the key is; raise `Refusal`."""
