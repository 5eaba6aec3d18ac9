"""Answers from hell: whatever a 200 holds, the client gives a sound result or its own error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fakes import base64_of
from voyage_rag.core.wire import EmbedOptions, embed_answer, rerank_answer
from voyage_rag.errors import UnexpectedAnswerError
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
bodies = (json_values | near_answers).map(lambda value: json.dumps(value).encode()) | st.binary()


def sound_or_refused(read: Callable[[], Any]) -> Any:
    """The result, or None where the client refused with its own error."""
    try:
        return read()
    except UnexpectedAnswerError:
        return None


@pytest.mark.parametrize("dtype", [None, *ALL_DTYPES])
@given(body=bodies, count=st.integers(1, 4), dimension=st.none() | st.integers(1, 16))
@example(body=b'{"data":[{"index":1e400}]}', count=1, dimension=None)
@example(body=b'{"data":[{"index":0,"embedding":[1e400]}]}', count=1, dimension=None)
@example(body=b'{"data":[{"index":0,"embedding":[' + b"9" * 5_000 + b"]}]}", count=1, dimension=1)
@example(body=b"\xef\xbb\xbf{}", count=1, dimension=None)
@example(body=b"[" * 1_000_000, count=1, dimension=None)
@example(body='{"data":[]}'.encode("utf-32"), count=1, dimension=None)
def test_any_answer_to_texts_is_sound_or_refused(
    dtype: Any, body: bytes, count: int, dimension: int | None
) -> None:
    """A result has one finite vector of one length per text, and a count of tokens."""
    options = EmbedOptions("m", None, True, None, dtype, dimension)
    read = sound_or_refused(lambda: embed_answer(body, count, options))
    if read is not None:
        assert count == len(read.vectors)
        assert len({len(vector) for vector in read.vectors}) == 1
        assert all(math.isfinite(number) for vector in read.vectors for number in vector)
        assert read.total_tokens >= 0


@given(body=bodies, count=st.integers(1, 4), top_k=st.none() | st.integers(1, 5))
@example(body=b'{"data":[{"index":0,"relevance_score":1e400}]}', count=1, top_k=None)
@example(body=b'{"data":[{"index":0,"relevance_score":1' + b"0" * 400 + b"}]}", count=1, top_k=None)
@example(body=b'{"data":[{"index":0,"relevance_score":' + b"9" * 5_000 + b"}]}", count=1, top_k=1)
def test_any_answer_to_documents_is_sound_or_refused(
    body: bytes, count: int, top_k: int | None
) -> None:
    """A ranking names documents that exist, each once, by falling finite score."""
    read = sound_or_refused(lambda: rerank_answer(body, count, top_k))
    if read is not None:
        indices = [index for index, _ in read.scores]
        scores = [score for _, score in read.scores]
        assert min(top_k or count, count) == len(indices) == len(set(indices))
        assert set(indices) <= set(range(count))
        assert sorted(scores, reverse=True) == scores
        assert all(map(math.isfinite, scores))
