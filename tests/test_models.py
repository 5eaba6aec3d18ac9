"""The catalogue has every model of the API, and does not restrict others."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from voyage_rag.models import ALL_DTYPES, FLEXIBLE, MODELS, Kind, look_up

EMBEDDING = """
voyage-4-large voyage-4 voyage-4-lite voyage-4-nano voyage-code-4 voyage-3-large voyage-3.5
voyage-3.5-lite voyage-code-3 voyage-finance-2 voyage-law-2 voyage-code-2 voyage-3 voyage-3-lite
voyage-multilingual-2 voyage-large-2-instruct voyage-large-2 voyage-2 voyage-02 voyage-01
voyage-lite-01 voyage-lite-01-instruct voyage-lite-02-instruct
"""
NAMES: dict[Kind, str] = {
    "embedding": EMBEDDING,
    "contextualized": "voyage-context-4 voyage-context-3",
    "multimodal": "voyage-multimodal-3.5 voyage-multimodal-3",
    "rerank": """rerank-3 rerank-3-lite rerank-2.5 rerank-2.5-lite rerank-2 rerank-2-lite rerank-1
        rerank-lite-1""",
}

FLEXIBLE_MODELS = """
voyage-4-large voyage-4 voyage-4-lite voyage-4-nano voyage-code-4 voyage-3-large voyage-3.5
voyage-3.5-lite voyage-code-3 voyage-context-4 voyage-context-3 voyage-multimodal-3.5
"""

FIXED_DIMENSIONS = {
    "voyage-finance-2": 1024,
    "voyage-law-2": 1024,
    "voyage-code-2": 1536,
    "voyage-3": 1024,
    "voyage-3-lite": 512,
    "voyage-multilingual-2": 1024,
    "voyage-large-2-instruct": 1024,
    "voyage-large-2": 1536,
    "voyage-2": 1024,
    "voyage-multimodal-3": 1024,
}

REQUEST_TOKENS = {
    "voyage-4-large": 120_000,
    "voyage-4": 320_000,
    "voyage-4-lite": 1_000_000,
    "voyage-code-4": 120_000,
    "voyage-3-large": 120_000,
    "voyage-3.5": 320_000,
    "voyage-3.5-lite": 1_000_000,
    "voyage-code-3": 120_000,
    "voyage-2": 320_000,
    "voyage-context-4": 120_000,
    "voyage-multimodal-3.5": 320_000,
    "rerank-3": 600_000,
    "rerank-2.5": 600_000,
    "rerank-lite-1": 300_000,
}

PRICES = {
    "voyage-4-large": 0.12,
    "voyage-4": 0.06,
    "voyage-4-lite": 0.02,
    "voyage-3.5": 0.06,
    "rerank-3": 0.05,
    "rerank-3-lite": 0.02,
}


def test_every_model_is_there_under_its_kind() -> None:
    """None is missing, none is invented."""
    expected = {name: kind for kind, names in NAMES.items() for name in names.split()}

    assert expected == {name: row.kind for name, row in MODELS.items()}
    assert all(name == row.name for name, row in MODELS.items())


def test_flexible_models_offer_every_dimension_and_type() -> None:
    """256, 512, 1024 or 2048 in five types, 1024 by default; the others one length of floats."""
    for name, row in MODELS.items():
        if name in FLEXIBLE_MODELS.split():
            assert ({256, 512, 1024, 2048}, ALL_DTYPES) == (set(row.dimensions), row.dtypes)
            assert row.default_dimension == FLEXIBLE[0] == 1024
        elif row.kind == "rerank":
            assert (row.dimensions, row.dtypes, row.default_dimension) == ((), (), None)
        else:
            expected = FIXED_DIMENSIONS.get(name, 1024)
            assert ((expected,), ("float",)) == (row.dimensions, row.dtypes)


@pytest.mark.parametrize(("name", "tokens"), REQUEST_TOKENS.items())
def test_a_request_holds_as_many_tokens_as_documented(name: str, tokens: int) -> None:
    """If sources differ, the smaller limit applies."""
    assert tokens == MODELS[name].request_tokens


def test_limits_are_plausible() -> None:
    """One input fits into a request, a request has at most 1,000 inputs, and a reranker's limit
    exceeds a query.
    """
    for row in MODELS.values():
        assert 4_000 <= row.context <= row.request_tokens
        assert row.request_inputs == 1_000
        assert (row.query_tokens is not None) == (row.kind == "rerank")
        assert row.query_tokens is None or row.query_tokens < row.context


@pytest.mark.parametrize(("name", "price"), PRICES.items())
def test_prices_are_dollars_per_million_tokens(name: str, price: float) -> None:
    """Costs are computed from them; an unknown price is not a cost of 0."""
    assert price == MODELS[name].price
    assert price / 2 == MODELS[name].cost(500_000)
    assert look_up("voyage-99", "embedding").cost(500_000) is None


def test_the_catalogue_is_read_only() -> None:
    """A change would affect all users of the process."""
    with pytest.raises(TypeError):
        MODELS["voyage-4"] = MODELS["voyage-2"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS["voyage-4"].context = 1  # type: ignore[misc]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_unknown_model_has_the_smallest_limits_of_its_kind(kind: Kind) -> None:
    """It is accepted: no dimension, type or price is assumed."""
    unknown = look_up("voyage-99", kind)
    rows = [row for row in MODELS.values() if row.kind == kind]

    assert ("voyage-99", kind, "unknown") == (unknown.name, unknown.kind, unknown.status)
    assert min(row.context for row in rows) == unknown.context
    assert min(row.request_tokens for row in rows) == unknown.request_tokens
    assert min((row.query_tokens or 0 for row in rows), default=0) == (unknown.query_tokens or 0)
    assert (
        unknown.dimensions,
        unknown.dtypes,
        unknown.price,
        unknown.tokens_per_minute,
    ) == ((), (), None, None)


def test_a_known_model_is_found_whatever_kind_is_asked_for() -> None:
    """Its kind is another one."""
    assert MODELS["rerank-3"] is look_up("rerank-3", "embedding")
