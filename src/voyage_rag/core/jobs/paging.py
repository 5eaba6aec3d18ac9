"""Paths of files and batches in the API, and paginated lists of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Any
from urllib.parse import quote, urlencode

from voyage_rag.core import validation
from voyage_rag.core.flow import Flow
from voyage_rag.core.jobs.decoding import Item, decode_page
from voyage_rag.core.jobs.sending import JobContext, send_with_retries
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts.messages import Request


def object_path(base: str, id_: object, *rest: str) -> str:
    """Return the path of a file or batch, or raise an `InvalidInputError` for its id."""
    if not isinstance(id_, str) or not id_.strip():
        raise InvalidInputError(f"an id of {base.strip('/')} must be a string, not {id_!r}")
    return "/".join([base, quote(id_, safe=""), *rest])


def list_pages(
    context: JobContext,
    base: str,
    decode: Callable[[Mapping[str, Any]], Item],
    *,
    page_size: int,
    limit: int | None,
    purpose: str | None = None,
    not_before: float = -inf,
) -> Flow[list[Item]]:
    """Return the newest `limit` objects, or all, from as many pages as necessary.

    The first request is sent at `not_before`.

    Raises:
        InvalidInputError: The limit is not a positive number.
    """
    if limit is not None:
        limit = validation.check_count("limit", limit)
    found: list[Item] = []
    after: str | None = None
    while limit is None or len(found) < limit:
        size = page_size if limit is None else min(limit - len(found), page_size)
        query = {"purpose": purpose, "limit": size, "after": after}
        given = {name: value for name, value in query.items() if value is not None}
        request = Request(f"{base}?{urlencode(given)}", b"", "", 0, method="GET")
        page = yield from send_with_retries(
            request, partial(decode_page, decode=decode), context, not_before=not_before
        )
        found += page.items
        after = page.after
        if after is None:
            break
    return found
