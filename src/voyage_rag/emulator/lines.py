"""The lines of a batch's input file: what they may hold, and their answers.

Source: "Batch Inference" in Voyage's docs. A line is `{"custom_id": ..., "body": {...}}`; model and
options stand in the batch's `request_params` and hold for all lines. What the service says of a
line that is wrong, and whether it finds out before it starts, is not documented: the emulator fails
the whole batch while it validates, as OpenAI's engine does, whose shape this API has.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voyage_rag.emulator import contextual, embeddings, rerank, rules, tokens
from voyage_rag.emulator.answers import encode
from voyage_rag.emulator.rules import Arguments, Refusal
from voyage_rag.emulator.work import Endpoint, Payload

MOST_FAULTS = 100
"""Of a file, that its batch names."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the endpoints that a batch can be for."""

    endpoint: Endpoint
    inputs: tuple[str, ...]
    """What a line holds; everything else is for all lines together."""
    example: Arguments
    """A line that is right."""


KINDS = {
    kind.endpoint.path: kind
    for kind in (
        Kind(embeddings.ENDPOINT, ("input",), {"input": ["x"]}),
        Kind(contextual.ENDPOINT, ("inputs",), {"inputs": [["x"]]}),
        Kind(rerank.ENDPOINT, ("query", "documents"), {"query": "x", "documents": ["x"]}),
    )
}
"""By path. There is no batch of multimodal inputs."""


def check_params(kind: Kind, params: Arguments) -> None:
    """Refuse options that the endpoint would refuse."""
    if given := [name for name in kind.inputs if name in params]:
        rules.refuse_arguments([f"Argument '{name}' is not supported here" for name in given])
    arguments = rules.check_arguments(kind.example | params, kind.endpoint.arguments)
    kind.endpoint.prepare(arguments)


@dataclass(slots=True)
class Inspection:
    """What is known of an input file before any of its lines is worked on."""

    offsets: list[int] = field(default_factory=list)
    """Where each line begins."""
    inputs: int = 0
    """Texts, documents and queries. That these are meant by the documented limit, and not lines, is
    a guess on the strict side."""
    tokens: int = 0
    names: set[str] = field(default_factory=set)
    faults: list[Payload] = field(default_factory=list)
    """What is wrong with its lines, as the batch will name it."""


def inspect(path: Path, kind: Kind) -> Inspection:
    """Read an input file once."""
    found, offset = Inspection(), 0
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if raw.strip():
                found.offsets.append(offset)
                _inspect_line(raw, number, kind, found)
            offset += len(raw)
    if not found.offsets:
        found.faults.append(make_fault("empty_file", "The input file is empty."))
    del found.faults[MOST_FAULTS:]
    return found


def _inspect_line(raw: bytes, number: int, kind: Kind, found: Inspection) -> None:
    line = rules.parse(raw)
    if not isinstance(line, dict):
        found.faults.append(make_fault("invalid_json_line", "This line is not valid JSON.", number))
        return
    name, body = line.get("custom_id"), line.get("body")
    if not isinstance(name, str) or not name:
        found.faults.append(
            make_fault("missing_custom_id", "A custom_id is due.", number, "custom_id")
        )
    elif name in found.names:
        message = f"The custom_id '{name}' is not unique."
        found.faults.append(make_fault("duplicate_custom_id", message, number, "custom_id"))
    else:
        found.names.add(name)
    if extra := sorted(line.keys() - {"custom_id", "body"}):
        message = f"Unknown parameter: '{extra[0]}'."
        found.faults.append(make_fault("unknown_parameter", message, number, extra[0]))
    if not isinstance(body, dict):
        found.faults.append(make_fault("missing_body", "A body is due.", number, "body"))
    elif extra := sorted(body.keys() - set(kind.inputs)):
        message = f"Parameter '{extra[0]}' belongs into request_params."
        found.faults.append(make_fault("invalid_parameter", message, number, f"body.{extra[0]}"))
    else:
        _count(body, found)


def _count(body: Arguments, found: Inspection) -> None:
    """Add what a body holds, whatever its shape; what is wrong with it is for its answer."""
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


def make_fault(
    code: str, message: str, line: int | None = None, param: str | None = None
) -> Payload:
    """Return one of a batch's `errors`. Codes and messages are guesses."""
    return {"code": code, "line": line, "message": message, "param": param}


def answer(
    batch_id: str, raw: bytes, kind: Kind, params: Arguments, failing: Collection[str]
) -> tuple[bytes, bool]:
    """Work on a line.

    Args:
        batch_id: Its batch.
        raw: The line.
        kind: The endpoint it is for.
        params: What holds for all lines.
        failing: The custom_ids of lines that the service fails at.

    Returns:
        A line of the output file and True, or of the error file and False.
    """
    line = json.loads(raw)
    shown = {"batch_id": batch_id, "custom_id": line["custom_id"]}
    if line["custom_id"] in failing:
        failed = {"status_code": 500, "message": "Internal Server Error"}
        return _write(shown | {"response": failed, "error": None}), False
    try:
        arguments = rules.check_arguments(line["body"] | params, kind.endpoint.arguments)
        kind.endpoint.check_together(arguments)
        work = kind.endpoint.prepare(arguments)
    except Refusal as refusal:
        failed = {"status_code": refusal.status, "message": refusal.body["detail"]}
        return _write(shown | {"response": failed, "error": None}), False
    response = {"status_code": 200, "body": work.produce()}
    done = encode(shown | {"response": response, "error": None}, as_base64=work.as_base64)
    return done + b"\n", True


def expire(batch_id: str, raw: bytes) -> bytes:
    """Return the error line of a line that was not reached in time."""
    error = {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    shown = {"batch_id": batch_id, "custom_id": json.loads(raw)["custom_id"]}
    return _write(shown | {"response": None, "error": error})


def _write(line: Payload) -> bytes:
    return encode(line, as_base64=False) + b"\n"
