"""Estimate the size, price and duration of a job before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

from voyage_rag.bulk.job_folder import InputSummary
from voyage_rag.bulk.options import JobOptions
from voyage_rag.counting import CHARACTERS_PER_TOKEN

TIER_1_REQUESTS_PER_MINUTE = 2_000
"""The limit of all models (docs: "Rate Limits"); the catalogue contains the token limits."""

TEXTS_PER_REQUEST = 256
BATCH_HOURS = 12
MAX_BATCH_TOKENS = 1_000_000_000
"""Maximum tokens in concurrent batches (docs: "Batch Inference")."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated size, price and duration of a job.

    Ranges extend from an estimate for English prose to a conservative one.

    Attributes:
        texts: Number of texts to embed.
        refused: Number of rows that cannot be embedded.
        first_refused: The first of these rows and the reason; None if there are none.
        characters: Characters of all texts.
        tokens: Range of tokens; both ends are equal if they were counted.
        dollars: Range of the list price; None if it is unknown.
        hours: Range of the duration at the limits below; None without a known limit. For the batch
            engine, its maximum.
        requests_per_minute: The assumed limit; None for the Batch API.
        tokens_per_minute: The assumed limit; None if unknown.
        limits_are_given: Whether the limits were given by the user; otherwise they are those of
            usage tier 1.
        vector_bytes: Bytes of all vectors in the output; None if their length is unknown.
        files: Number of files to read.
        unread: Number of files in input folders that have another format.
        damaged: Number of files that cannot be read to their end.
        problems: Problems that would stop the run, each with its remedy.

    Examples:
        >>> from voyage_rag.bulk import EmbeddingJob
        >>> job = EmbeddingJob("passages.jsonl", "vectors.parquet", model="voyage-4")
        >>> estimate = job.estimate()
        >>> estimate.texts, estimate.problems
        (1, ())
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
    damaged: int = 0
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
    """Estimate a job. Without given limits, those of usage tier 1 are assumed."""
    model, high = options.row, summary.tokens
    low = high if is_counted else min(high, ceil(summary.characters / CHARACTERS_PER_TOKEN))
    are_given = bool(requests_per_minute or tokens_per_minute)
    if options.engine == "batch":
        requests_per_minute = tokens_per_minute = None
    elif not are_given:
        requests_per_minute, tokens_per_minute = TIER_1_REQUESTS_PER_MINUTE, model.tokens_per_minute

    def hours(tokens: int) -> float | None:
        if options.engine == "batch":
            return float(BATCH_HOURS * max(1, ceil(tokens / MAX_BATCH_TOKENS)))
        if not tokens_per_minute:
            return None
        requests = ceil(summary.rows / TEXTS_PER_REQUEST)
        minutes = requests / requests_per_minute if requests_per_minute else 0.0
        return max(minutes, tokens / tokens_per_minute) / 60

    cost = partial(model.cost, engine=options.engine)
    return Estimate(
        texts=summary.rows,
        refused=summary.refused,
        first_refused=summary.first_refused,
        characters=summary.characters,
        tokens=(low, high),
        dollars=_range(cost(low), cost(high)),
        hours=_range(hours(low), hours(high)),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        limits_are_given=are_given,
        vector_bytes=None if bytes_per_vector is None else round(summary.rows * bytes_per_vector),
        files=summary.files,
        unread=summary.unread,
        damaged=len(summary.damaged),
        problems=problems,
    )


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
