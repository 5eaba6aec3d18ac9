"""Answers of a batch, put to the lines of its input, in their order.

The service gives answers in any order and numbers them by `custom_id`. Files are read line by line;
only where each answer begins is kept in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from voyage_rag.records import BatchLine, LineFailure

CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*("(?:[^"\\]|\\.)*")')
OK = 200
INVALID = "invalid"

Place = tuple[int, int]
"""Which file, and where its line begins."""


def in_input_order(lines: BinaryIO, answers: Sequence[BinaryIO]) -> Iterator[BatchLine]:
    """What became of each line of an input file.

    Args:
        lines: The input file.
        answers: Output and error files. Of several answers to a line a result counts before a
            failure, and a later one before an earlier one.
    """
    found: dict[str, list[Place]] = {}
    for number, file in enumerate(answers):
        for custom_id, place in _places(number, file):
            found.setdefault(custom_id, []).append(place)
    for raw in lines:
        if raw.strip():
            line = _parsed(raw)
            name, body = line.get("custom_id"), line.get("body")
            if isinstance(name, str) and isinstance(body, Mapping):
                yield _answered(name, body, found, answers)
            else:
                yield BatchLine(str(name or ""), line, failure=_invalid(line))


def _invalid(line: Mapping[str, Any]) -> LineFailure:
    return LineFailure("it is no line of a batch: custom_id and body are due", None, INVALID, line)


def _places(number: int, file: BinaryIO) -> Iterator[tuple[str, Place]]:
    offset = 0
    for raw in file:
        name = _name_of(raw)
        if name is not None:
            yield name, (number, offset)
        offset += len(raw)


def _name_of(raw: bytes) -> str | None:
    """The custom_id of an answer, without parsing its thousands of numbers where that can be."""
    named = CUSTOM_ID.findall(raw)
    if len(named) == 1:
        return str(json.loads(named[0]))
    answer = _parsed(raw)
    name = answer.get("custom_id")
    return name if isinstance(name, str) else None


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, Mapping) else {}


def _answered(
    name: str,
    body: Mapping[str, Any],
    found: Mapping[str, list[Place]],
    answers: Sequence[BinaryIO],
) -> BatchLine:
    failure: LineFailure | None = None
    for number, offset in reversed(found.get(name, ())):
        answers[number].seek(offset)
        answer = _parsed(answers[number].readline())
        line = _line_of(name, body, answer)
        if line.failure is None:
            return line
        failure = failure or line.failure
    unfinished = LineFailure("its batch ended without an answer to it", None, "unfinished", body)
    return BatchLine(name, body, failure=failure or unfinished)


def _line_of(name: str, body: Mapping[str, Any], answer: Mapping[str, Any]) -> BatchLine:
    """What one line of an output or error file says (docs: "Batch Inference", its examples)."""
    if answer.get("custom_id") != name:
        damaged = LineFailure("its answer is damaged", None, "unsound", body)
        return BatchLine(name, body, failure=damaged)
    response, error = answer.get("response"), answer.get("error")
    said = response if isinstance(response, Mapping) else {}
    fault = error if isinstance(error, Mapping) else {}
    status = said.get("status_code")
    status = status if type(status) is int else None
    result = said.get("body")
    if status == OK and isinstance(result, Mapping) and not fault:
        return BatchLine(name, body, result)
    code = fault.get("code")
    message = fault.get("message") or said.get("message") or "the line failed without a word why"
    failure = LineFailure(str(message), status, code if isinstance(code, str) else None, body)
    return BatchLine(name, body, failure=failure)
