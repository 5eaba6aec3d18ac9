"""What can go wrong with a job besides what can go wrong with a call."""

from __future__ import annotations

from voyage_rag.errors import VoyageError


class JobError(VoyageError):
    """A job cannot start, go on or finish; the message says why and what to do about it.

    What was finished stays in the job's folder, and the same job run again goes on with it.
    """


class BadRowsError(JobError, ValueError):
    """The input holds rows that cannot be embedded, found before anything was sent.

    Attributes:
        rows: How many.
    """

    def __init__(self, message: str = "", *, rows: int = 0) -> None:
        super().__init__(message)
        self.rows = rows
