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
    counted: bool,
    bytes_per_vector: float | None,
    problems: Sequence[str] = (),
) -> Estimate:
    """What a job would take.

    Args:
        summary: What the input holds.
        options: The job's.
        requests_per_minute: The account's limit; that of usage tier 1 if neither is given.
        tokens_per_minute: The same, of tokens.
        counted: Whether tokens were counted with a tokenizer.
        bytes_per_vector: In the output.
        problems: What would stop the run.
    """
    low = summary.tokens
    if not counted:
        low = min(low, ceil(summary.characters / CHARACTERS_PER_TOKEN))
    tokens = (low, summary.tokens)
    row, in_batches = options.row, options.engine == "batch"
    costs = [price(row, count, options.engine) for count in tokens]
    given = bool(requests_per_minute or tokens_per_minute)
    if not given:
        requests_per_minute, tokens_per_minute = TIER_1_REQUESTS_PER_MINUTE, row.tokens_per_minute
    if in_batches:
        requests_per_minute = tokens_per_minute = None
    hours = [
        _batch_hours(count)
        if in_batches
        else _hours(summary.rows, count, requests_per_minute, tokens_per_minute)
        for count in tokens
    ]
    return Estimate(
        texts=summary.rows,
        refused=summary.refused,
        first_refused=summary.first_refused,
        characters=summary.characters,
        tokens=tokens,
        dollars=None if costs[0] is None or costs[1] is None else (costs[0], costs[1]),
        hours=None if hours[0] is None or hours[1] is None else (hours[0], hours[1]),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        limits_are_given=given,
        vector_bytes=None if bytes_per_vector is None else round(summary.rows * bytes_per_vector),
        files=summary.files,
        unread=summary.unread,
        problems=problems,
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
