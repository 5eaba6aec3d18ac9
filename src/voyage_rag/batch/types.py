"""What a batch job takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from voyage_rag.records import LineFailure
    from voyage_rag.types import RerankingResult, Vector

K = 1_000
MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much goes into one batch, and into all that run at once.

    The first three are those of Voyage's documentation ("Batch Inference"), per organisation. It
    does not say how large a file may be; half of what others report is taken.

    Attributes:
        inputs: Texts, documents or queries in one batch.
        batches: Batches that run at once.
        tokens: Tokens in all batches that run at once, by an estimate that errs high.
        file_bytes: Size of one input file.
    """

    inputs: int = 100 * K
    batches: int = 100
    tokens: int = 1_000_000 * K
    file_bytes: int = 512 * MIB


LIMITS = BatchLimits()
"""Those of the documentation."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one input.

    Attributes:
        index: Its position among the inputs of the job.
        custom_id: Its name; the position in digits, unless names were given.
        vectors: One vector for a text, one per chunk for a document, none for a ranking or failure.
        ranking: Of a reranker: documents by falling relevance, else empty.
        total_tokens: What it cost.
        failure: Why there is no result, else None.
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
            ValueError: There is not exactly one.
        """
        (vector,) = self.vectors
        return vector


@dataclass(frozen=True, slots=True)
class BatchEstimate:
    """What a job would take.

    Attributes:
        inputs: How many there are.
        tokens: How many they have, by an estimate that errs high.
        batches: How many batches they make.
        dollars: What they cost at list price less a third, None where the price is not known.
    """

    inputs: int
    tokens: int
    batches: int
    dollars: float | None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        state: `pending` until its first batch is created, `running`, then `ended`.
        inputs: How many there are, those that were submitted again not counted twice.
        completed: How many have a result so far.
        failed: How many have none, and will have none unless they are submitted again.
        batches: How many batches the job is made of.
        pending: How many of them still have to be created, which `wait` does when that is possible.
        ended: How many of them have ended.
        statuses: The service's status of each batch by its id.
        expected_at: When the service expects the last running batch to be done, None if unknown.
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
