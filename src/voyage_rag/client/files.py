"""`voyage.files`: files at the service."""

import os
from pathlib import Path
from typing import TypeAlias

from voyage_rag.core.jobs import files
from voyage_rag.core.jobs.sending import JobContext
from voyage_rag.errors import InvalidInputError
from voyage_rag.io.driver import Driver
from voyage_rag.jobs.files import atomic_write
from voyage_rag.records import File

FileList: TypeAlias = list[File]  # the method `list` would hide the built-in


class Files:
    """The files of the account, which batches read and write (docs: "Files" in the API reference).

    Storage costs $0.05 per GB and month; the service deletes files after 30 days. Each method has
    an async variant with the prefix `a`. All methods raise `InvalidInputError` for an invalid
    argument before they send anything, and another `VoyageError` if the service does not return a
    usable response.
    """

    def __init__(self, driver: Driver, context: JobContext) -> None:
        self._driver = driver
        self._context = context

    def upload(self, path: str | os.PathLike[str], *, filename: str | None = None) -> File:
        """Upload a file of lines for a batch. The file is streamed from disk.

        A line is `{"custom_id": "a1", "body": {"input": ["..."]}}`. Its body has `inputs` for a
        contextualized model, and `query` and `documents` for a reranker. The model and its options
        are arguments of the batch (docs: "Batch Inference").

        Args:
            path: The file.
            filename: The name of the file at the service. Default: its name on disk.
        """
        return self._driver.run(files.upload(self._context, *_checked(path, filename)))

    async def aupload(self, path: str | os.PathLike[str], *, filename: str | None = None) -> File:
        """Async variant of `upload`."""
        return await self._driver.arun(files.upload(self._context, *_checked(path, filename)))

    def get(self, file_id: str) -> File:
        """Return the metadata of a file."""
        return self._driver.run(files.get(self._context, file_id))

    async def aget(self, file_id: str) -> File:
        """Async variant of `get`."""
        return await self._driver.arun(files.get(self._context, file_id))

    def list(self, *, purpose: str | None = None, limit: int | None = None) -> FileList:
        """List the account's files, newest first.

        Args:
            purpose: `batch`, `batch-output` or `batch-error`. None lists all files.
            limit: Maximum number of files. None returns all of them, from as many pages as needed.
        """
        return self._driver.run(files.list_all(self._context, purpose, limit))

    async def alist(self, *, purpose: str | None = None, limit: int | None = None) -> FileList:
        """Async variant of `list`."""
        return await self._driver.arun(files.list_all(self._context, purpose, limit))

    def content(self, file_id: str) -> bytes:
        """Return the content of a file of up to 256 MiB. For larger files use `download`."""
        return self._driver.run(files.content(self._context, file_id))

    async def acontent(self, file_id: str) -> bytes:
        """Async variant of `content`."""
        return await self._driver.arun(files.content(self._context, file_id))

    def download(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Download a file to a path. The file appears there only when it is complete."""
        with atomic_write(Path(path)) as part:
            self._driver.run(files.download(self._context, file_id, str(part)))
        return Path(path)

    async def adownload(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Async variant of `download`."""
        with atomic_write(Path(path)) as part:
            await self._driver.arun(files.download(self._context, file_id, str(part)))
        return Path(path)

    def delete(self, file_id: str) -> bool:
        """Delete a file, and return whether it was deleted."""
        return self._driver.run(files.delete(self._context, file_id))

    async def adelete(self, file_id: str) -> bool:
        """Async variant of `delete`."""
        return await self._driver.arun(files.delete(self._context, file_id))


def _checked(path: str | os.PathLike[str], filename: str | None) -> tuple[str, str]:
    try:
        size = Path(path).stat().st_size
        Path(path).open("rb").close()
    except OSError as error:
        raise InvalidInputError(f"cannot read {os.fspath(path)!r}: {error.strerror}") from error
    if not size:
        raise InvalidInputError(f"{os.fspath(path)!r} is empty: a batch needs at least one line")
    return str(path), filename or Path(path).name
