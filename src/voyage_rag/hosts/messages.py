"""An HTTP request and its response, as the core writes and reads them and as hosts see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent from disk, as `multipart/form-data`.

    Attributes:
        path: Where it is.
        filename: Its name in the form.
        fields: The other fields of the form.
    """

    path: str
    filename: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an endpoint. The host knows its address and how it is authorised.

    Attributes:
        path: The endpoint, as the Voyage API names it, for example `/embeddings`.
        body: The JSON document to send, encoded; empty for none.
        model: The model it is for.
        inputs: How many inputs it carries.
        vectors: How many vectors its response holds, None where only the service knows.
        method: `POST`, `GET` or `DELETE`.
        upload: A file to send instead of a body.
        save_to: A path to which the body of a 200 is written, instead of being held in memory.
        repeatable: Whether sending it twice leaves the service as sending it once does.
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
        """Whether it moves a file, for which the timeout limits silence and not the whole."""
        return self.upload is not None or self.save_to is not None


def nothing() -> None:
    """For a response without a connection."""


@dataclass(frozen=True, slots=True)
class Response:
    """Any HTTP response. Header names are lower case.

    Attributes:
        status: HTTP's.
        headers: Those of the response.
        body: Decompressed.
        distrust: To be called if the body is no sound result: its connection is not used again.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    distrust: Callable[[], None] = field(default=nothing, repr=False, compare=False)
