"""`voyage.files`: files at the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from voyage_rag.core.jobs import files
from voyage_rag.errors import InvalidInputError
from voyage_rag.jobs.files import atomic_write

if TYPE_CHECKING:
    from voyage_rag.core.jobs.sending import JobContext
    from voyage_rag.io.driver import Driver
    from voyage_rag.records import File

    FileList: TypeAlias = list[File]  # where `list` is a verb


class Files:
    """Files of the account, for batches (docs: "Files" in the API reference).

    They cost $0.05 per GB and month and are deleted after 30 days. Every method has an async
    variant with an `a` before its name. All raise a `VoyageError` if the service did not return a
    usable response, and `InvalidInputError` before anything is sent if an argument is invalid.
    """

    def __init__(self, driver: Driver, context: JobContext) -> None:
        self._driver = driver
        self._context = context

    def upload(self, path: str | os.PathLike[str], *, filename: str | None = None) -> File:
        """Upload a file of lines for a batch, streamed from disk.

        A line is `{"custom_id": "a1", "body": {"input": ["..."]}}`; its body has `inputs` for a
        contextualized model, `query` and `documents` for a reranker. Model and options belong to
        the batch (docs: "Batch Inference").

        Args:
            path: The file.
            filename: The name at the service; that of the file by default.
        """
        return self._driver.run(files.upload(self._context, *_checked(path, filename)))

    async def aupload(self, path: str | os.PathLike[str], *, filename: str | None = None) -> File:
        """Async variant of `upload`."""
        return await self._driver.arun(files.upload(self._context, *_checked(path, filename)))

    def get(self, file_id: str) -> File:
        """Describe a file."""
        return self._driver.run(files.get(self._context, file_id))

    async def aget(self, file_id: str) -> File:
        """Async variant of `get`."""
        return await self._driver.arun(files.get(self._context, file_id))

    def list(self, *, purpose: str | None = None, limit: int | None = None) -> FileList:
        """The account's files, newest first.

        Args:
            purpose: `batch`, `batch-output` or `batch-error`; None for all.
            limit: The most files to return; None for all.
        """
        return self._driver.run(files.list_all(self._context, purpose, limit))

    async def alist(self, *, purpose: str | None = None, limit: int | None = None) -> FileList:
        """Async variant of `list`."""
        return await self._driver.arun(files.list_all(self._context, purpose, limit))

    def content(self, file_id: str) -> bytes:
        """Return the content of a file of at most 256 MiB. `download` takes any size."""
        return self._driver.run(files.content(self._context, file_id))

    async def acontent(self, file_id: str) -> bytes:
        """Async variant of `content`."""
        return await self._driver.arun(files.content(self._context, file_id))

    def download(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Stream the content of a file to a path, where it appears whole or not at all."""
        with atomic_write(Path(path)) as part:
            self._driver.run(files.download(self._context, file_id, str(part)))
        return Path(path)

    async def adownload(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Async variant of `download`."""
        with atomic_write(Path(path)) as part:
            await self._driver.arun(files.download(self._context, file_id, str(part)))
        return Path(path)

    def delete(self, file_id: str) -> bool:
        """Delete a file, and return whether the service confirms it."""
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
