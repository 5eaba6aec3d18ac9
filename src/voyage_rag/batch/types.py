"""Limits, results and status of batch jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from voyage_rag.records import LineFailure
from voyage_rag.types import RerankingResult, Vector

K = 1_000
MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one batch, and of all batches that run concurrently.

    The first three are the documented limits per organisation ("Batch Inference"). The maximum file
    size is not documented; the default is half of what others report.

    Attributes:
        inputs: Maximum number of texts, documents or queries per batch.
        batches: Maximum number of concurrent batches.
        tokens: Maximum number of tokens in all concurrent batches, by a conservative estimate.
        file_bytes: Maximum size of an input file.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.batch import BatchJob, BatchLimits
        >>> limits = BatchLimits(inputs=2)
        >>> job = BatchJob.submit(
        ...     Voyage(), ["one", "two", "three"], "small.job", model="voyage-4", limits=limits
        ... )
        >>> job.status().batches
        2
    """

    inputs: int = 100 * K
    batches: int = 100
    tokens: int = 1_000_000 * K
    file_bytes: int = 512 * MIB


LIMITS = BatchLimits()
"""The documented limits."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one input.

    Attributes:
        index: Position of the input in the job.
        custom_id: Id of the input. Default: its position.
        vectors: One vector for a text, one per chunk for a document; empty for a ranking or
            failure.
        ranking: Documents in order of relevance, for a reranker; otherwise empty.
        total_tokens: Tokens billed.
        failure: The reason why there is no result, or None.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.batch import BatchJob
        >>> pairs = [("parse csv", ["Send an email.", "Read a CSV file."])]
        >>> job = BatchJob.submit(Voyage(), pairs, "ranking.job", model="rerank-3")
        >>> status = job.wait()
        >>> [result.ranking[0].index for result in job.results()]
        [1]
    """

    index: int
    custom_id: str
    vectors: Sequence[Vector] = ()
    ranking: Sequence[RerankingResult] = ()
    total_tokens: int = 0
    failure: LineFailure | None = None

    @property
    def vector(self) -> Vector:
        """The vector of a text.

        Raises:
            ValueError: The number of vectors is not one.
        """
        (vector,) = self.vectors
        return vector


@dataclass(frozen=True, slots=True)
class BatchEstimate:
    """The estimated size and price of a job.

    Attributes:
        inputs: Number of inputs. Equal texts of a batch count once.
        tokens: Conservative estimate of their tokens.
        batches: Number of batches.
        dollars: List price less a third; None if the price is unknown.

    Examples:
        >>> from voyage_rag.batch import BatchJob
        >>> BatchJob.estimate(["one", "two"], model="voyage-4").batches
        1
    """

    inputs: int
    tokens: int
    batches: int
    dollars: float | None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The status of a job.

    Attributes:
        state: `pending` until the first batch is created, then `running`, then `ended`.
        inputs: Number of inputs. Resubmitted inputs and equal texts of a batch count once.
        completed: Number of inputs with a result.
        failed: Number of inputs that failed and were not resubmitted.
        batches: Number of batches.
        pending: Number of batches that `wait` still has to create.
        ended: Number of batches that have ended.
        statuses: Status of each batch at the service, by its id.
        expected_at: The service's estimate of the completion of the last running batch; None if
            unknown.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.batch import BatchJob
        >>> job = BatchJob.submit(Voyage(), ["one", "two"], "numbers.job", model="voyage-4")
        >>> status = job.wait()
        >>> status.state, status.completed, status.failed
        ('ended', 2, 0)
    """

    state: Literal["pending", "running", "ended"]
    inputs: int
    completed: int
    failed: int
    batches: int
    pending: int
    ended: int
    statuses: Mapping[str, str] = field(default_factory=dict)
    expected_at: datetime | None = None
