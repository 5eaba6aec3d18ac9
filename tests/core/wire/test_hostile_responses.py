"""Hostile responses: for any 200, the client returns a valid result or raises its own error."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import base64_of
from fuzz import targets
from fuzz.targets import EXAMPLES, TARGETS
from voyage_rag.models import ALL_DTYPES

names = st.sampled_from(
    ["data", "embedding", "index", "usage", "total_tokens", "relevance_score", "object", "x"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-1, 4)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([base64_of([1.0, 2.0]), base64_of([0.5, math.inf]), "AAAA", "===="])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
items = st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=4)
near_answers = st.fixed_dictionaries({"data": st.lists(items, max_size=4), "usage": json_values})
of_documents = st.fixed_dictionaries(
    {
        "data": st.lists(
            st.fixed_dictionaries(
                {"index": st.integers(0, 2), "data": st.lists(items, max_size=3)}
            ),
            max_size=3,
        ),
        "usage": json_values,
        "chunker_version": scalars,
    }
)
bodies = (json_values | near_answers | of_documents).map(
    lambda value: json.dumps(value).encode()
) | st.binary()
dtypes = pytest.mark.parametrize("dtype", [None, *ALL_DTYPES])
HELL = [
    b'{"data":[{"index":1e400}]}',
    b'{"data":[{"index":0,"embedding":[1e400]}]}',
    b'{"data":[{"index":0,"embedding":[' + b"9" * 5_000 + b"]}]}",
    b'{"data":[{"index":0,"data":[{"index":0,"embedding":[1e400]}]}]}',
    b'{"data":[{"index":0,"relevance_score":1e400}]}',
    b'{"data":[{"index":0,"relevance_score":1' + b"0" * 400 + b"}]}",
    b'{"data":[{"index":0,"relevance_score":' + b"9" * 5_000 + b"}]}",
    b"\xef\xbb\xbf{}",
    b"[" * 1_000_000,
    '{"data":[]}'.encode("utf-32"),
]


@dtypes
@given(body=bodies, count=st.integers(1, 4), dimension=st.none() | st.integers(1, 16))
def test_any_answer_to_texts_is_sound_or_refused(
    dtype: Any, body: bytes, count: int, dimension: int | None
) -> None:
    """A result has one finite vector of one length per text, and a count of tokens."""
    targets.texts(body, count, dtype, dimension)


@settings(max_examples=40)
@dtypes
@given(
    body=bodies,
    counts=st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=3),
    dimension=st.none() | st.integers(1, 16),
)
def test_any_answer_to_chunks_is_sound_or_refused(
    dtype: Any, body: bytes, counts: list[int | None], dimension: int | None
) -> None:
    """A result has every document with its chunks, and texts for all of these or none."""
    targets.chunks(body, counts, dtype, dimension)


@settings(max_examples=40)
@dtypes
@given(body=bodies, count=st.integers(1, 4), dimension=st.none() | st.integers(1, 16))
def test_any_answer_to_media_is_sound_or_refused(
    dtype: Any, body: bytes, count: int, dimension: int | None
) -> None:
    """As for texts, with pixels that are counts."""
    targets.media(body, count, dtype, dimension)


@given(body=bodies, count=st.integers(1, 4), top_k=st.none() | st.integers(1, 5))
def test_any_answer_to_documents_is_sound_or_refused(
    body: bytes, count: int, top_k: int | None
) -> None:
    """A ranking names documents that exist, each once, by falling finite score."""
    targets.ranking(body, count, top_k)


@pytest.mark.parametrize("body", HELL, ids=range(len(HELL)))
def test_extreme_responses_are_refused_or_read(body: bytes) -> None:
    """Numbers beyond floats, nesting beyond the parser, other encodings; for every decoder."""
    targets.ranking(body, 1, None)
    targets.failure(body, 429)
    for dtype in ALL_DTYPES:
        targets.texts(body, 1, dtype, 1)
        targets.chunks(body, [None], dtype, 1)
        targets.media(body, 1, dtype, 1)


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_fuzzer_is_fed_first_reaches_a_result(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example for a decoder is valid, and half of it is not."""
    accepted = []
    monkeypatch.setattr(targets, "_check_vectors", lambda *given: accepted.append(given))
    for example_ in EXAMPLES[name]:
        TARGETS[name](example_)
        TARGETS[name](example_[: len(example_) // 2])
    assert bool(accepted) is (name in {"texts", "chunks", "media"})
