"""The emulator against what the live service really sent.

Reads recordings that are kept beside the repository, not in it; without them these tests skip.
Every recorded request is asked again; status, headers, keys and their order, counts, vector length
and length of vectors, forms of numbers and wordings must agree. Numbers inside vectors and scores
cannot. Usage is compared exactly for embeddings, and within two tokens for rerank, whose usage is
below the documented arithmetic.

Two things differ on purpose. Items end with `"text": null` since April 2026, after these recordings
were made: the emulator answers as the service does now. And today's answers to too large a batch
carry an `error_code` that older ones lack.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"


def _read(name: str) -> list[dict[str, Any]]:
    path = RECORDINGS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _cases(name: str) -> list[Any]:
    absent = pytest.mark.skip(reason=f"no recordings at {RECORDINGS / name}")
    lines = _read(name)
    return [
        pytest.param(line, id=f"{number}-{line['status']}") for number, line in enumerate(lines)
    ] or [pytest.param({}, marks=absent)]


def _keys(value: Any) -> Any:
    """Return the keys of a JSON value in order, without the `text` of an item."""
    if isinstance(value, dict):
        return [(key, _keys(inner)) for key, inner in value.items() if key != "text"]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_keys(item) for item in value]
    return type(value).__name__


def _sorted_keys(value: Any) -> Any:
    return _keys(json.loads(json.dumps(value, sort_keys=True)))


def _vector(embedding: Any) -> np.ndarray:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4")
    return np.array(embedding)


def _number_form(text: str) -> str:
    return re.sub(r"\d[\d,]*", "N", text)


@pytest.mark.parametrize("recorded", _cases("exchanges.jsonl"))
def test_a_recorded_request_is_answered_alike(emulate, recorded: dict[str, Any]) -> None:
    """Status, headers, keys, counts, lengths and forms of numbers."""
    theirs = recorded["response_headers"]
    ask = emulate(free_tier=bool(theirs.get("x-api-warning")))
    answer = ask(recorded["url"].partition("/v1/")[2], recorded["request"])
    assert answer.status_code == recorded["status"]
    for name in ("alt-svc", "content-type", "server", "via", "x-api-warning"):
        if name in theirs:
            assert answer.headers[name] == theirs[name]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["content-length"] == str(len(answer.content))
    assert not {"content-encoding", "transfer-encoding", "retry-after"} & answer.headers.keys()

    ours, body = answer.json(), json.loads(recorded["response_body"])
    keys = _sorted_keys if recorded["reserialised"] else _keys
    assert keys(ours) == keys(body)
    if recorded["status"] != 200:
        assert ours == body
        return
    assert ours["model"] == body["model"]
    assert b": " not in answer.content.replace(recorded["url"].encode(), b"")
    if "rerank" in recorded["url"]:
        _compare_ranking(recorded["request"], ours, body)
    else:
        _compare_vectors(ours, body)
        assert ours["usage"] == body["usage"]


def _compare_vectors(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for mine, yours in zip(ours["data"], theirs["data"], strict=True):
        assert mine["index"] == yours["index"]
        assert mine["text"] is None
        assert type(mine["embedding"]) is type(yours["embedding"])
        one, two = _vector(mine["embedding"]), _vector(yours["embedding"])
        assert len(one) == len(two)
        for vector in (one, two):
            assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def _compare_ranking(request: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for ranking in (ours, theirs):
        scores = [item["relevance_score"] for item in ranking["data"]]
        assert scores == sorted(scores, reverse=True)
        assert np.all(np.array(scores, np.float32).view(np.uint32) % 2**16 == 0)  # bfloat16
    assert ours["data"][0]["index"] == theirs["data"][0]["index"]
    assert len(ours["data"]) == len(theirs["data"]) == request["top_k"]
    assert abs(ours["usage"]["total_tokens"] - theirs["usage"]["total_tokens"]) <= 2


@pytest.mark.parametrize("recorded", _cases("exchanges.jsonl"))
def test_numbers_are_written_alike(ask, recorded: dict[str, Any]) -> None:
    """At most nine decimals, exponents as `e-6`: recorded numbers, and ours."""
    answer = ask(recorded["url"].partition("/v1/")[2], recorded["request"])
    form = re.compile(r"-?(0\.\d{1,9}|\d\.\d{1,3}e-[6-9]|\de-[6-9]|1\.0|0\.0)")
    for text in (answer.text, recorded["response_body"]):
        for vector in re.findall(r'"embedding":\[([^\]]+)\]', text):
            for number in vector.split(","):
                assert form.fullmatch(number), number


WORDS = "word " * 40_000
TEXTS = {"input": "x", "model": "voyage-4"}

PROVOCATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("Model nonexistent", "embeddings", TEXTS | {"model": "nonexistent"}),
    (
        "'voyage-3-lite' failed. The example",
        "embeddings",
        {"input": WORDS, "model": "voyage-3-lite", "truncation": False},
    ),
    *(
        (f"'{model}' failed. The max allowed", "embeddings", {"input": [WORDS] * 8, "model": model})
        for model in ("voyage-4-large", "voyage-code-3", "voyage-large-2-instruct")
    ),
    (
        "'rerank-2.5' failed",
        "rerank",
        {"query": WORDS, "documents": ["x"] * 100, "model": "rerank-2.5"},
    ),
    (
        "'voyage-context-4' failed. The example",
        "contextualizedembeddings",
        {"inputs": [["x"]] * 17 + [[WORDS]], "model": "voyage-context-4"},
    ),
    (
        "'voyage-context-4' failed. The max allowed",
        "contextualizedembeddings",
        {"inputs": [["word " * 30_000]] * 5, "model": "voyage-context-4"},
    ),
    (
        "Model voyage-3 is",
        "multimodalembeddings",
        {"inputs": [{"content": [{"type": "text", "text": "x"}]}], "model": "voyage-3"},
    ),
    ("The batch size limit", "embeddings", TEXTS | {"input": ["x"] * 3663}),
    ("empty strings or empty lists", "embeddings", TEXTS | {"input": ["x", ""]}),
    ("'passage'", "embeddings", TEXTS | {"input_type": "passage"}),
    ("'float'", "embeddings", TEXTS | {"encoding_format": "float"}),
    (
        "'instruction'",
        "rerank",
        {"query": "x", "documents": ["x"], "model": "rerank-3", "instruction": "x"},
    ),
    ("API key is invalid", "embeddings", TEXTS),
    ("Unauthorized", "embeddings", TEXTS),
    ("Not Found", "models", {}),
]
KEYS = {"API key is invalid": "pa-invalid", "Unauthorized": None}


@pytest.mark.parametrize("recorded", _cases("errors.jsonl"))
def test_a_quoted_error_can_be_provoked(ask, emulate, recorded: dict[str, Any]) -> None:
    """With the same status and, numbers aside, the same words."""
    quoted = recorded.get("body") or recorded.get("body_prefix") or {}
    detail = str(quoted.get("detail") or recorded["body_contains"])
    if detail == "Method Not Allowed":
        answer = ask.client.get(f"{ask.emulator.url}/embeddings")
    elif recorded["status"] == 429:
        limited = emulate(free_tier=True, requests_per_minute=1)
        limited("embeddings", TEXTS)
        answer = limited("embeddings", TEXTS)
        # Three wordings were seen over the years; what they begin with is what they share.
        detail = detail.partition(" To unlock")[0].partition("  Please")[0]
        quoted = {}
    else:
        mark, path, body = next(case for case in PROVOCATIONS if case[0] in detail)
        answer = ask(path, body, **({"key": KEYS[mark]} if mark in KEYS else {}))
    assert answer.status_code == recorded["status"]
    if "body" in recorded and quoted:
        assert _number_form(answer.json()["detail"]) == _number_form(detail)
        assert (
            answer.json().get("error_code") == quoted.get("error_code")
            or "error_code" not in quoted
        )
    elif recorded["status"] == 429:
        assert answer.json()["detail"].startswith(detail)
        assert "retry-after" not in answer.headers
    else:
        assert "encoding_format" in answer.json()["detail"]
