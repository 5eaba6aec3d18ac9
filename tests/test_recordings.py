"""The client understands what the live service sent to other projects.

The recordings are reference data beside the repository, and no part of it.
"""

from __future__ import annotations

import json
from functools import cache
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fakes import KEY, FakeClock
from voyage_rag import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    QuotaExhaustedError,
    RateLimitError,
    Voyage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Runner

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings are not beside this checkout"
)

CLASSES: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    404: InvalidRequestError,
    405: InvalidRequestError,
    429: RateLimitError,
}


@cache
def lines_of(name: str) -> list[dict[str, Any]]:
    path = RECORDINGS / name
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


EXCHANGES = [exchange for exchange in lines_of("exchanges.jsonl") if exchange["status"] == 200]
REFUSALS = [exchange for exchange in lines_of("exchanges.jsonl") if exchange["status"] != 200]
ERRORS = lines_of("errors.jsonl")


class Replay:
    """A service that returns one recorded response to every request."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = status, headers, body

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, headers, body = self._answer
        return httpx.Response(status, headers=headers, content=body)

    def client(self, base_url: str = "https://api.voyageai.com/v1") -> Voyage:
        transport = httpx.MockTransport(self)
        return Voyage(
            KEY,
            base_url=base_url,
            max_retries=0,
            http_client=httpx.Client(transport=transport),
            async_http_client=httpx.AsyncClient(transport=transport),
            clock=FakeClock(),
        )


def replay_of(exchange: Mapping[str, Any]) -> Replay:
    body = exchange["response_body"].encode()
    headers = exchange["response_headers"] | {"content-length": str(len(body))}
    return Replay(exchange["status"], headers, body)


def asked_again(exchange: Mapping[str, Any], replay: Replay, runner: Runner) -> Any:
    """Make the recorded call with our client."""
    request = dict(exchange["request"])
    request.pop("encoding_format", None)
    base_url, verb = exchange["url"].rsplit("/", 1)
    voyage = replay.client(base_url)
    if verb == "rerank":
        return runner.call(voyage, "rerank", **request)
    return runner.call(voyage, "embed", request.pop("input"), **request)


def named(value: object) -> str:
    return str(value["file"]) if isinstance(value, dict) and "file" in value else ""


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_a_recorded_answer_is_decoded(exchange: dict[str, Any], runner: Runner) -> None:
    """One vector or rank per input, of the requested length, and the tokens in the response."""
    replay = replay_of(exchange)
    answer = asked_again(exchange, replay, runner)
    asked, said = exchange["request"], json.loads(exchange["response_body"])
    assert answer.total_tokens == said["usage"]["total_tokens"]
    assert answer.model == said["model"]
    assert str(replay.requests[0].url) == exchange["url"]
    if "documents" in asked:
        assert [(one.index, one.relevance_score) for one in answer.results] == [
            (one["index"], one["relevance_score"]) for one in said["data"]
        ]
        assert all(one.document == asked["documents"][one.index] for one in answer.results)
        return
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    assert len(answer.embeddings) == len(texts)
    length = asked.get("output_dimension") or {"voyage-3-lite": 512}.get(asked["model"], 1024)
    for vector in answer.embeddings:
        assert len(vector) == length
        assert sqrt(sum(number * number for number in vector)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=named)
def test_the_client_asks_for_what_was_asked(exchange: dict[str, Any], runner: Runner) -> None:
    """Our request has the fields of the recorded one, except where it relied on defaults."""
    replay = replay_of(exchange)
    asked_again(exchange, replay, runner)
    sent = json.loads(replay.requests[0].content)
    recorded = {name: value for name, value in exchange["request"].items() if value is not None}
    if isinstance(recorded.get("input"), str):
        recorded["input"] = [recorded["input"]]
    assert recorded.items() <= sent.items()
    defaults = {"truncation": True, "encoding_format": "base64"}
    assert {name: sent[name] for name in sent.keys() - recorded.keys()}.items() <= defaults.items()


@pytest.mark.parametrize("exchange", REFUSALS, ids=named)
def test_a_recorded_error_is_raised(exchange: dict[str, Any], runner: Runner) -> None:
    """The error has the class of its status and the service's words."""
    with pytest.raises(CLASSES[exchange["status"]]) as caught:
        asked_again(exchange, replay_of(exchange), runner)
    assert json.loads(exchange["response_body"])["detail"] in caught.value.message
    assert caught.value.http_status == exchange["status"]
    assert caught.value.model == exchange["request"]["model"]


def detail_in(error: Mapping[str, Any]) -> tuple[bytes, str]:
    """The body of a quoted error, and what it says."""
    for name in ("body", "body_prefix"):
        if name in error:
            return json.dumps(error[name]).encode(), error[name]["detail"]
    return json.dumps({"detail": error["body_contains"]}).encode(), error["body_contains"]


@pytest.mark.parametrize("verb", ["embed", "rerank"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error["status"]))
def test_every_known_error_has_its_class(error: dict[str, Any], verb: str, runner: Runner) -> None:
    """None of the 22 known error bodies is misread, on any endpoint, for one input or for two."""
    body, detail = detail_in(error)
    for texts in (["one"], ["one", "two"]):
        replay = Replay(error["status"], {"content-type": "application/json"}, body)
        arguments = (texts, "voyage-4") if verb == "embed" else ("which?", texts, "rerank-3")
        with pytest.raises(CLASSES[error["status"]]) as caught:
            runner.call(replay.client(), verb, *arguments)
        assert caught.value.http_status == error["status"]
        assert caught.value.message.startswith(detail[:500])
        assert not isinstance(caught.value, QuotaExhaustedError)
        splits = "max allowed tokens per submitted batch" in detail and len(texts) == 2
        assert (len(replay.requests) > 1) is splits


def test_there_is_something_to_read() -> None:
    """The files hold what their README promises."""
    assert len(EXCHANGES) + len(REFUSALS) == 14
    assert len(ERRORS) == 22
