"""What a run costs."""

import pytest

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoService
from voyage_rag.demo.report import UsageItem, UsageSummary
from voyage_rag.demo.run import forecast_text

SERVICE = DemoService("voyage-4", "rerank-3", "https://api.voyageai.com/v1")


def test_an_item_costs_its_tokens_at_list_price() -> None:
    """A million tokens cost what the catalogue says."""
    assert UsageItem("passages", "voyage-4-lite", 1_000_000).dollars == pytest.approx(0.02)
    assert UsageItem("reranking", "rerank-3", 500_000).dollars == pytest.approx(0.025)


def test_usage_is_the_sum_of_its_items() -> None:
    """Tokens, requests and dollars are sums over the items."""
    usage = UsageSummary(
        (UsageItem("a", "voyage-4-lite", 1_000_000, 3), UsageItem("b", "rerank-3", 1_000_000, 4))
    )

    assert (usage.tokens, usage.requests) == (2_000_000, 7)
    assert usage.dollars == pytest.approx(0.07)


def test_an_unknown_price_is_not_made_up() -> None:
    """With one unknown model, the sum is unknown."""
    usage = UsageSummary((UsageItem("a", "voyage-9", 10), UsageItem("b", "rerank-3", 10)))

    assert usage.items[0].dollars is None
    assert usage.dollars is None


def test_a_forecast_counts_every_search() -> None:
    """Reranking reads the candidates once per question and framework."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 100

    usage = forecast_text(passages, 20, SERVICE)

    assert [(item.model, item.tokens) for item in usage.items] == [
        ("voyage-4", 10_000),
        ("rerank-3", 20 * 30 * 100),
    ]


def test_a_forecast_of_little_text_reranks_no_more_than_there_is() -> None:
    """Three passages give three candidates."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 3

    usage = forecast_text(passages, 2, SERVICE)

    assert usage.items[1].tokens == 2 * 300
