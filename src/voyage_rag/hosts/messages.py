"""An HTTP request and its response, as the core and the hosts use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent from disk, as `multipart/form-data`.

    Attributes:
        path: Path of the file.
        filename: Its name in the form.
        fields: The other fields of the form.
    """

    path: str
    filename: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an endpoint. The host adds the address and the authentication.

    Attributes:
        path: The endpoint with its name in the Voyage API, for example `/embeddings`.
        body: The encoded JSON document; empty for none.
        model: The model of the request.
        inputs: Number of inputs.
        vectors: Number of vectors in the response; None if only the service knows.
        method: `POST`, `GET` or `DELETE`.
        upload: A file to send instead of a body.
        save_to: A path to which the body of a 200 is written, instead of being kept in memory.
        repeatable: Whether sending it twice has the same effect as sending it once.
        fields: The document before the host encoded it, with the names of the Voyage API.
    """

    path: str
    body: bytes = field(repr=False)
    model: str
    inputs: int
    vectors: int | None = None
    method: str = "POST"
    upload: Upload | None = None
    save_to: str | None = None
    repeatable: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_transfer(self) -> bool:
        """Whether it transfers a file, for which the timeout limits the time without data only."""
        return self.upload is not None or self.save_to is not None


def nothing() -> None:
    """Do nothing; the default of `Response.distrust` for a response without a connection."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Header names are lower case.

    Attributes:
        status: The HTTP status.
        headers: The response headers.
        body: The decompressed body.
        distrust: Call this if the body is invalid: its connection is not used again.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    distrust: Callable[[], None] = field(default=nothing, repr=False, compare=False)
