"""docs/models.md agrees with the catalogue."""

from __future__ import annotations

from model_tables import PAGE, written


def test_the_tables_are_those_of_the_catalogue() -> None:
    """`python tests/model_tables.py` writes them."""
    text = PAGE.read_text("utf-8")

    assert text.count("<!-- table: ") == 5
    assert written(text) == text
