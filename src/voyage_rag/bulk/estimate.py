"""What a job would take, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from voyage_rag.counting import CHARACTERS_PER_TOKEN
from voyage_rag.jobs.pricing import price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.bulk.job_folder import InputSummary
    from voyage_rag.bulk.options import JobOptions

TIER_1_REQUESTS_PER_MINUTE = 2_000
"""For every model (docs: "Rate Limits"); the catalogue has the tokens."""

TEXTS_PER_REQUEST = 256
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
        requests_per_minute: The limit assumed, None with the batch engine.
        tokens_per_minute: The limit assumed, None where it is not known.
        limits_are_given: Whether the limits are the user's; else they are those of usage tier 1.
        vector_bytes: Of all vectors in the output, None where their length is not known.
        files: Files that are read.
        unread: Files in folders of the input that have another format.
        problems: What would stop the run, each with its remedy.
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
    files: int = 1
    unread: int = 0
    problems: Sequence[str] = ()


def estimate(
    summary: InputSummary,
    options: JobOptions,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    *,
    is_counted: bool,
    bytes_per_vector: float | None,
    problems: Sequence[str],
) -> Estimate:
    """What a job takes whose input holds that; tokens are a range unless they were counted."""
    model, high = options.row, summary.tokens
    low = high if is_counted else min(high, ceil(summary.characters / CHARACTERS_PER_TOKEN))
    are_given = bool(requests_per_minute or tokens_per_minute)
    if options.engine == "batch":
        requests_per_minute = tokens_per_minute = None
    elif not are_given:
        requests_per_minute, tokens_per_minute = TIER_1_REQUESTS_PER_MINUTE, model.tokens_per_minute

    def hours(tokens: int) -> float | None:
        if options.engine == "batch":
            return float(BATCH_HOURS * max(1, ceil(tokens / BATCH_TOKENS_AT_ONCE)))
        if not tokens_per_minute:
            return None
        requests = ceil(summary.rows / TEXTS_PER_REQUEST)
        minutes = requests / requests_per_minute if requests_per_minute else 0.0
        return max(minutes, tokens / tokens_per_minute) / 60

    return Estimate(
        texts=summary.rows,
        refused=summary.refused,
        first_refused=summary.first_refused,
        characters=summary.characters,
        tokens=(low, high),
        dollars=_range(price(model, low, options.engine), price(model, high, options.engine)),
        hours=_range(hours(low), hours(high)),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        limits_are_given=are_given,
        vector_bytes=None if bytes_per_vector is None else round(summary.rows * bytes_per_vector),
        files=summary.files,
        unread=summary.unread,
        problems=problems,
    )


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
