"""JSON in: files, batches, and lists of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.records import Batch, BatchFault, File

Item = TypeVar("Item", File, Batch)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list.

    Attributes:
        items: What it holds.
        after: The id to ask for more after, None where there is no more.
    """

    items: list[Item]
    after: str | None


def file_of(body: bytes) -> File:
    """Read a file's description.

    Raises:
        UnexpectedAnswerError: It has no id.
    """
    return _file(_object(body))


def batch_of(body: bytes) -> Batch:
    """Read a batch's description.

    Raises:
        UnexpectedAnswerError: It lacks its id, its status or its input.
    """
    return _batch(_object(body))


def files_of(body: bytes) -> Page[File]:
    """Read a list of files.

    Raises:
        UnexpectedAnswerError: It is none.
    """
    return _page(body, _file)


def batches_of(body: bytes) -> Page[Batch]:
    """Read a list of batches.

    Raises:
        UnexpectedAnswerError: It is none.
    """
    return _page(body, _batch)


def deleted(body: bytes) -> bool:
    """Whether a file is gone."""
    return _object(body).get("deleted") is True


def _page(body: bytes, read: Callable[[Mapping[str, Any]], Item]) -> Page[Item]:
    answer = _object(body)
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise UnexpectedAnswerError("the answer holds no list under 'data'")
    items = [read(item) for item in data]
    return Page(items, items[-1].id if items and answer.get("has_more") is True else None)


def _file(held: Mapping[str, Any]) -> File:
    return File(
        id=_due(held, "id"),
        bytes=_number(held.get("bytes")),
        filename=_text(held.get("filename")) or "",
        purpose=_text(held.get("purpose")) or "",
        created_at=_moment(held.get("created_at")),
        expires_at=_moment(held.get("expires_at")),
    )


def _batch(held: Mapping[str, Any]) -> Batch:
    counts, errors = held.get("request_counts"), held.get("errors")
    counts = counts if isinstance(counts, Mapping) else {}
    faults = errors.get("data") if isinstance(errors, Mapping) else None
    metadata = held.get("metadata")
    return Batch(
        id=_due(held, "id"),
        endpoint=_text(held.get("endpoint")) or "",
        status=_due(held, "status"),
        input_file_id=_due(held, "input_file_id"),
        model=_text(held.get("model")) or "",
        output_file_id=_text(held.get("output_file_id")),
        error_file_id=_text(held.get("error_file_id")),
        total=_number(counts.get("total")),
        completed=_number(counts.get("completed")),
        failed=_number(counts.get("failed")),
        faults=tuple(_fault(fault) for fault in faults) if isinstance(faults, list) else (),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        created_at=_moment(held.get("created_at")),
        in_progress_at=_moment(held.get("in_progress_at")),
        completed_at=_moment(held.get("completed_at")),
        failed_at=_moment(held.get("failed_at")),
        cancelled_at=_moment(held.get("cancelled_at")),
        expected_completion_at=_moment(held.get("expected_completion_at")),
    )


def _fault(held: object) -> BatchFault:
    if not isinstance(held, Mapping):
        return BatchFault("", str(held))
    line = held.get("line")
    return BatchFault(
        _text(held.get("code")) or "",
        _text(held.get("message")) or "",
        line if type(line) is int else None,
        _text(held.get("param")),
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswerError("the answer is not JSON") from None
    if not isinstance(answer, Mapping):
        raise UnexpectedAnswerError("the answer is no JSON object")
    return answer


def _due(held: Mapping[str, Any], name: str) -> str:
    value = held.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswerError(f"the answer holds something without {name!r}")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _moment(value: object) -> datetime | None:
    """A time in RFC 3339, as documented, or in seconds since the epoch, as OpenAI writes it."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if type(value) in {int, float}:
            return datetime.fromtimestamp(value, UTC)  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        pass
    return None
