"""Embeddings on the wire and in memory.

The service sends base64 of a raw little-endian array (docs.voyageai.com, "Flexible Dimensions and
Quantization"). In memory a vector stays an `array.array`: 4 bytes per float dimension.
"""

from __future__ import annotations

import binascii
import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.types import TYPECODES

if TYPE_CHECKING:
    from voyage_rag.models import OutputDtype
    from voyage_rag.types import Vector

# A float32 whose top byte is 0x7f or 0xff is NaN, infinite or beyond 1e38.
NAN_OR_HUGE, MINUS_NAN_OR_HUGE = b"\x7f", b"\xff"
BIG_ENDIAN = sys.byteorder == "big"


def length_of(dimension: int, dtype: OutputDtype) -> int:
    """How many numbers a vector has: eight dimensions share one in the binary types."""
    return dimension // 8 if dtype in {"binary", "ubinary"} else dimension


def decode_all(embeddings: Sequence[object], dtype: OutputDtype) -> list[Vector]:
    """Read the embeddings of a response; see `decode`."""
    return [decode(embedding, dtype) for embedding in embeddings]


def decode(embedding: object, dtype: OutputDtype) -> Vector:
    """Read one embedding, base64 or a list of numbers.

    Raises:
        UnexpectedAnswerError: It is neither, or holds a number that is not finite.
    """
    if isinstance(embedding, str):
        vector = _from_base64(embedding, dtype)
    elif isinstance(embedding, list):
        vector = _from_numbers(embedding, dtype)
    else:
        raise UnexpectedAnswerError(f"an embedding came as {type(embedding).__name__}")
    if dtype == "float" and not _is_finite(vector):
        raise UnexpectedAnswerError("an embedding holds numbers that are not finite")
    return vector


def zeros(length: int, dtype: OutputDtype) -> Vector:
    """The vector of no direction: what an empty text is given where the user asks for it."""
    nothing = -128 if dtype == "binary" else 0  # offset binary: no bit set
    return array(TYPECODES[dtype], [nothing]) * length


def _from_base64(text: str, dtype: OutputDtype) -> Vector:
    try:
        vector: Vector = array(TYPECODES[dtype], binascii.a2b_base64(text, strict_mode=True))
    except (binascii.Error, ValueError) as error:
        raise UnexpectedAnswerError(f"an embedding is no base64 of {dtype}: {error}") from None
    if BIG_ENDIAN:
        vector.byteswap()
    return vector


def _from_numbers(numbers: list[float], dtype: OutputDtype) -> Vector:
    try:
        return array(TYPECODES[dtype], numbers)
    except (TypeError, OverflowError, ValueError):
        raise UnexpectedAnswerError(f"an embedding holds what is no {dtype}") from None


def _is_finite(vector: Vector) -> bool:
    top_bytes = vector.tobytes()[0 if BIG_ENDIAN else 3 :: 4]
    return NAN_OR_HUGE not in top_bytes and MINUS_NAN_OR_HUGE not in top_bytes
