"""Vectors in the number types the service offers, each shape (vectors, dimension) or packed.

Source: "Flexible dimensions and quantization" in Voyage's documentation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voyage_rag.emulator.lexical import Floats

_DECIMALS = 9  # of a number written as JSON, as recorded
_FULL_SCALE = 4.0  # standard deviations that the outermost of the 256 steps stands for


def write_numbers(rows: Floats, dtype: str, *, as_base64: bool) -> NDArray[Any]:
    """Return unit vectors as the numbers an answer carries.

    Args:
        rows: Shape (vectors, dimension).
        dtype: `float`, `int8`, `uint8`, `binary` or `ubinary`; the last two hold eight dimensions
            in a byte, the first in its highest bit, `binary` with 128 taken off.
        as_base64: Whether they go out as bytes, where floats keep all their bits.
    """
    if dtype == "float":
        # Added zero turns -0.0, which the service never sent, into 0.0.
        return rows if as_base64 else np.round(rows.astype(np.float64), _DECIMALS) + 0.0
    if dtype in ("binary", "ubinary"):
        packed = np.packbits(rows > 0, axis=1)
        return packed if dtype == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
    # One scale for all vectors of a dimension, so that their products can be compared.
    steps = np.round(rows * (np.sqrt(rows.shape[1]) * 127 / _FULL_SCALE)).clip(-128, 127)
    numbers: NDArray[Any] = (
        steps.astype(np.int8) if dtype == "int8" else (steps + 128).astype(np.uint8)
    )
    return numbers


def to_bfloat16(values: Floats) -> Floats:
    """Round to the nearest bfloat16: a float32 of which only the upper half is used."""
    rounded: Floats = ((values.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)
    return rounded
