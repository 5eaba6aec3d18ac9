"""Upload, describe, list, download and delete files."""

from __future__ import annotations

from collections.abc import Sequence

from voyage_rag.core import validation
from voyage_rag.core.flow import Flow
from voyage_rag.core.jobs import decoding
from voyage_rag.core.jobs.sending import JobContext, list_pages, object_path, send_with_retries
from voyage_rag.hosts.messages import Request, Upload
from voyage_rag.records import File

PATH = "/files"
PAGE_SIZE = 10_000
PURPOSES = ("batch", "batch-output", "batch-error")


def upload(context: JobContext, path: str, filename: str) -> Flow[File]:
    """Send a file of lines.

    It is sent again if the response is lost. This may leave an unused file for 30 days.
    """
    request = Request(PATH, b"", "", 0, upload=Upload(path, filename, {"purpose": "batch"}))
    return (yield from send_with_retries(request, decoding.decode_file, context))


def get(context: JobContext, file_id: str) -> Flow[File]:
    """Return the description of a file."""
    request = Request(object_path(PATH, file_id), b"", "", 0, method="GET")
    return (yield from send_with_retries(request, decoding.decode_file, context))


def list_all(context: JobContext, purpose: str | None, limit: int | None) -> Flow[list[File]]:
    """Return the newest `limit` files, or all."""
    validation.check_choice("purpose", purpose, (*PURPOSES, None))
    return list_pages(
        context, PATH, decoding.decode_file, page_size=PAGE_SIZE, limit=limit, purpose=purpose
    )


def content(context: JobContext, file_id: str) -> Flow[bytes]:
    """Return the content of a file."""
    request = Request(object_path(PATH, file_id, "content"), b"", "", 0, method="GET")
    return (yield from send_with_retries(request, bytes, context))


def download(context: JobContext, file_id: str, save_to: str) -> Flow[None]:
    """Write the content of a file to a path."""
    path = object_path(PATH, file_id, "content")
    request = Request(path, b"", "", 0, method="GET", save_to=save_to)
    yield from send_with_retries(request, bytes, context)


def delete(context: JobContext, file_id: str) -> Flow[bool]:
    """Delete a file, and return whether the service confirms it."""
    request = Request(object_path(PATH, file_id), b"", "", 0, method="DELETE")
    return (yield from send_with_retries(request, decoding.decode_deleted, context))


def download_all(context: JobContext, file_ids: Sequence[str], directory: str) -> Flow[list[str]]:
    """Write files into a directory, and return their paths in the order of the ids."""
    paths = [f"{directory}/{number}.jsonl" for number in range(len(file_ids))]
    for file_id, path in zip(file_ids, paths, strict=True):
        yield from download(context, file_id, path)
    return paths
