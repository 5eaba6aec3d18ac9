"""The outside of an answer: its bytes and headers, as recorded.

Bodies are compact JSON with a Content-Length, never compressed and never chunked. Headers stand in
the order of the wire. `x-request-id` has 32 hexadecimal digits; whether today's errors carry it is
not recorded, the emulator's do. `x-api-warning` is on every 200, empty for an account that pays.
"""

import base64
import math
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from numpy import ndarray

from voyage_rag.emulator.rules import Refusal

NOTICE = "emulator: not Voyage AI, and not Voyage's vectors or scores"

PAYMENT = (
    "You have not yet added your payment method in the billing page and will have reduced rate "
    "limits of 3 RPM and 10K TPM. To unlock our standard rate limits, please add a payment method "
    "in the billing page for the appropriate organization in the user dashboard "
    "(https://dashboard.voyageai.com/). Even with payment methods entered, the free tokens (200M "
    "tokens for Voyage series 3) will still apply. After adding a payment method, you should see "
    "your rate limits increase after several minutes. See our pricing docs "
    "(https://docs.voyageai.com/docs/pricing) for the free tokens for your model."
)
"""What an account without a payment method is told, in `x-api-warning` and in a 429."""

_FRONT_END = {
    "via": "1.1 google",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
    "x-voyage-emulator": NOTICE,
}


class Answer(NamedTuple):
    """An HTTP answer, whole."""

    status: int
    headers: dict[str, str]
    """In lower case, in the order of the wire."""
    body: bytes


def succeed(payload: Mapping[str, Any], *, as_base64: bool, free_tier: bool) -> Answer:
    """Return a 200.

    Args:
        payload: JSON, except that vectors are numpy arrays.
        as_base64: Write them as base64 of their little-endian bytes, not as numbers.
        free_tier: Warn of the missing payment method.
    """
    body = encode(payload, as_base64=as_base64)
    return write(200, body, {"x-api-warning": PAYMENT if free_tier else ""})


def encode(payload: Mapping[str, Any], *, as_base64: bool) -> bytes:
    """Return compact JSON, its vectors as base64 or as numbers."""
    if as_base64:
        return orjson.dumps(payload, default=_encode)
    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY)


def fail(refusal: Refusal) -> Answer:
    """Return the error a refusal stands for."""
    return write(refusal.status, orjson.dumps(refusal.body), refusal.headers)


def write(
    status: int,
    body: bytes,
    headers: Mapping[str, str] = {},
    content_type: str = "application/json",
) -> Answer:
    """Return an answer with the service's usual headers around those given."""
    wire = {"date": formatdate(usegmt=True), "server": "uvicorn"}
    wire |= headers
    wire |= {"content-length": str(len(body)), "content-type": content_type}
    wire |= {"x-request-id": uuid4().hex}
    return Answer(status, wire | _FRONT_END, body)


def retry_after(seconds: int, *, as_date: bool = False) -> dict[str, str]:
    """Return a Retry-After header, in seconds or as the date that many seconds from now."""
    if as_date:
        return {"retry-after": formatdate(math.ceil(time.time() + seconds), usegmt=True)}
    return {"retry-after": str(seconds)}


def _encode(value: Any) -> str:
    if not isinstance(value, ndarray):
        raise TypeError(f"not a vector: {value!r}")
    little_endian = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little_endian.tobytes()).decode("ascii")
