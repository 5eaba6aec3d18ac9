"""Descriptions of files and batches, whatever the service adds or leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from voyage_rag import UnexpectedAnswerError
from voyage_rag.core.jobs import decoding


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_fields_may_be_missing_or_strange() -> None:
    """The id is what counts; times may be seconds, as OpenAI writes them."""
    strange = {"id": "f", "bytes": "many", "created_at": 0, "expires_at": "soon", "new": 1}
    file = decoding.decode_file(body(strange))
    assert (file.bytes, file.expires_at) == (0, None)
    assert file.created_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_batch_without_details() -> None:
    """An id, a status and an input are all that it needs."""
    batch = decoding.decode_batch(body({"id": "b", "status": "failed", "input_file_id": "f"}))
    assert (batch.total, batch.faults, batch.metadata, batch.created_at) == (0, (), None, None)


def test_faults_of_a_batch_may_be_strings_or_objects() -> None:
    """With some of their fields."""
    errors = {"data": ["odd", {"code": "c", "line": 3}, {"message": "m", "line": "x", "param": ""}]}
    described = {"id": "b", "status": "failed", "input_file_id": "f", "errors": errors}
    odd, coded, named = decoding.decode_batch(body(described)).faults
    assert (odd.message, coded.code, coded.line) == ("odd", "c", 3)
    assert (named.message, named.line, named.param) == ("m", None, None)


@pytest.mark.parametrize("missing", ["id", "status", "input_file_id"])
def test_a_batch_without_a_required_field_is_unexpected(missing: str) -> None:
    described = {"id": "b", "status": "failed", "input_file_id": "f"}
    del described[missing]
    with pytest.raises(UnexpectedAnswerError, match=missing):
        decoding.decode_batch(body(described))


@pytest.mark.parametrize("page", [b"", b"[]", b"{}", b'{"data": {}}', b'{"data": [1]}'])
def test_what_is_not_a_page_is_unexpected(page: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        decoding.decode_page(page, decoding.decode_file)


@pytest.mark.parametrize(("more", "after"), [(True, "b"), (False, None), ("yes", None)])
def test_a_page_says_whether_there_is_another(more: Any, after: str | None) -> None:
    listed = body({"data": [{"id": "a"}, {"id": "b"}], "has_more": more})
    page = decoding.decode_page(listed, decoding.decode_file)
    assert [file.id for file in page.items] == ["a", "b"]
    assert page.after == after
    assert (
        decoding.decode_page(body({"data": [], "has_more": True}), decoding.decode_file).after
        is None
    )


@pytest.mark.parametrize("deleted", [True, False, 1, None])
def test_a_file_is_deleted_only_if_the_service_says_so(deleted: Any) -> None:
    assert decoding.decode_deleted(body({"id": "f", "deleted": deleted})) is (deleted is True)
