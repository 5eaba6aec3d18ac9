"""Token counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voyage_rag.emulator.tokens import EmulatedTokenizer

tokens = EmulatedTokenizer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", 4),
        ("The capital of France is Paris.", 7),
        ("Ruby is a programmer's best friend", 7),
        ("JavaScript", 1),
        ("wait ... for it", 4),
        ("hello", 1),
        ("   ", 1),
        ("internationalization", 4),
    ],
)
def test_counts_as_recorded(text: str, expected: int) -> None:
    """Plain English costs what the service charged for it."""
    assert tokens.count(text) == expected


@pytest.mark.parametrize("input_type", ["query", "document"])
def test_an_input_type_makes_each_text_one_token_cheaper(input_type: str) -> None:
    """The service's undercount is kept, down to nothing for one word."""
    assert tokens.bill("Hello, world!", input_type) == 3
    assert tokens.bill("hello", input_type) == 0


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_fits(text: str, limit: int) -> None:
    """Whatever is cut is a beginning of the text within the limit, or the text itself."""
    cut = tokens.cut(text, limit)
    assert text.startswith(cut)
    assert tokens.count(cut) <= limit or cut == text
    assert cut == text or tokens.count(text) > limit


def test_a_very_long_word_is_cut() -> None:
    """A text without a break still leaves something."""
    assert tokens.cut("x" * 1000, 10) == "x" * 60


@given(st.text(), st.floats(0.5, 8), st.integers(1, 30))
def test_text_may_cost_more(text: str, characters_per_token: float, limit: int) -> None:
    """Counted by length, as for languages whose words are split into many tokens."""
    heavy = EmulatedTokenizer(characters_per_token)
    assert heavy.count(text) >= len(text) / characters_per_token
    assert heavy.count(heavy.cut(text, limit)) <= limit
    assert "".join(heavy.split(text, limit)) == text
