"""Decode JSON that describes files, batches and pages of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from voyage_rag.core.wire.responses import parse_object
from voyage_rag.errors import UnexpectedAnswerError
from voyage_rag.records import Batch, BatchFault, File

Item = TypeVar("Item", File, Batch)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list. The next page begins after the id `after`; None on the last page."""

    items: list[Item]
    after: str | None


def decode_deleted(body: bytes) -> bool:
    """Return whether a response confirms the deletion of a file."""
    return parse_object(body).get("deleted") is True


def decode_page(body: bytes, decode: Callable[[Mapping[str, Any]], Item]) -> Page[Item]:
    """Decode a page of files or batches, or raise an `UnexpectedAnswerError`."""
    response = parse_object(body)
    data = response.get("data")
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise UnexpectedAnswerError("the response has no list under 'data'")
    items = [decode(item) for item in data]
    return Page(items, items[-1].id if items and response.get("has_more") is True else None)


def decode_file(described: bytes | Mapping[str, Any]) -> File:
    """Decode a file, or raise an `UnexpectedAnswerError` if it has no id."""
    fields = parse_object(described)
    return File(
        id=_required(fields, "id"),
        bytes=_count(fields.get("bytes")),
        filename=_optional_text(fields.get("filename")) or "",
        purpose=_optional_text(fields.get("purpose")) or "",
        created_at=_time(fields.get("created_at")),
        expires_at=_time(fields.get("expires_at")),
    )


def decode_batch(described: bytes | Mapping[str, Any]) -> Batch:
    """Decode a batch, or raise an `UnexpectedAnswerError` if an id, status or input is missing."""
    fields = parse_object(described)
    counts, errors = fields.get("request_counts"), fields.get("errors")
    counts = counts if isinstance(counts, Mapping) else {}
    faults = errors.get("data") if isinstance(errors, Mapping) else None
    metadata = fields.get("metadata")
    return Batch(
        id=_required(fields, "id"),
        endpoint=_optional_text(fields.get("endpoint")) or "",
        status=_required(fields, "status"),
        input_file_id=_required(fields, "input_file_id"),
        model=_optional_text(fields.get("model")) or "",
        output_file_id=_optional_text(fields.get("output_file_id")),
        error_file_id=_optional_text(fields.get("error_file_id")),
        total=_count(counts.get("total")),
        completed=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        faults=tuple(_fault(fault) for fault in faults) if isinstance(faults, list) else (),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        created_at=_time(fields.get("created_at")),
        in_progress_at=_time(fields.get("in_progress_at")),
        completed_at=_time(fields.get("completed_at")),
        failed_at=_time(fields.get("failed_at")),
        cancelled_at=_time(fields.get("cancelled_at")),
        expected_completion_at=_time(fields.get("expected_completion_at")),
    )


def _fault(fields: object) -> BatchFault:
    if not isinstance(fields, Mapping):
        return BatchFault("", str(fields))
    line = fields.get("line")
    return BatchFault(
        _optional_text(fields.get("code")) or "",
        _optional_text(fields.get("message")) or "",
        line if type(line) is int else None,
        _optional_text(fields.get("param")),
    )


def _required(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswerError(f"an object in the response has no {name!r}")
    return value


def _optional_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _time(value: object) -> datetime | None:
    """Parse a time in RFC 3339, as documented, or in seconds since the epoch, as OpenAI sends."""
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        if type(value) in {int, float}:
            return datetime.fromtimestamp(value, UTC)  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        pass
    return None
