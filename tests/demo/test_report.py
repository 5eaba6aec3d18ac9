"""What a run costs."""

import pytest

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoService
from voyage_rag.demo.report import total
from voyage_rag.demo.run import forecast_text
from voyage_rag.usage import Usage

SERVICE = DemoService("voyage-4", "rerank-3", "https://api.voyageai.com/v1")


def test_the_total_is_the_sum_of_all_purposes() -> None:
    """Tokens, requests and dollars."""
    usage = total(
        {
            "passages": Usage(1_000_000, 3).of("voyage-4-lite"),
            "reranking": Usage(1_000_000, 4).of("rerank-3"),
        }
    )

    assert (usage.total_tokens, usage.requests) == (2_000_000, 7)
    assert usage.dollars == pytest.approx(0.07)


def test_an_unknown_price_is_not_made_up() -> None:
    """With one unknown model, the sum is unknown."""
    usage = {"passages": Usage(10).of("voyage-9"), "reranking": Usage(10).of("rerank-3")}

    assert total(usage).dollars is None


def test_a_forecast_counts_every_search() -> None:
    """Reranking reads the candidates once per question and framework."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 100

    usage = forecast_text(passages, 20, SERVICE)

    assert usage == {
        "passages": Usage(10_000).of("voyage-4"),
        "reranking": Usage(20 * 30 * 100).of("rerank-3"),
    }


def test_a_forecast_of_little_text_reranks_no_more_than_there_is() -> None:
    """Three passages give three candidates."""
    passages = [Passage("n", "x" * 400, "s", 1)] * 3

    usage = forecast_text(passages, 2, SERVICE)

    assert usage["reranking"].total_tokens == 2 * 300
