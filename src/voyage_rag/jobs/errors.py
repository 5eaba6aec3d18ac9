"""Errors of jobs, besides those of a call."""

from __future__ import annotations

from voyage_rag.errors import VoyageError


class JobError(VoyageError):
    """A job cannot start, resume or finish; the message says why and what to do about it.

    What was finished stays in the job's folder, and the same job run again resumes from there.
    """


class BadRowsError(JobError, ValueError):
    """The input holds rows that cannot be embedded, found before anything was sent.

    Attributes:
        rows: How many.
    """

    def __init__(self, message: str = "", *, rows: int = 0) -> None:
        super().__init__(message)
        self.rows = rows
