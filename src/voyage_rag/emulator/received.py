"""What an emulator remembers of the requests it was sent."""

from dataclasses import dataclass
from typing import Any

from voyage_rag.emulator.faults import Fault


@dataclass(slots=True)
class Received:
    """One request an emulator was sent."""

    path: str
    body: Any
    """Parsed JSON; the bytes themselves where they are not JSON; of an upload its fields, the file
    by its size."""
    headers: dict[str, str]
    """In lower case; the Authorization header without its value."""
    at: float
    """Seconds of the emulator's clock, when the request had been read."""
    status: int | None = None
    """Of the answer; None until there is one, and for good where none is given."""
    tokens: int | None = None
    """What the request was billed; None where it was refused."""
    answered_at: float | None = None
    """Seconds of the emulator's clock, when the answer began."""
    method: str = "POST"
    fault: Fault | None = None
    """What went wrong with it on purpose."""


def without_key(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with the Authorization header's value left out."""
    return headers | ({"authorization": "..."} if "authorization" in headers else {})
