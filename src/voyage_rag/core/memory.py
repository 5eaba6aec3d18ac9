"""What the cache keeps, and under which key. The store itself is `voyage_rag.io.cache`.

A vector depends on the model, the dimension, the number type, the prompt, the truncation and the
text; and on the host, since gateways serve models of the same name. Leave one out, and a cache
hands out wrong vectors.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from typing import TYPE_CHECKING

from voyage_rag.types import TYPECODES

if TYPE_CHECKING:
    from voyage_rag.core.wire import EmbedOptions
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import Vector

KEY_BYTES = 20


class Keys:
    """Cache keys of texts that share a host and options."""

    def __init__(self, host: str, options: EmbedOptions) -> None:
        shared = (
            host,
            options.model,
            options.expected_dimension,
            options.dtype,
            options.input_type,
            options.truncation,
        )
        self._shared = hashlib.blake2b(repr(shared).encode(), digest_size=KEY_BYTES)

    def __call__(self, text: str) -> bytes:
        """The key of one text, 20 bytes."""
        key = self._shared.copy()
        key.update(b"\0" + text.encode())
        return key.digest()


def to_bytes(vector: Vector) -> bytes:
    """A vector as it is stored: its numbers, little-endian."""
    if sys.byteorder == "big":
        vector = array(vector.typecode, vector)
        vector.byteswap()
    return vector.tobytes()


def from_bytes(stored: bytes, dtype: OutputDtype) -> Vector:
    """The vector that was stored."""
    vector: Vector = array(TYPECODES[dtype])
    vector.frombytes(stored)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector
