"""Files and batches of an account, as the service describes them.

Source: docs.voyageai.com, "Files" and "Batches" in the API reference. Unknown fields are
ignored; missing ones are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
"""Statuses that do not change any more. `expired` is not documented: an expired batch might as well
be `completed`, without some of its lines."""

REFUSED = range(400, 500)
PASSING = frozenset({408, 425, 429, 499})


@dataclass(frozen=True, slots=True)
class File:
    """A file.

    Attributes:
        id: Assigned by the service.
        bytes: Its size.
        filename: Its name when it was uploaded.
        purpose: `batch`, `batch-output` or `batch-error`.
        created_at: When it was created.
        expires_at: When it will be deleted, 30 days later.
    """

    id: str
    bytes: int
    filename: str
    purpose: str
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchFault:
    """An error that made a batch fail while it was validated.

    Attributes:
        code: The service's error code.
        message: What the service says.
        line: The line of the input file, counted from 1, None where it is none in particular.
        param: The field concerned, None where it is none in particular.
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch.

    Attributes:
        id: Assigned by the service.
        endpoint: `/v1/embeddings`, `/v1/contextualizedembeddings` or `/v1/rerank`.
        status: `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `cancelling`,
            `cancelled`.
        input_file_id: The file with its lines.
        model: The model that works on them.
        output_file_id: The file with the results, None until there is one.
        error_file_id: The file with the lines that failed, None until there is one.
        total: How many lines there are; 0 until they are counted.
        completed: How many have a result.
        failed: How many failed.
        faults: Why the batch failed as a whole.
        metadata: Given when it was created.
        created_at: When it was created.
        in_progress_at: When its first line was worked on.
        completed_at: When its output was complete.
        failed_at: When it failed as a whole.
        cancelled_at: When it had been cancelled.
        expected_completion_at: When the service expects it to be done.
    """

    id: str
    endpoint: str
    status: str
    input_file_id: str
    model: str = ""
    output_file_id: str | None = None
    error_file_id: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    faults: tuple[BatchFault, ...] = ()
    metadata: Mapping[str, str] | None = None
    created_at: datetime | None = None
    in_progress_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    cancelled_at: datetime | None = None
    expected_completion_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class LineFailure:
    """Why one line of a batch has no result.

    Attributes:
        message: What the service says.
        status: HTTP status of the line's response, None if there was none.
        code: `batch_expired`; `pending` if its batch has not ended; `unfinished` if the batch ended
            without a result for it; `unsound` if the result is damaged; `invalid` if the line is
            not one of a batch; else the service's.
        input: The body of the line, as it was sent; all of an invalid line, if it can be read.
    """

    message: str
    status: int | None
    code: str | None
    input: Mapping[str, Any]

    @property
    def is_refused(self) -> bool:
        """Whether the same line would be refused again: a 4xx that does not pass with time."""
        return self.status in REFUSED and self.status not in PASSING


@dataclass(frozen=True, slots=True)
class BatchLine:
    """The result of one line of a batch.

    Attributes:
        custom_id: Identifies the line.
        input: The body of the line, as it was sent.
        body: The endpoint's response, parsed; None if the line failed.
        failure: Why there is no result, else None.
    """

    custom_id: str
    input: Mapping[str, Any]
    body: Mapping[str, Any] | None = None
    failure: LineFailure | None = None
