"""What a job would take, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from voyage_rag.counting import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from voyage_rag.bulk.options import JobOptions
    from voyage_rag.bulk.scan import Plan

TIER_1_REQUESTS = 2_000
"""Per minute, for every model (docs: "Rate Limits"); the catalogue has the tokens."""

TEXTS_PER_REQUEST = 256
BATCH_DISCOUNT = 1 / 3
BATCH_HOURS = 12
BATCH_TOKENS_AT_ONCE = 1_000_000_000
"""Docs: "Batch Inference"."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job would take. Ranges are from English prose to what is planned with.

    Attributes:
        texts: Texts to embed.
        refused: Rows that cannot be.
        first_refused: The first of these and why, None if there are none.
        characters: Of all texts.
        tokens: From, to; the same where they were counted.
        dollars: From, to, at list price; None where it is not known.
        hours: From, to, at the limits below; None where no limit is known. With the batch engine
            what it may take at most.
        requests_per_minute: The limit taken, None with the batch engine.
        tokens_per_minute: The limit taken, None where it is not known.
        limits_are_given: Whether the limits are the user's; else they are those of usage tier 1.
        vector_bytes: Of all vectors, None where their length is not known.
    """

    texts: int
    refused: int
    first_refused: str | None
    characters: int
    tokens: tuple[int, int]
    dollars: tuple[float, float] | None
    hours: tuple[float, float] | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    limits_are_given: bool
    vector_bytes: int | None


def estimate(
    plan: Plan,
    options: JobOptions,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    *,
    counted: bool,
) -> Estimate:
    """What a plan would take.

    Args:
        plan: What there is to do.
        options: How.
        requests_per_minute: The account's limit; that of usage tier 1 if neither is given.
        tokens_per_minute: The same, of tokens.
        counted: Whether tokens were counted with a tokenizer.
    """
    low = min(plan.tokens, ceil(plan.characters / CHARACTERS_PER_TOKEN))
    if counted:
        low = plan.tokens
    tokens = (low, plan.tokens)
    row, in_batches = options.row, options.engine == "batch"
    factor = 1 - BATCH_DISCOUNT if in_batches else 1.0
    costs = [row.cost(count) for count in tokens]
    dollars = None if None in costs else (factor * (costs[0] or 0.0), factor * (costs[1] or 0.0))
    given = bool(requests_per_minute or tokens_per_minute)
    if not given:
        requests_per_minute, tokens_per_minute = TIER_1_REQUESTS, row.tokens_per_minute
    if in_batches:
        requests_per_minute = tokens_per_minute = None
    hours = [
        _batch_hours(count)
        if in_batches
        else _hours(plan.rows, count, requests_per_minute, tokens_per_minute)
        for count in tokens
    ]
    length = options.length
    size = 4 if options.output_dtype == "float" else 1
    return Estimate(
        texts=plan.rows,
        refused=plan.refused,
        first_refused=plan.first_refused,
        characters=plan.characters,
        tokens=tokens,
        dollars=dollars,
        hours=None if hours[0] is None or hours[1] is None else (hours[0], hours[1]),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        limits_are_given=given,
        vector_bytes=None if length is None else plan.rows * length * size,
    )


def _hours(
    texts: int, tokens: int, requests_per_minute: float | None, tokens_per_minute: float | None
) -> float | None:
    minutes = []
    if requests_per_minute:
        minutes.append(ceil(texts / TEXTS_PER_REQUEST) / requests_per_minute)
    if tokens_per_minute:
        minutes.append(tokens / tokens_per_minute)
    return max(minutes) / 60 if minutes and tokens_per_minute else None


def _batch_hours(tokens: int) -> float:
    return float(BATCH_HOURS * max(1, ceil(tokens / BATCH_TOKENS_AT_ONCE)))
