"""Tokens without a tokenizer: the estimate is conservative, and follows the billed tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.core.context import TokenRatio, estimate_tokens

bills = st.lists(st.tuples(st.floats(200, 1e6), st.integers(1, 10**6)), max_size=30)


@given(st.text(), st.text())
def test_a_longer_text_has_more_tokens(text: str, more: str) -> None:
    """The estimate is positive and never decreases as a text grows."""
    assert 1.0 <= estimate_tokens(text) <= estimate_tokens(text + more)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("提供最先进的嵌入模型。", 11),
        ("Лучшие модели для поиска", 8),
    ],
)
def test_the_first_estimate_is_conservative(text: str, pieces: int) -> None:
    """At least a token per word and mark, two per Cyrillic word, and one per CJK character."""
    assert estimate_tokens(text) >= pieces


def test_a_text_that_utf8_cannot_encode_has_no_tokens() -> None:
    """A lone surrogate is rejected before it is sent."""
    with pytest.raises(UnicodeEncodeError):
        estimate_tokens("\ud800")


@given(bills, st.floats(1, 1e5))
def test_what_fits_is_what_is_expected(seen: list[tuple[float, int]], weight: float) -> None:
    """The two directions agree, whatever was learnt: texts that just fit are expected to fit."""
    ratio = TokenRatio()
    for weight_then, tokens in seen:
        ratio.learn(weight_then, tokens)

    limit = ratio.tokens(weight)
    assert limit >= 1
    assert ratio.max_estimate(limit) == pytest.approx(
        weight, abs=0.51 * ratio.max_estimate(1) + 1, rel=0.01
    )


def test_a_usage_above_the_estimate_is_adopted_at_once() -> None:
    """The next request is planned with this ratio."""
    ratio = TokenRatio()
    ratio.learn(1_000, 3_000)

    assert ratio.tokens(1_000) >= 3_000


def test_a_usage_below_the_estimate_is_adopted_slowly() -> None:
    """One cheap request does not make the next one too large; fifty do."""
    ratio = TokenRatio()
    at_first = ratio.tokens(1_000)
    ratio.learn(1_000, 500)
    after_one = ratio.tokens(1_000)
    for _ in range(50):
        ratio.learn(1_000, 500)

    assert 0.9 * at_first < after_one < at_first
    assert 500 <= ratio.tokens(1_000) < 540


@pytest.mark.parametrize(("weight", "tokens"), [(10.0, 3_000), (1_000.0, 0), (1_000.0, -5)])
def test_a_usage_without_information_changes_nothing(weight: float, tokens: int) -> None:
    """Short texts are billed with a quirk, and 0 is a legal bill."""
    ratio = TokenRatio()
    before = ratio.tokens(1_000)
    ratio.learn(weight, tokens)

    assert before == ratio.tokens(1_000)
