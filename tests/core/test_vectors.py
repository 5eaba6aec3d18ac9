"""Lengths of vectors, and those of empty texts."""

from __future__ import annotations

import pytest

from voyage_rag.core.vectors import length_of, zeros
from voyage_rag.models import OutputDtype


@pytest.mark.parametrize(
    ("dtype", "length", "least"),
    [("float", 16, 0.0), ("int8", 16, 0), ("uint8", 16, 0), ("ubinary", 2, 0), ("binary", 2, -128)],
)
def test_a_zero_vector_has_the_length_and_the_zero_of_its_type(
    dtype: OutputDtype, length: int, least: float
) -> None:
    """Sixteen dimensions without a bit set; offset binary writes no bit as −128."""
    assert length == length_of(16, dtype)
    assert [least] * length == zeros(length, dtype).tolist()
