"""What a run costs."""

import pytest

from voyage_rag.demo.bill import Bill, Item, foresee
from voyage_rag.demo.corpus import Passage


def test_an_item_costs_its_tokens_at_list_price() -> None:
    """A million tokens cost what the catalogue says."""
    assert Item("passages", "voyage-4-lite", 1_000_000).dollars == pytest.approx(0.02)
    assert Item("reranking", "rerank-3", 500_000).dollars == pytest.approx(0.025)


def test_a_bill_adds_up() -> None:
    """Tokens, requests and dollars are sums over the items."""
    bill = Bill((Item("a", "voyage-4-lite", 1_000_000, 3), Item("b", "rerank-3", 1_000_000, 4)))

    assert (bill.tokens, bill.requests) == (2_000_000, 7)
    assert bill.dollars == pytest.approx(0.07)


def test_an_unknown_price_is_not_made_up() -> None:
    """One model that is not in the catalogue leaves the sum unknown."""
    bill = Bill((Item("a", "voyage-9", 10), Item("b", "rerank-3", 10)))

    assert bill.items[0].dollars is None
    assert bill.dollars is None


def test_a_forecast_counts_every_search() -> None:
    """Reranking reads the candidates once per question and framework."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 100

    bill = foresee(passages, searches=20, candidates=30, model="voyage-4", rerank_model="rerank-3")

    assert [(item.model, item.tokens) for item in bill.items] == [
        ("voyage-4", 10_000),
        ("rerank-3", 20 * 30 * 100),
    ]


def test_a_forecast_of_little_text_reranks_no_more_than_there_is() -> None:
    """Three passages give three candidates."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 3

    bill = foresee(passages, searches=2, candidates=30, model="voyage-4", rerank_model="rerank-3")

    assert bill.items[1].tokens == 2 * 300
