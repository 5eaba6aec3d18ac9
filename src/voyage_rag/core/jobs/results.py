"""Results of a batch, assigned to the lines of its input, in the order of these lines.

The service writes results in any order and identifies them by `custom_id`. Files are read line by
line; only the offset of each result is kept in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from voyage_rag.records import BatchLine, LineFailure

CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*("(?:[^"\\]|\\.)*")')
OK = 200

FileOffset = tuple[int, int]
"""The number of a file, and the offset of a line in it."""


def in_input_order(lines: BinaryIO, results: Sequence[BinaryIO]) -> Iterator[BatchLine]:
    """Yield the result of each line of an input file.

    Args:
        lines: The input file.
        results: Output and error files. If a line has several results, success takes precedence
            over failure, and a later result over an earlier one.
    """
    offsets: dict[str, list[FileOffset]] = {}
    for number, file in enumerate(results):
        for custom_id, offset in _offsets(file):
            offsets.setdefault(custom_id, []).append((number, offset))
    for raw in lines:
        if raw.strip():
            line = _parsed(raw)
            name, body = line.get("custom_id"), line.get("body")
            if isinstance(name, str) and isinstance(body, Mapping):
                yield _best_result(name, body, offsets.get(name, ()), results)
            else:
                message = "this is not a line of a batch: custom_id or body is missing"
                yield BatchLine(
                    str(name or ""), line, failure=LineFailure(message, None, "invalid", line)
                )


def _offsets(file: BinaryIO) -> Iterator[tuple[str, int]]:
    offset = 0
    for raw in file:
        name = _custom_id(raw)
        if name is not None:
            yield name, offset
        offset += len(raw)


def _custom_id(raw: bytes) -> str | None:
    """Return the custom_id of a result, usually without parsing its thousands of numbers."""
    found = CUSTOM_ID.findall(raw)
    name = _decoded(found[0]) if len(found) == 1 else _parsed(raw).get("custom_id")
    return name if isinstance(name, str) else None


def _parsed(raw: bytes) -> Mapping[str, Any]:
    return _mapping(_decoded(raw))


def _decoded(raw: bytes) -> object:
    """Return the parsed JSON; None if it is damaged."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _best_result(
    name: str,
    body: Mapping[str, Any],
    offsets: Sequence[FileOffset],
    results: Sequence[BinaryIO],
) -> BatchLine:
    failure: LineFailure | None = None
    for number, offset in reversed(offsets):
        results[number].seek(offset)
        line = _result(name, body, _parsed(results[number].readline()))
        if line.failure is None:
            return line
        failure = failure or line.failure
    unfinished = LineFailure("its batch ended without a result for it", None, "unfinished", body)
    return BatchLine(name, body, failure=failure or unfinished)


def _result(name: str, body: Mapping[str, Any], parsed: Mapping[str, Any]) -> BatchLine:
    """Return a line of an output or error file (docs: "Batch Inference", its examples)."""
    if parsed.get("custom_id") != name:
        damaged = LineFailure("its result is damaged", None, "unsound", body)
        return BatchLine(name, body, failure=damaged)
    response, error = _mapping(parsed.get("response")), _mapping(parsed.get("error"))
    status = response.get("status_code")
    status = status if type(status) is int else None
    result = response.get("body")
    if status == OK and isinstance(result, Mapping) and not error:
        return BatchLine(name, body, result)
    code = error.get("code")
    message = error.get("message") or response.get("message") or "the line failed without a reason"
    failure = LineFailure(str(message), status, code if isinstance(code, str) else None, body)
    return BatchLine(name, body, failure=failure)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
