"""Errors of jobs, in addition to those of calls."""

from __future__ import annotations

from voyage_rag.errors import VoyageError


class JobError(VoyageError):
    """A job cannot start, resume or finish. The message contains the reason and the remedy.

    Finished vectors stay in the job's folder, and the same job resumes from there.

    Examples:
        >>> from voyage_rag.bulk import JobError, embed_file
        >>> try:
        ...     embed_file("missing.jsonl", "vectors.parquet", model="voyage-4")
        ... except JobError as error:
        ...     print("missing.jsonl" in str(error))
        True
    """


class DamagedFileError(JobError):
    """A file is truncated or damaged, so its rest cannot be read."""


class BadRowsError(JobError, ValueError):
    """The input contains rows that cannot be embedded. Raised before anything is sent.

    Attributes:
        rows: Number of these rows.

    Examples:
        >>> from voyage_rag.bulk import BadRowsError, embed_file
        >>> with open("rows.jsonl", "w") as file:
        ...     print('{"text": ""}', file=file)
        >>> try:
        ...     embed_file("rows.jsonl", "vectors.parquet", model="voyage-4")
        ... except BadRowsError as error:
        ...     print(error.rows)
        1
    """

    def __init__(self, message: str = "", *, rows: int = 0) -> None:
        super().__init__(message)
        self.rows = rows
