"""Responses of the emulator: their bytes and headers, as recorded, and sending them.

Bodies are compact JSON with a Content-Length, never compressed or chunked. Headers have the order
of the recordings. `x-request-id` has 32 hexadecimal digits; the emulator also sends it with errors,
for which there is no recording. `x-api-warning` is on every 200, empty for a paying account.
"""

import asyncio
import base64
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

import anyio
import orjson
from numpy import ndarray

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Payload: TypeAlias = dict[str, Any]
"""Body of a response: JSON, except that vectors are numpy arrays."""

NOTICE = "emulator: not Voyage AI, and not Voyage's vectors or scores"

PAYMENT_NOTICE = (
    "You have not yet added your payment method in the billing page and will have reduced rate "
    "limits of 3 RPM and 10K TPM. To unlock our standard rate limits, please add a payment method "
    "in the billing page for the appropriate organization in the user dashboard "
    "(https://dashboard.voyageai.com/). Even with payment methods entered, the free tokens (200M "
    "tokens for Voyage series 3) will still apply. After adding a payment method, you should see "
    "your rate limits increase after several minutes. See our pricing docs "
    "(https://docs.voyageai.com/docs/pricing) for the free tokens for your model."
)
"""Text of `x-api-warning` and of a 429 for an account without a payment method."""

FILE_CHUNK_BYTES = 256 * 1024

_LOAD_BALANCER_HEADERS = {
    "via": "1.1 google",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
}


class EmulatedResponse(NamedTuple):
    """A complete HTTP response."""

    status: int
    headers: dict[str, str]
    """Lower-case names, in the order in which they are sent."""
    body: bytes


def make_response(
    status: int,
    body: bytes,
    headers: Mapping[str, str] = {},
    content_type: str = "application/json",
    *,
    of_voyage: bool = True,
) -> EmulatedResponse:
    """Return a response with the usual headers of a server in addition to `headers`.

    `of_voyage` adds the headers of Voyage's own service and of its load balancer.
    """
    all_headers = {"date": formatdate(usegmt=True), "server": "uvicorn"}
    all_headers |= headers
    all_headers |= {"content-length": str(len(body)), "content-type": content_type}
    if of_voyage:
        all_headers |= {"x-request-id": uuid4().hex} | _LOAD_BALANCER_HEADERS
    return EmulatedResponse(status, all_headers | {"x-voyage-emulator": NOTICE}, body)


def encode(payload: Mapping[str, Any], *, as_base64: bool) -> bytes:
    """Return compact JSON; vectors become base64 of little-endian bytes, or numbers."""
    if as_base64:
        return orjson.dumps(payload, default=_encode_vector)
    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY)


def _encode_vector(value: Any) -> str:
    if not isinstance(value, ndarray):
        raise TypeError(f"not a vector: {value!r}")
    little_endian = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little_endian.tobytes()).decode("ascii")


def retry_after(seconds: int, *, as_date: bool = False) -> dict[str, str]:
    """Return a Retry-After header, in seconds or as the date that many seconds from now."""
    if as_date:
        return {"retry-after": formatdate(math.ceil(time.time() + seconds), usegmt=True)}
    return {"retry-after": str(seconds)}


async def wait_or_disconnect(seconds: float | None, receive: Receive) -> bool:
    """Wait for `seconds` (None: forever), and return whether the client is still connected."""
    if seconds == 0:
        return True
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return True
    return False


async def send_response(response: EmulatedResponse, send: Send) -> None:
    """Send the head and the body."""
    await send_head(response, len(response.body), send)
    await send_body(response.body, send, last=True)


async def send_file(head: EmulatedResponse, path: Path, send: Send) -> None:
    """Send the headers of `head` and a file of any size, in chunks."""
    async with await anyio.open_file(path, "rb") as source:
        await send_head(head, await source.seek(0, os.SEEK_END), send)
        await source.seek(0)
        while chunk := await source.read(FILE_CHUNK_BYTES):
            await send_body(chunk, send)
    await send_body(b"", send, last=True)


async def send_head(response: EmulatedResponse, length: int, send: Send) -> None:
    """Send status and headers, with `length` as the Content-Length."""
    headers = response.headers | {"content-length": str(length)}
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})


async def send_body(body: bytes, send: Send, *, last: bool = False) -> None:
    """Send a part of the body."""
    await send({"type": "http.response.body", "body": body, "more_body": not last})
