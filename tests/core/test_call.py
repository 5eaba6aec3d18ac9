"""The life of a call, whatever its endpoint: progress, learning, limits, and what is a query."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Runner
from fakes import MODEL, FakeService, served, voyage_over
from voyage_rag.core.call import MAX_QUERY_INPUTS
from voyage_rag.core.embed import embed, prepare
from voyage_rag.core.rate_limits import RateLimits


def call_of(voyage: Any, **options: Any) -> Any:
    return prepare(voyage.context, MODEL, **options)


def test_progress_counts_what_the_cache_holds(
    tmp_path: Path, runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bar reaches the number of texts, of which some cost nothing."""
    path = tmp_path / "cache"
    runner.call(voyage_over(FakeService(), cache=path), "embed", ["a", "b"], MODEL)
    voyage = voyage_over(FakeService(), cache=path)
    runner.call(voyage, "embed", ["a", "b", "c"], MODEL, show_progress_bar=True)
    assert "3/3" in capsys.readouterr().err


def test_the_texts_of_a_finished_request_can_be_freed(runner: Runner) -> None:
    """Its flow returns nothing; the vectors are in the results of the call."""
    voyage = voyage_over(FakeService())
    operation = embed(call_of(voyage, batch_size=2), ["a", "b", "c"])

    assert runner.call(voyage.driver, "run", replace(operation, join=list)) == [None, None]


@pytest.mark.parametrize(("input_type", "unbilled"), [(None, 0), ("document", 3), ("query", 3)])
def test_a_prompt_makes_an_input_a_token_cheaper(input_type: str | None, unbilled: int) -> None:
    """The estimate is adjusted to the tokens of the texts, not to the billed ones."""
    call = call_of(voyage_over(FakeService(always=served)), input_type=input_type)
    items = list(call.indexed(["word " * 100] * 3))
    estimate = sum(item.estimated_tokens for item in items)
    call.learn(items, 600)
    learnt = (600 + unbilled) / estimate  # which is more than was expected
    assert call.ratio.max_estimate(1_000) == pytest.approx(1_000 / (1.05 * learnt))


@pytest.mark.parametrize(
    ("input_type", "expected", "is_query"),
    [
        ("query", 1, True),
        ("query", MAX_QUERY_INPUTS, True),
        ("query", MAX_QUERY_INPUTS + 1, False),
        ("document", 1, False),
        (None, 1, False),
    ],
)
def test_a_few_queries_are_interactive(input_type: Any, expected: int, is_query: bool) -> None:
    """Someone waits for them; an evaluation of thousands is a job."""
    call = call_of(voyage_over(FakeService()), input_type=input_type)
    assert call.is_query(expected) is is_query


@pytest.mark.parametrize(
    ("per_minute", "tokens"), [(None, 120_000), (10_000, 9_500), (1_000_000, 120_000)]
)
def test_a_request_of_a_job_fits_into_a_minute(per_minute: float | None, tokens: int) -> None:
    """Without the share that is left to queries; and never more than the model takes."""
    call = call_of(voyage_over(FakeService()))
    call.budget.limiter.limits = RateLimits(None, per_minute)
    limits = call.limits(None)
    assert limits.estimated_tokens == pytest.approx(call.ratio.max_estimate(tokens))


@pytest.mark.parametrize(("count", "parts"), [(1, []), (2, [1, 1]), (5, [2, 3])])
def test_a_slice_that_is_too_large_is_halved(count: int, parts: list[int]) -> None:
    """A single input cannot be made smaller."""
    call = call_of(voyage_over(FakeService()))
    items = list(call.indexed([f"text {n}" for n in range(count)]))
    halves = call.split(items, None)
    assert [len(half) for half in halves] == parts
    assert [item for half in halves for item in half] == (items if parts else [])
