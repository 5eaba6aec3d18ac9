"""Positions of chunks in their document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.auto_chunking import chunk_starts
from voyage_rag.emulator import tokens


@given(
    text=st.text("ab \n", min_size=1, max_size=60),
    size=st.integers(1, 8),
    overlap=st.integers(0, 4),
)
def test_every_chunk_is_found_where_it_is_a_slice(text: str, size: int, overlap: int) -> None:
    """In ascending order; without overlap, each begins where the previous one ends."""
    overlap = min(overlap, size - 1)
    chunks = tokens.EmulatedTokenizer().split(text, size, overlap)
    starts = chunk_starts(text, chunks, overlapping=overlap > 0)
    assert all(
        start is not None and text[start : start + len(chunk)] == chunk
        for start, chunk in zip(starts, chunks, strict=True)
    )
    assert starts == sorted(starts, key=lambda start: start or 0)
    if not overlap:
        ends = [start + len(chunk) for start, chunk in zip(starts, chunks, strict=True) if chunk]
        assert [0, *ends] == [*starts, len(text)]


@pytest.mark.parametrize("overlapping", [False, True])
def test_text_that_is_no_slice_has_no_position(overlapping: bool) -> None:
    found = chunk_starts("one two three", ["one", "2", "three"], overlapping=overlapping)
    assert found == [0, None, 8]
