"""Responses: which are accepted, and how vectors, scores and usage are decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes import base64_of, embedded
from fakes import embed_options as options
from voyage_rag.core.wire.responses import embed_answer, rerank_answer
from voyage_rag.errors import UnexpectedAnswerError


def answer(*items: Any, **fields: Any) -> bytes:
    """An answer of the embeddings endpoint."""
    return json.dumps({"data": list(items), "usage": {"total_tokens": 3}} | fields).encode()


def item(index: Any, *numbers: float) -> dict[str, Any]:
    """One embedding, as a list."""
    return {"embedding": list(numbers), "index": index}


def test_an_answer_becomes_vectors_and_tokens() -> None:
    """base64 and lists are both decoded, even in one response."""
    read = embed_answer(
        answer({"embedding": base64_of([1.0, 2.0]), "index": 0}, item(1, 3.0, 4.0)), 2, options()
    )

    assert [vector.tolist() for vector in read.values] == [[1.0, 2.0], [3.0, 4.0]]
    assert read.total_tokens == 3


def test_a_reordered_answer_is_put_right_by_index() -> None:
    """A vector belongs to the text its index names, wherever it stands."""
    read = embed_answer(answer(item(2, 2, 2), item(0, 0, 0), item(1, 1, 1)), 3, options())

    assert [vector.tolist() for vector in read.values] == [[0, 0], [1, 1], [2, 2]]


def test_unknown_fields_are_ignored() -> None:
    """The service adds fields now and then, at every level."""
    body = answer(
        item(0, 1, 2) | {"text": None, "object": "embedding", "new": [1]},
        chunker_version="1",
        usage={"total_tokens": 3, "image_pixels": 9},
    )

    assert embed_answer(body, 1, options()).total_tokens == 3


NO_USAGE: list[Any] = [None, {}, {"total_tokens": None}, {"total_tokens": "9"}, 7, [], "x"]
NO_USAGE += [{"total_tokens": -1}, {"total_tokens": True}, {"total_tokens": 10**400}]


@pytest.mark.parametrize("usage", NO_USAGE, ids=repr)
def test_usage_that_says_nothing_counts_as_none(usage: Any) -> None:
    """A gateway may answer without usage: that costs the caller no vector."""
    assert embed_answer(answer(item(0, 1, 2), usage=usage), 1, options()).total_tokens == 0
    scores = json.dumps({"data": [{"index": 0, "relevance_score": 0.5}], "usage": usage}).encode()
    assert rerank_answer(scores, 1, None).total_tokens == 0


def test_zero_tokens_is_a_legal_bill() -> None:
    """The service bills nothing for very short documents (recorded)."""
    body = json.dumps(embedded([[1.0, 2.0]], tokens=0)).encode()

    assert embed_answer(body, 1, options()).total_tokens == 0


UNSOUND = {
    "no JSON": b"oops",
    "not UTF-8": b'{"data":"\xff"}',
    "half of it": answer(item(0, 1, 2), item(1, 3, 4))[:-9],
    "no object": b"[]",
    "no data": b"{}",
    "data is no list": b'{"data":{"0":1}}',
    "items are no objects": b'{"data":[1,2]}',
    "one missing": answer(item(0, 1, 2)),
    "one too many": answer(item(0, 1, 2), item(1, 1, 2), item(2, 1, 2)),
    "one twice": answer(item(0, 1, 2), item(0, 1, 2)),
    "index out of range": answer(item(0, 1, 2), item(2, 1, 2)),
    "index negative": answer(item(0, 1, 2), item(-1, 1, 2)),
    "index missing": answer(item(0, 1, 2), {"embedding": [1, 2]}),
    "index a string": answer(item(0, 1, 2), item("1", 1, 2)),
    "index a list": answer(item(0, 1, 2), item([1], 1, 2)),
    "index a fraction": answer(item(0, 1, 2), item(1.5, 1, 2)),
    "reordered, index true": answer(item(True, 1, 2), item(0, 1, 2)),
    "embedding missing": answer(item(0, 1, 2), {"index": 1}),
    "lengths differ": answer(item(0, 1, 2), item(1, 1, 2, 3)),
    "all too long": answer(item(0, 1, 2, 3), item(1, 1, 2, 3)),
    "all empty": answer(item(0), item(1)),
    "not finite": answer(item(0, 1, 2), item(1, 1, float("nan"))),
    "nested too deep": b'{"data":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", UNSOUND.values(), ids=UNSOUND)
def test_an_answer_without_one_sound_vector_per_text_is_refused(body: bytes) -> None:
    """One vector per input, in order and of the right length, or an error."""
    with pytest.raises(UnexpectedAnswerError):
        embed_answer(body, 2, options())


@pytest.mark.parametrize(
    ("dtype", "numbers", "sound"),
    [
        ("binary", [1, -1], True),
        ("ubinary", [1, 2], True),
        ("binary", [1] * 16, False),
        ("int8", [1] * 16, True),
        ("int8", [1, 2], False),
        ("float", [1] * 15, False),
    ],
)
def test_the_length_of_an_answer_is_checked_in_its_type(
    dtype: Any, numbers: list[int], sound: bool
) -> None:
    """Sixteen dimensions are two numbers in the binary types, sixteen in the others."""
    body, chosen = answer(item(0, *numbers)), options(16, output_dtype=dtype)
    if sound:
        assert [numbers] == [vector.tolist() for vector in embed_answer(body, 1, chosen).values]
    else:
        with pytest.raises(UnexpectedAnswerError, match=f"{len(numbers)}"):
            embed_answer(body, 1, chosen)


def test_a_model_of_unknown_dimension_may_have_any_but_one_for_all() -> None:
    """Without a known dimension the first vector sets the length."""
    unknown = options(expected_dimension=None)

    assert len(embed_answer(answer(item(0, 1, 2, 3)), 1, unknown).values[0]) == 3
    for unsound in ([item(0, 1), item(1, 1, 2)], [item(0), item(1)]):
        with pytest.raises(UnexpectedAnswerError):
            embed_answer(answer(*unsound), 2, unknown)


def ranking(*pairs: tuple[Any, Any]) -> bytes:
    """An answer of the rerank endpoint."""
    data = [{"index": index, "relevance_score": score} for index, score in pairs]
    return json.dumps({"data": data, "usage": {"total_tokens": 5}}).encode()


def test_a_ranking_is_read_by_document() -> None:
    """In any order of results."""
    read = rerank_answer(ranking((0, 0.1), (3, 0.5), (1, 1), (2, 0.5)), 4, None)

    assert read.values == [0.1, 1.0, 0.5, 0.5]
    assert read.total_tokens == 5


@pytest.mark.parametrize(("top_k", "ranked"), [(None, 3), (1, 1), (3, 3), (9, 3)])
def test_a_ranking_holds_as_many_as_were_asked_for(top_k: int | None, ranked: int) -> None:
    """All of them, or top_k of them; a larger top_k means all."""
    pairs = [(index, 0.5) for index in range(3)]

    scores = rerank_answer(ranking(*pairs[:ranked]), 3, top_k).values
    assert scores == [0.5] * ranked + [None] * (3 - ranked)
    for wrong in (ranked - 1, ranked + 1):
        with pytest.raises(UnexpectedAnswerError):
            rerank_answer(ranking(*[*pairs, (3, 0.5)][:wrong]), 3, top_k)


@pytest.mark.parametrize(
    "pair",
    [
        *[(index, 0.1) for index in (0, 2, -1, "1", None, 1.0, True)],
        *[(1, score) for score in (None, "0.1", True, float("nan"), float("inf"), 10**400, [])],
    ],
    ids=repr,
)
def test_a_ranking_with_an_invalid_index_is_refused(pair: tuple[Any, Any]) -> None:
    """Twice, out of range, without an index or a finite score."""
    with pytest.raises(UnexpectedAnswerError):
        rerank_answer(ranking((0, 0.9), pair), 2, None)


def test_an_index_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnexpectedAnswerError, match="with index 2, but there are 2"):
        rerank_answer(ranking((0, 0.9), (2, 0.1)), 2, None)
