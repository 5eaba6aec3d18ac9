"""Lines of a batch's input file: their checks, and their results.

Source: "Batch Inference" in Voyage's docs. A line is `{"custom_id": ..., "body": {...}}`; model and
options are in the batch's `request_params` and apply to all lines. It is not documented how and
when the service reports an invalid line. The emulator fails the whole batch during validation, like
OpenAI's API, whose format this API has.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voyage_rag.emulator import contextualized, embeddings, rerank
from voyage_rag.emulator.arguments import (
    ArgumentValues,
    EmulatedEndpoint,
    RejectedRequest,
    check_arguments,
    parse_json,
    reject_arguments,
)
from voyage_rag.emulator.responses import Payload, encode
from voyage_rag.emulator.tokens import EmulatedTokenizer

MAX_ERRORS = 100
"""Maximum number of errors that a batch reports."""


@dataclass(frozen=True, slots=True)
class BatchKind:
    """An endpoint that batches support.

    Attributes:
        inputs: Fields of a line; all others are common to all lines.
        example: The body of a valid line.
    """

    endpoint: EmulatedEndpoint
    inputs: tuple[str, ...]
    example: ArgumentValues


BATCH_KINDS = {
    kind.endpoint.path: kind
    for kind in (
        BatchKind(embeddings.ENDPOINT, ("input",), {"input": ["x"]}),
        BatchKind(contextualized.ENDPOINT, ("inputs",), {"inputs": [["x"]]}),
        BatchKind(rerank.ENDPOINT, ("query", "documents"), {"query": "x", "documents": ["x"]}),
    )
}
"""Endpoints by path. Batches do not support multimodal inputs."""


def check_params(kind: BatchKind, params: ArgumentValues, tokens: EmulatedTokenizer) -> None:
    """Reject options that the endpoint would reject."""
    if given := [name for name in kind.inputs if name in params]:
        reject_arguments([f"Argument '{name}' is not supported here" for name in given])
    arguments = check_arguments(kind.example | params, kind.endpoint.arguments)
    kind.endpoint.accept(arguments, tokens)


@dataclass(slots=True)
class InspectedFile:
    """The facts about an input file before its lines are processed.

    Attributes:
        offsets: Start of each line, in bytes.
        inputs: Number of texts, documents and queries. It is a guess that the documented limit
            refers to these and not to lines.
        names: Every custom_id.
        errors: The errors of its lines, in the format of the batch.
    """

    offsets: list[int] = field(default_factory=list)
    inputs: int = 0
    tokens: int = 0
    names: set[str] = field(default_factory=set)
    errors: list[Payload] = field(default_factory=list)

    def add_error(
        self, code: str, message: str, line: int | None = None, param: str | None = None
    ) -> None:
        """Add one of the batch's `errors`. Codes and messages are guesses."""
        if len(self.errors) < MAX_ERRORS:
            error = {"code": code, "line": line, "message": message, "param": param}
            self.errors.append(error)


def inspect(path: Path, kind: BatchKind, tokens: EmulatedTokenizer) -> InspectedFile:
    """Read an input file once."""
    found, offset = InspectedFile(), 0
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if raw.strip():
                found.offsets.append(offset)
                _inspect_line(raw, number, kind, found, tokens)
            offset += len(raw)
    if not found.offsets:
        found.add_error("empty_file", "The input file is empty.")
    return found


def _inspect_line(
    raw: bytes, number: int, kind: BatchKind, found: InspectedFile, tokens: EmulatedTokenizer
) -> None:
    line = parse_json(raw)
    if not isinstance(line, dict):
        found.add_error("invalid_json_line", "This line is not valid JSON.", number)
        return
    name, body = line.get("custom_id"), line.get("body")
    if not isinstance(name, str) or not name:
        found.add_error("missing_custom_id", "A custom_id is required.", number, "custom_id")
    elif name in found.names:
        message = f"The custom_id '{name}' is not unique."
        found.add_error("duplicate_custom_id", message, number, "custom_id")
    else:
        found.names.add(name)
    if extra := sorted(line.keys() - {"custom_id", "body"}):
        message = f"Unknown parameter: '{extra[0]}'."
        found.add_error("unknown_parameter", message, number, extra[0])
    if not isinstance(body, dict):
        found.add_error("missing_body", "A body is required.", number, "body")
    elif extra := sorted(body.keys() - set(kind.inputs)):
        message = f"Parameter '{extra[0]}' belongs in request_params."
        found.add_error("invalid_parameter", message, number, f"body.{extra[0]}")
    else:
        _count(body, found, tokens)


def _count(body: ArgumentValues, found: InspectedFile, tokens: EmulatedTokenizer) -> None:
    """Add the inputs and tokens of a body, which may be invalid."""
    texts = list(_strings([body.get("input"), body.get("inputs"), body.get("documents")]))
    query = body.get("query")
    if isinstance(query, str):
        found.inputs += 1
        found.tokens += tokens.count(query) * len(texts)
    else:
        listed = body.get("input") or body.get("inputs")
        found.inputs += len(listed) if isinstance(listed, list) else 1
    found.tokens += sum(map(tokens.count, texts))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def process_line(
    batch_id: str,
    raw: bytes,
    kind: BatchKind,
    params: ArgumentValues,
    tokens: EmulatedTokenizer,
    failing: Collection[str],
) -> tuple[bytes, bool]:
    """Process one line, which fails with a 500 if its custom_id is in `failing`.

    Returns:
        A line of the output file and True, or of the error file and False.
    """
    line = json.loads(raw)
    result: Payload = {"batch_id": batch_id, "custom_id": line["custom_id"]}
    if line["custom_id"] in failing:
        failed = {"status_code": 500, "message": "Internal Server Error"}
        return _write(result | {"response": failed, "error": None}), False
    try:
        arguments = check_arguments(line["body"] | params, kind.endpoint.arguments)
        kind.endpoint.check_together(arguments)
        accepted = kind.endpoint.accept(arguments, tokens)
    except RejectedRequest as rejected:
        failed = {"status_code": rejected.status, "message": rejected.body["detail"]}
        return _write(result | {"response": failed, "error": None}), False
    response = {"status_code": 200, "body": accepted.compute()}
    result |= {"response": response, "error": None}
    return _write(result, as_base64=accepted.as_base64), True


def expire_line(batch_id: str, raw: bytes) -> bytes:
    """Return the error line of a line that was not processed in time."""
    error = {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    custom_id = json.loads(raw)["custom_id"]
    return _write({"batch_id": batch_id, "custom_id": custom_id, "response": None, "error": error})


def _write(line: Payload, *, as_base64: bool = False) -> bytes:
    return encode(line, as_base64=as_base64) + b"\n"
