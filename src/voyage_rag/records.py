"""Files and batches as the service describes them.

Source: docs.voyageai.com, "Files" and "Batches" in the API reference. Unknown fields are ignored;
missing fields are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
"""Final statuses. `expired` is not documented: an expired batch may also be `completed` without
some of its lines.
"""

REFUSED = range(400, 500)
TEMPORARY = frozenset({408, 424, 425, 429, 499})


@dataclass(frozen=True, slots=True)
class File:
    """A file at the service.

    Attributes:
        id: Its id at the service.
        bytes: Its size.
        filename: Its name.
        purpose: `batch`, `batch-output` or `batch-error`.
        created_at: Time of creation.
        expires_at: Time of deletion, 30 days after creation.

    Examples:
        >>> from voyage_rag import Voyage
        >>> line = '{"custom_id": "a1", "body": {"input": ["Hello, world"]}}'
        >>> with open("lines.jsonl", "w") as file:
        ...     print(line, file=file)
        >>> Voyage().files.upload("lines.jsonl").filename
        'lines.jsonl'
    """

    id: str
    bytes: int
    filename: str
    purpose: str
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchFault:
    """An error that the service found when it validated a batch.

    Attributes:
        code: A code for the error.
        message: The message of the service.
        line: The line of the input file, from 1; None if the error concerns no single line.
        param: The field; None if the error concerns no single field.

    Examples:
        >>> from voyage_rag import Voyage
        >>> voyage = Voyage()
        >>> with open("lines.jsonl", "w") as file:
        ...     print('{"custom_id": "a1"}', file=file)
        >>> uploaded = voyage.files.upload("lines.jsonl")
        >>> batch = voyage.batches.create(
        ...     "/v1/embeddings", uploaded.id, {"model": "voyage-4"}
        ... )
        >>> voyage.batches.wait(batch.id).faults[0].line
        1
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch at the service.

    Attributes:
        id: Its id at the service.
        endpoint: `/v1/embeddings`, `/v1/contextualizedembeddings` or `/v1/rerank`.
        status: `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `cancelling`,
            `cancelled`.
        input_file_id: The file with its lines.
        model: The model.
        output_file_id: The file with the results; None until it exists.
        error_file_id: The file with the failed lines; None until it exists.
        total: Number of lines; 0 until they are counted.
        completed: Number of lines with a result.
        failed: Number of failed lines.
        faults: Errors that made the whole batch fail.
        metadata: The metadata it was created with.
        created_at: Time of creation.
        in_progress_at: Time at which processing started.
        completed_at: Time at which the results became available.
        failed_at: Time at which the whole batch failed.
        cancelled_at: Time at which the cancellation was complete.
        expected_completion_at: The service's estimate of the time of completion.

    Examples:
        >>> from voyage_rag import Voyage
        >>> voyage = Voyage()
        >>> line = '{"custom_id": "a1", "body": {"input": ["Hello, world"]}}'
        >>> with open("lines.jsonl", "w") as file:
        ...     print(line, file=file)
        >>> uploaded = voyage.files.upload("lines.jsonl")
        >>> batch = voyage.batches.create(
        ...     "/v1/embeddings", uploaded.id, {"model": "voyage-4"}
        ... )
        >>> voyage.batches.wait(batch.id).status
        'completed'
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
        """Whether the status is final."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class LineFailure:
    """The reason why a line of a batch has no result.

    Attributes:
        message: The message of the service.
        status: HTTP status of the line's response; None if there was none.
        code: `batch_expired`; `pending` if the batch has not ended; `unfinished` if the batch ended
            without a response to the line; `unsound` if the response is invalid; `invalid` if the
            line itself is invalid.
        input: The body of the line as it was sent; the whole line if it is invalid but readable.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.batch import BatchJob
        >>> from voyage_rag.emulator import Emulator
        >>> with Emulator() as url:  # in real time, so the batch has not ended
        ...     voyage = Voyage(base_url=url)
        ...     job = BatchJob.submit(voyage, ["Hello, world"], "hello.job", model="voyage-4")
        ...     for result in job.results():
        ...         print(result.failure.code)
        pending
    """

    message: str
    status: int | None
    code: str | None
    input: Mapping[str, Any]

    @property
    def is_refused(self) -> bool:
        """Whether the service would reject the line again: a 4xx status that is not temporary."""
        return self.status in REFUSED and self.status not in TEMPORARY


@dataclass(frozen=True, slots=True)
class BatchLine:
    """The result of one line of a batch.

    Attributes:
        custom_id: The id of the line.
        input: The body of the line as it was sent.
        body: The parsed response of the endpoint; None if the line failed.
        failure: The reason of the failure, or None.

    Examples:
        >>> from voyage_rag import Voyage
        >>> voyage = Voyage()
        >>> line = '{"custom_id": "a1", "body": {"input": ["Hello, world"]}}'
        >>> with open("lines.jsonl", "w") as file:
        ...     print(line, file=file)
        >>> uploaded = voyage.files.upload("lines.jsonl")
        >>> batch = voyage.batches.create(
        ...     "/v1/embeddings", uploaded.id, {"model": "voyage-4"}
        ... )
        >>> batch = voyage.batches.wait(batch.id)
        >>> [(line.custom_id, line.failure) for line in voyage.batches.results(batch.id)]
        [('a1', None)]
    """

    custom_id: str
    input: Mapping[str, Any]
    body: Mapping[str, Any] | None = None
    failure: LineFailure | None = None
