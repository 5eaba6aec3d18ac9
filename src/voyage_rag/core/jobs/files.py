"""Files: sent from disk, listed, written to disk, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from voyage_rag.core import validation
from voyage_rag.core.jobs import descriptions
from voyage_rag.core.jobs.asking import JobContext, asking
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.core.flow import Flow
    from voyage_rag.records import File

PATH = "/files"
MOST_ON_A_PAGE = 10_000
PURPOSES = ("batch", "batch-output", "batch-error")


def path_of(base: str, id_: object, *rest: str) -> str:
    """The path of an object.

    Raises:
        InvalidInputError: What should be its id is no id.
    """
    if not isinstance(id_, str) or not id_.strip():
        raise InvalidInputError(f"an id of {base.strip('/')} must be a string, not {id_!r}")
    return "/".join([base, quote(id_, safe=""), *rest])


def listing(base: str, **query: object) -> Request:
    """What asks for a page of a list."""
    given = {name: value for name, value in query.items() if value is not None}
    return Request(f"{base}?{urlencode(given)}" if given else base, b"", "", 0, method="GET")


def upload(context: JobContext, path: str, filename: str) -> Flow[File]:
    """Send a file of lines.

    A lost answer is asked for again: at worst there is a file that nobody uses, gone in 30 days.
    """
    context.host.require(PATH)
    request = Request(PATH, b"", "", 0, upload=Upload(path, filename, {"purpose": "batch"}))
    return (yield from asking(request, descriptions.file_of, context))


def get(context: JobContext, file_id: str) -> Flow[File]:
    """Describe a file."""
    context.host.require(PATH)
    request = Request(path_of(PATH, file_id), b"", "", 0, method="GET")
    return (yield from asking(request, descriptions.file_of, context))


def list_all(context: JobContext, purpose: str | None, limit: int | None) -> Flow[list[File]]:
    """The files there are, newest first, however many pages they take."""
    context.host.require(PATH)
    validation.check_choice("purpose", purpose, (*PURPOSES, None))
    if limit is not None:
        validation.check_count("limit", limit)
    found: list[File] = []
    after: str | None = None
    while limit is None or len(found) < limit:
        room = MOST_ON_A_PAGE if limit is None else min(limit - len(found), MOST_ON_A_PAGE)
        request = listing(PATH, purpose=purpose, limit=room, after=after)
        page = yield from asking(request, descriptions.files_of, context)
        found += page.items
        after = page.after
        if after is None:
            break
    return found


def content(context: JobContext, file_id: str) -> Flow[bytes]:
    """What is in a file."""
    context.host.require(PATH)
    request = Request(path_of(PATH, file_id, "content"), b"", "", 0, method="GET")
    return (yield from asking(request, bytes, context))


def download(context: JobContext, file_id: str, save_to: str) -> Flow[None]:
    """Write what is in a file to a path, whole only when this returns."""
    context.host.require(PATH)
    path = path_of(PATH, file_id, "content")
    request = Request(path, b"", "", 0, method="GET", save_to=save_to)
    yield from asking(request, bytes, context)


def delete(context: JobContext, file_id: str) -> Flow[bool]:
    """Delete a file; whether it is gone."""
    context.host.require(PATH)
    request = Request(path_of(PATH, file_id), b"", "", 0, method="DELETE")
    return (yield from asking(request, descriptions.deleted, context))


def gather(context: JobContext, file_ids: Sequence[str], directory: str) -> Flow[list[str]]:
    """Write files into a directory; their paths, in order."""
    paths = [f"{directory}/{number}.jsonl" for number in range(len(file_ids))]
    for file_id, path in zip(file_ids, paths, strict=True):
        yield from download(context, file_id, path)
    return paths
