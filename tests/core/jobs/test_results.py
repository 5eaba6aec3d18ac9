"""Answers find their lines, whatever their order, shape and number."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voyage_rag.core.jobs.results import in_input_order
from voyage_rag.records import BatchLine

NAMES = st.lists(st.text(min_size=1), unique=True, max_size=20)


def file_of(*lines: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def line(name: str) -> dict[str, Any]:
    return {"custom_id": name, "body": {"input": [name]}}


def right(name: str, body: Any = None) -> dict[str, Any]:
    response = {"status_code": 200, "body": {"said": name} if body is None else body}
    return {"batch_id": "b", "custom_id": name, "response": response, "error": None}


def wrong(name: str, **response: Any) -> dict[str, Any]:
    return {"batch_id": "b", "custom_id": name, "response": response, "error": None}


def one(*files: io.BytesIO) -> BatchLine:
    (found,) = in_input_order(file_of(line("a")), files)
    return found


@settings(max_examples=40)
@given(NAMES, st.randoms())
def test_every_line_has_its_own_answer(names: list[str], random: Any) -> None:
    """In the order of the input, with names of any characters."""
    shuffled = random.sample(names, len(names))
    answers = file_of(*map(right, shuffled))
    found = list(in_input_order(file_of(*map(line, names)), [answers]))
    assert [item.custom_id for item in found] == names
    assert [item.body for item in found] == [{"said": name} for name in names]
    assert [item.input for item in found] == [{"input": [name]} for name in names]


def test_a_response_may_contain_other_custom_ids() -> None:
    """The one that counts is its own, wherever it stands."""
    body = {"custom_id": "b", "text": '"custom_id": "c"'}
    answer = {"response": {"status_code": 200, "body": body}, "error": None, "custom_id": "a"}
    assert one(file_of(answer)).body == body


def test_a_result_counts_before_a_failure_and_later_before_earlier() -> None:
    """So lines that were submitted again need no order of their files."""
    failed, first, second = wrong("a", status_code=500), right("a", {"n": 1}), right("a", {"n": 2})
    assert one(file_of(first), file_of(failed)).body == {"n": 1}
    assert one(file_of(failed), file_of(first)).body == {"n": 1}
    assert one(file_of(first), file_of(second)).body == {"n": 2}
    later = wrong("a", status_code=400, message="later")
    assert one(file_of(failed), file_of(later)).failure.message == "later"


def test_failures_have_the_formats_of_their_hosts() -> None:
    """With a status, with a code, or without a word."""
    refused = one(file_of(wrong("a", status_code=400, message="too long"))).failure
    assert (refused.status, refused.message, refused.is_refused) == (400, "too long", True)
    expired = {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}}
    assert one(file_of(expired)).failure.code == "batch_expired"
    assert not one(file_of(expired)).failure.is_refused
    assert not one(file_of(wrong("a", status_code=429))).failure.is_refused
    strange = [{"custom_id": "a"}, wrong("a", status_code="200"), wrong("a", status_code=200)]
    for answer in strange:
        assert one(file_of(answer)).failure.message == "the line failed without a reason"


def test_damaged_and_unknown_lines_are_no_results() -> None:
    """The lines they might have been for are unfinished."""
    damaged = io.BytesIO(b'{"custom_id": "a", "resp\n[1]\nnonsense\n\n' + b'{"custom_id": 7}\n')
    assert one(damaged, file_of(right("b"))).failure.code == "unsound"
    assert one(file_of(right("b"))).failure.code == "unfinished"


@pytest.mark.parametrize("name", [b"\\q", b"\xff", b"\\ud8"])
def test_a_damaged_custom_id_belongs_to_no_input(name: bytes) -> None:
    """It cannot be decoded, which hides no other result."""
    damaged = io.BytesIO(b'{"custom_id": "' + name + b'"}\n')
    assert one(damaged, file_of(right("a"))).body == {"said": "a"}


def test_blank_lines_of_the_input_are_no_lines() -> None:
    """As the service sees it."""
    assert list(in_input_order(io.BytesIO(b"\n \n"), [])) == []


def test_invalid_lines_have_a_position() -> None:
    """A batch with such lines has failed; their readable parts are returned."""
    lines = io.BytesIO(
        b'{"custom_id": "a"}\nnonsense\n{"body": {}}\n{"custom_id": 7, "body": {}}\n'
    )
    found = list(in_input_order(lines, [file_of(right("a"))]))
    assert [(item.custom_id, item.input) for item in found] == [
        ("a", {"custom_id": "a"}),
        ("", {}),
        ("", {"body": {}}),
        ("7", {"custom_id": 7, "body": {}}),
    ]
    assert {item.failure.code for item in found} == {"invalid"}
