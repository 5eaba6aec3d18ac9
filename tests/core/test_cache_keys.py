"""Cache keys differ wherever vectors would differ; cached bytes lose nothing."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.core.cache_keys import CacheKeys, from_bytes, to_bytes
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.wire.responses import decode

BASE: dict[str, Any] = {
    "model": "voyage-4",
    "input_type": None,
    "truncation": True,
    "output_dimension": None,
    "output_dtype": None,
    "expected_dimension": 1024,
}


def key(text: str = "a", host: str = "h", **options: Any) -> bytes:
    """The key of a text under some options."""
    return CacheKeys(host, EmbedOptions(**BASE | options))(text)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "b"},
        {"host": "other"},
        {"model": "voyage-4-lite"},
        {"input_type": "query"},
        {"input_type": "document"},
        {"truncation": False},
        {"output_dtype": "int8"},
        {"output_dtype": "ubinary"},
        {"output_dimension": 256, "expected_dimension": 256},
    ],
    ids=str,
)
def test_whatever_changes_a_vector_changes_its_key(change: dict[str, Any]) -> None:
    """Without one of these, a cache would return wrong vectors."""
    assert key() != key(**change)


def test_asking_for_the_default_is_asking_for_the_same() -> None:
    """Float and the model's own dimension may be named or not."""
    assert key() == key(output_dtype="float") == key(output_dimension=1024)


@given(st.text(), st.text())
def test_texts_share_a_key_only_if_they_are_equal(one: str, other: str) -> None:
    """And a key is short, whatever the text."""
    keys = CacheKeys("h", EmbedOptions(**BASE))

    assert (one == other) == (keys(one) == keys(other))
    assert len(keys(one)) == 20


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=16), min_size=1),
    st.lists(st.integers(-128, 127), min_size=1),
)
def test_a_stored_vector_comes_back_as_it_was(floats: list[float], integers: list[int]) -> None:
    """In every number type."""
    for dtype, numbers in (("float", floats), ("int8", integers), ("binary", integers)):
        vector = decode(numbers, dtype)  # type: ignore[arg-type]
        stored = to_bytes(vector)
        assert vector == from_bytes(stored, dtype, len(numbers))  # type: ignore[arg-type]
        assert vector == from_bytes(stored, dtype, None)  # type: ignore[arg-type]
        assert len(stored) == len(numbers) * vector.itemsize
        assert sys.getsizeof(from_bytes(stored, dtype, None)) == sys.getsizeof(vector[:])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stored", "length"),
    [
        (struct.pack("<2f", 1.0, float("nan")), 2),
        (struct.pack("<2f", float("-inf"), 1.0), 2),
        (struct.pack("<2f", 1.0, 2.0), 3),
        (b"12345", None),
        (b"", None),
    ],
)
def test_a_stored_vector_is_checked_like_a_response(stored: bytes, length: int | None) -> None:
    """Numbers that are not finite, too few numbers, half a number, none."""
    assert from_bytes(stored, "float", length) is None
