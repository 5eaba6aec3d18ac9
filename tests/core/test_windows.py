"""Windows: which chunks of a document are embedded together."""

from __future__ import annotations

from math import inf

import pytest

from voyage_rag.core.windows import MAX_CHUNKS, windows_of


def sizes(chunks: int, longest: float) -> list[int]:
    """Chunks of each window of a document whose chunks have a token each."""
    windows = windows_of([("x",) * chunks], lambda _: 1.0, longest)
    return [len(window.chunks) for window in windows]


@pytest.mark.parametrize(
    ("chunks", "windows"),
    [
        (MAX_CHUNKS, [MAX_CHUNKS]),
        (MAX_CHUNKS + 1, [MAX_CHUNKS, 1]),
        (2 * MAX_CHUNKS + 1, [MAX_CHUNKS, MAX_CHUNKS, 1]),
    ],
)
def test_a_window_has_at_most_the_chunks_of_a_request(chunks: int, windows: list[int]) -> None:
    """However few tokens they have."""
    assert sizes(chunks, inf) == windows


def test_a_window_is_filled_up_to_its_tokens() -> None:
    """The last chunk that fits is in it."""
    assert sizes(10, 4.0) == [4, 4, 2]
    assert sizes(3, 0.5) == [1, 1, 1]
