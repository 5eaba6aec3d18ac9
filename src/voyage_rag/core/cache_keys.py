"""Values of the cache and their keys. The store itself is `voyage_rag.io.cache`.

A vector depends on the model, the dimension, the number type, the prompt, the truncation and the
text; and on the host, because gateways serve models with the same names. Keys that lack one of
these would return wrong vectors.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence

from voyage_rag.core.options import EmbedOptions
from voyage_rag.hosts.conversion import is_plausible
from voyage_rag.models import OutputDtype
from voyage_rag.types import TYPECODES, Vector

KEY_BYTES = 20


class CacheKeys:
    """Cache keys of inputs that share a host and options.

    Args:
        host: The host of the model.
        options: The options of the vectors.
        more: Other values on which the vectors of this kind of input depend.
    """

    def __init__(self, host: str, options: EmbedOptions, *more: object) -> None:
        shared = (
            host,
            options.model,
            options.expected_dimension,
            options.dtype,
            options.input_type,
            options.truncation,
            *more,
        )
        self._shared = hashlib.blake2b(repr(shared).encode(), digest_size=KEY_BYTES)

    def __call__(self, text: str) -> bytes:
        """Return the key of one text, 20 bytes."""
        key = self._shared.copy()
        key.update(b"\0" + text.encode())
        return key.digest()

    def of_chunks(self, chunks: Sequence[str]) -> bytes:
        """Return the key of chunks that are embedded together, which depends on all of them."""
        key = self._shared.copy()
        for chunk in chunks:
            encoded = chunk.encode()
            key.update(b"\1%d\0" % len(encoded) + encoded)
        return key.digest()

    def of_content(self, digest: bytes) -> bytes:
        """Return the key of content with this digest."""
        key = self._shared.copy()
        key.update(b"\2" + digest)
        return key.digest()


def to_bytes(vector: Vector) -> bytes:
    """Return the stored form of a vector: its numbers, little-endian."""
    if sys.byteorder == "big":
        vector = array(vector.typecode, vector)
        vector.byteswap()
    return vector.tobytes()


def from_bytes(stored: bytes, dtype: OutputDtype, length: int | None) -> Vector | None:
    """Return a stored vector, if it is valid and has `length` numbers (None: any number)."""
    vector: Vector = array(TYPECODES[dtype])
    if not stored or len(stored) % vector.itemsize:
        return None
    vector.frombytes(stored)
    if sys.byteorder == "big":
        vector.byteswap()
    is_valid = dtype != "float" or is_plausible(vector)
    return vector[:] if is_valid and len(vector) == (length or len(vector)) else None
