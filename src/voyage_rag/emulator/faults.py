"""Faults on demand.

    Emulator(faults=[status(503), None, DROPPED])  # one fault per request, in order
    Emulator(faults=RandomFaults(0.1, seed=7))    # one request in ten, reproducible

There are three kinds:

- `ResponseFault` responds without processing the request: `status(...)`, `redirect(...)`.
- `ContentFault` changes the contents of a 200 response: `REORDERED`, `MISSING`, `DUPLICATED`,
  `NAN`, `SHORT_VECTOR`, `WRONG_DTYPE`.
- `DeliveryFault` disturbs the delivery of a correct response: `DROPPED`, `CUT_OFF`, `CLOSED`,
  `WRONG_LENGTH`, `SHORT_LENGTH`, `TRUNCATED`, `SILENT`, `STALLED`, `trickled(...)`.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from random import Random
from typing import Literal, TypeAlias

import numpy as np
import orjson

from voyage_rag.emulator.responses import (
    PAYMENT_NOTICE,
    EmulatedResponse,
    Payload,
    Receive,
    Scope,
    Send,
    make_response,
    retry_after,
    send_body,
    send_head,
    send_response,
    wait_or_disconnect,
)

TRANSPORT_KEY = "voyage_emulator.transport"
"""Key of the ASGI scope for the server's connection, which faults close."""


@dataclass(frozen=True, slots=True)
class ResponseFault:
    """Respond with this response instead.

    Attributes:
        retry_after: Seconds in the Retry-After header; None for no header.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: int | None = None
    retry_after_as_date: bool = False

    @property
    def name(self) -> str:
        """Short description, for statistics of faults."""
        kind = self.content_type.partition(";")[0].partition("/")[2] if self.body else "empty"
        form = "date" if self.retry_after_as_date else "seconds"
        waits = "" if self.retry_after is None else f", Retry-After in {form}"
        return f"{self.status} {kind}{waits}"

    def response(self) -> EmulatedResponse:
        """Return the response with the current date."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers |= retry_after(self.retry_after, as_date=self.retry_after_as_date)
        return make_response(self.status, self.body, headers, self.content_type)


@dataclass(frozen=True, slots=True)
class ContentFault:
    """Respond with wrong contents.

    Attributes:
        corrupt: Modifies the items of `data` in place (for contextualized embeddings, those of the
            first document).
    """

    name: str
    corrupt: Callable[[list[Payload]], None]


@dataclass(frozen=True, slots=True)
class DeliveryFault:
    """Disturb the delivery of a correct response.

    Attributes:
        name: The kind of disturbance; see `send_badly`.
        pieces: Number of parts in which a trickled body is sent.
        pause_seconds: Time before each part.
    """

    name: str
    pieces: int = 1
    pause_seconds: float = 0.0


Fault: TypeAlias = ResponseFault | ContentFault | DeliveryFault


def status(
    code: int,
    form: Literal["json", "html", "empty"] = "json",
    *,
    retry_after: int | None = None,
    as_date: bool = False,
) -> ResponseFault:
    """Return a fault that responds with an error.

    Args:
        code: HTTP status. A 429 mentions the missing payment method, as the service does.
        form: `json`, like the API itself, `html`, like a gateway, or `empty` for no body.
        retry_after: Seconds in a Retry-After header; None for no header.
        as_date: Send a date instead of the seconds.
    """
    phrase = _UNREGISTERED_PHRASES.get(code) or HTTPStatus(code).phrase
    detail = PAYMENT_NOTICE if code == HTTPStatus.TOO_MANY_REQUESTS else phrase
    body, content_type = {
        "json": (orjson.dumps({"detail": detail}), "application/json"),
        "html": (
            f"<html><head><title>{code} {phrase}</title></head>"
            f"<body><h1>{phrase}</h1></body></html>".encode(),
            "text/html; charset=utf-8",
        ),
        "empty": (b"", "text/plain"),
    }[form]
    return ResponseFault(
        code, body, content_type, retry_after=retry_after, retry_after_as_date=as_date
    )


_UNREGISTERED_PHRASES = {529: "Site is overloaded"}  # used by some gateways


def redirect(url: str, code: int = 307) -> ResponseFault:
    """Return a fault that redirects. A client must not send its key to another host."""
    return ResponseFault(code, headers=(("location", url),))


def _repeat_first(items: list[Payload]) -> None:
    items[-1:] = [dict(items[0])]


def _drop_last(items: list[Payload]) -> None:
    items.pop()


def _put_nan(items: list[Payload]) -> None:
    if "relevance_score" in items[0]:
        items[0]["relevance_score"] = float("nan")
    elif items[0]["embedding"].dtype.kind == "f":
        items[0]["embedding"] = items[0]["embedding"].copy()
        items[0]["embedding"][0] = np.nan


def _shorten(items: list[Payload]) -> None:
    if "embedding" in items[0]:
        items[0]["embedding"] = items[0]["embedding"][:-1]


def _change_dtype(items: list[Payload]) -> None:
    for item in items:
        if "embedding" in item:
            wrong = np.int8 if item["embedding"].dtype.kind == "f" else np.float32
            item["embedding"] = (item["embedding"] * 100).astype(wrong)


REORDERED = ContentFault("reordered", list.reverse)
"""Items in reverse order, each with its correct index."""
MISSING = ContentFault("missing", _drop_last)
"""The last item is missing."""
DUPLICATED = ContentFault("duplicated", _repeat_first)
"""The last item is a copy of the first one."""
NAN = ContentFault("nan", _put_nan)
"""The first number is invalid: NaN in base64, null among JSON numbers."""
SHORT_VECTOR = ContentFault("short_vector", _shorten)
"""The last number of the first vector is missing."""
WRONG_DTYPE = ContentFault("wrong_dtype", _change_dtype)
"""Integers instead of floats, and floats instead of integers."""

DROPPED = DeliveryFault("dropped")
"""The connection closes before a response."""
CUT_OFF = DeliveryFault("cut_off")
"""The connection closes in the middle of the body."""
CLOSED = DeliveryFault("closed")
"""The connection closes after the complete response, which did not announce it."""
WRONG_LENGTH = DeliveryFault("wrong_length")
"""Content-Length is ten bytes more than are sent before the connection closes."""
SHORT_LENGTH = DeliveryFault("short_length")
"""Content-Length is ten bytes fewer than are sent before the connection closes."""
TRUNCATED = DeliveryFault("truncated")
"""A complete HTTP response whose JSON ends in the middle."""
SILENT = DeliveryFault("silent")
"""There is no response, and the connection stays open."""
STALLED = DeliveryFault("stalled")
"""Half of the body is sent, and the connection stays open."""


def trickled(seconds: float, pieces: int = 10) -> DeliveryFault:
    """Return a fault that spreads the body over the given number of seconds."""
    return DeliveryFault("trickled", pieces, seconds / pieces)


async def send_badly(
    response: EmulatedResponse, fault: DeliveryFault, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a response with a delivery fault."""
    body, half = response.body, response.body[: len(response.body) // 2]
    match fault.name:
        case "dropped":
            await _close(scope, receive)
        case "silent":
            await wait_or_disconnect(None, receive)
        case "truncated":
            await send_head(response, len(half), send)
            await send_body(half, send, last=True)
        case "trickled":
            await send_head(response, len(body), send)
            await _trickle(body, fault, receive, send)
        case "stalled":
            await send_head(response, len(body), send)
            await send_body(half, send)
            await wait_or_disconnect(None, receive)
        case "cut_off" | "wrong_length":
            part, missing = (half, 0) if fault.name == "cut_off" else (body, 10)
            await send_head(response, len(body) + missing, send)
            await send_body(part, send)
            await _close(scope, receive)
        case "closed":
            await send_response(response, send)
            await _close(scope, receive)
        case "short_length":
            await send_head(response, len(body) - 10, send)
            await send_body(body[:-10], send)
            _connection(scope).write(body[-10:])  # bypasses the server, which would reject it
            await _close(scope, receive)


async def _trickle(body: bytes, fault: DeliveryFault, receive: Receive, send: Send) -> None:
    size = -(-len(body) // fault.pieces) or 1
    for start in range(0, len(body), size):
        if not await wait_or_disconnect(fault.pause_seconds, receive):
            return
        await send_body(body[start : start + size], send, last=start + size >= len(body))


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection after the data is written, and wait until the server has noticed."""
    _connection(scope).close()
    await wait_or_disconnect(None, receive)


def _connection(scope: Scope) -> asyncio.Transport:
    if TRANSPORT_KEY not in scope:
        raise ConnectionAbortedError("this fault needs the emulator's own server")
    transport: asyncio.Transport = scope[TRANSPORT_KEY]
    return transport


TRANSIENT = (status(429), status(500), status(502, "html"), status(503, "empty"), DROPPED, CUT_OFF)
"""Faults that a retry usually overcomes."""


@dataclass(frozen=True, slots=True)
class RandomFaults:
    """Random faults.

    Attributes:
        rate: Share of requests with a fault, from 0 to 1.
        seed: The same seed makes the same requests fail, in order of arrival.
        among: The faults to choose from.
    """

    rate: float
    seed: int = 0
    among: Sequence[Fault] = TRANSIENT


def iterate_faults(faults: Sequence[Fault | None] | RandomFaults) -> Iterator[Fault | None]:
    """Yield the fault of each request endlessly; None for a normal response."""
    if not isinstance(faults, RandomFaults):
        yield from chain(faults, repeat(None))
        return
    random = Random(faults.seed)  # noqa: S311 - repeatable on purpose
    while True:
        fault = random.choice(faults.among)
        yield fault if random.random() < faults.rate else None
