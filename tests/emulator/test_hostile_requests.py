"""Hostile requests: the emulator responds with a result or names the error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HALF = "\ud800"
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("embeddings", {"input": ["a"], "model": "voyage-4"}),
    ("contextualizedembeddings", {"inputs": [["a"]], "model": "voyage-context-4"}),
    (
        "multimodalembeddings",
        {"inputs": [{"content": [{"type": "text", "text": "a"}]}], "model": "voyage-multimodal-3"},
    ),
    ("rerank", {"query": "a", "documents": ["a"], "model": "rerank-3"}),
]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([HALF, "\0", "{}", "{0}", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_half_a_character_is_refused_by_its_place(ask, path: str, body: dict[str, Any]) -> None:
    """Escaped or in bytes, in a text, a name or a value; a whole one, in two escapes, is fine."""
    for bad in (
        json.dumps(body).replace('"a"', '"\\ud83d"'),
        json.dumps(body | {"model": HALF}),
        json.dumps(body | {HALF: 1}),
        json.dumps(body, ensure_ascii=False).replace('"a"', '"\udc00"'),
    ):
        raw = bad.encode("utf-8", "surrogatepass")
        place = raw.lower().find(b"\\ud") if b"\\ud" in raw.lower() else raw.find(b"\xed\xb0")
        assert f"'{place}': JSON decode error" in ask.detail(path, raw)
    whole = json.dumps(body).replace('"a"', '"\\ud83d\\ude00"').encode()
    assert ask(path, whole).status_code == 200


@pytest.mark.parametrize(
    "text", ["\0", "\u202eabc\u202c", "أبجد", "a" * 2_000_000, "👩‍👩‍👧‍👦" * 1_000]
)
@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_any_text_is_answered(ask, path: str, body: dict[str, Any], text: str) -> None:
    """NUL, right to left, very long, many code points to a character."""
    raw = json.dumps(body).replace('"a"', json.dumps(text)).encode()
    assert ask(path, raw).status_code in {200, 400}  # 400 where the model has no room for it


@pytest.mark.parametrize("path", [path for path, _ in REQUESTS])
def test_json_without_end_is_refused(ask, path: str) -> None:
    """Brackets beyond what Python's parser takes."""
    assert "JSON decode error" in ask.detail(path, b"[" * 200_000)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(REQUESTS), argument=st.text(max_size=8), value=json_values)
def test_any_argument_is_answered_or_named(
    ask, which: tuple[str, dict[str, Any]], argument: str, value: Any
) -> None:
    """A 200 or a 400 with a detail; never a 500."""
    path, body = which
    for name in (argument, *body, "input_type", "output_dtype", "top_k"):
        answer = ask(path, json.dumps(body | {name: value}).encode("utf-8", "surrogatepass"))
        assert answer.status_code in {200, 400}, answer.text[:300]
        assert answer.status_code == 200 or answer.json()["detail"]


@pytest.mark.parametrize("line", [b'{"custom_id":"\\ud800"}', b"[" * 200_000, b"\xed\xa0\x80"])
def test_a_batch_of_such_lines_is_refused_too(ask, line: bytes) -> None:
    """As lines that are no JSON, by their number; and so is an order for a batch."""
    url, headers = ask.emulator.url, {"authorization": "Bearer pa-of-nobody"}
    file = ask.client.post(
        f"{url}/files",
        files={"file": ("a.jsonl", line)},
        data={"purpose": "batch"},
        headers=headers,
    ).json()
    order = {"input_file_id": file["id"], "endpoint": "/v1/embeddings", "completion_window": "12h"}
    order |= {"request_params": {"model": "voyage-4"}}
    answer = ask.client.post(f"{url}/batches", json=order, headers=headers)
    assert answer.status_code == 200, answer.text
    refused = ask.client.post(f"{url}/batches", content=line, headers=headers)
    assert refused.status_code == 400
