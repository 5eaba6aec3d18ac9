"""Vectors in memory: an `array.array`, 4 bytes per float dimension."""

from __future__ import annotations

from array import array
from collections.abc import Collection

from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.models import OutputDtype
from voyage_rag.types import TYPECODES, Vector


def length_of(dimension: int, dtype: OutputDtype) -> int:
    """Return the length of a vector: eight dimensions share a number in the binary types."""
    return dimension // 8 if dtype in {"binary", "ubinary"} else dimension


def zeros(length: int, dtype: OutputDtype) -> Vector:
    """Return a zero vector."""
    nothing: float = -128 if dtype == "binary" else 0  # offset binary: no bit set
    return array(TYPECODES[dtype], [nothing]) * length


def check_lengths(lengths: Collection[int]) -> None:
    """Raise an `UnexpectedAnswerError` for vectors of different lengths in one call.

    Each response is already checked; this compares several responses and the cache.
    """
    if len(lengths) > 1:
        raise UnexpectedAnswerError(
            f"the vectors of this call have {' and '.join(map(str, sorted(lengths)))} numbers, "
            "because the model behind this name has changed: delete the cache if it contains older "
            "vectors, or pass output_dimension"
        )
