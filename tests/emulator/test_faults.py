"""Faults on demand, as a client meets them."""

import base64
import json
import socket
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import islice

import httpx
import numpy as np
import pytest

from voyage_rag.emulator import faults

BODY = {"input": ["one", "two", "three"], "model": "voyage-4", "output_dimension": 256}
KEY = "pa-of-nobody"
RERANK = {"query": "x", "documents": ["a", "b"], "model": "rerank-3"}


def test_faults_come_in_turn_and_then_end(emulate) -> None:
    """One for each request; None is a proper answer."""
    ask = emulate(faults=[faults.status(503), None, faults.status(429)])
    assert [ask("embeddings", BODY).status_code for _ in range(4)] == [503, 200, 429, 200]


def test_faults_by_chance_are_repeatable() -> None:
    """The seed decides which requests fail; the rate how many."""
    drawn = list(islice(faults.iterate_faults(faults.RandomFaults(0.3, seed=7)), 1000))
    assert drawn == list(islice(faults.iterate_faults(faults.RandomFaults(0.3, seed=7)), 1000))
    assert 250 < sum(fault is not None for fault in drawn) < 350
    assert drawn != list(islice(faults.iterate_faults(faults.RandomFaults(0.3, seed=8)), 1000))


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("form", ["json", "html", "empty"])
def test_any_status_in_any_form(ask_with, code: int, form: str) -> None:
    """JSON with a detail, a gateway's page, or nothing."""
    answer = ask_with(faults.status(code, form))("embeddings", BODY)
    assert answer.status_code == code
    assert "retry-after" not in answer.headers
    if form == "json":
        assert isinstance(answer.json()["detail"], str)
    else:
        assert answer.text.startswith("<html>" if form == "html" else "")
        assert bool(answer.text) == (form == "html")


@pytest.fixture
def ask_with(emulate):
    """An emulator whose next answers meet one fault each."""
    return lambda *wrong, **options: emulate(faults=wrong, **options)


def test_retry_after_names_seconds_or_a_date(ask_with) -> None:
    """On any status."""
    ask = ask_with(
        faults.status(429, retry_after=7), faults.status(503, retry_after=7, as_date=True)
    )
    assert ask("embeddings", BODY).headers["retry-after"] == "7"
    dated = ask("embeddings", BODY).headers
    wait = parsedate_to_datetime(dated["retry-after"]) - parsedate_to_datetime(dated["date"])
    assert 6 <= wait.total_seconds() <= 9


def test_a_redirect_names_another_host(ask_with) -> None:
    """Without following it, the client sees where to."""
    answer = ask_with(faults.redirect("http://elsewhere.test/v1/embeddings"))("embeddings", BODY)
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        "http://elsewhere.test/v1/embeddings",
    )


@pytest.mark.parametrize(
    ("fault", "indexes"),
    [(faults.REORDERED, [2, 1, 0]), (faults.MISSING, [0, 1]), (faults.DUPLICATED, [0, 1, 0])],
)
def test_items_can_be_reordered_lost_or_doubled(
    ask_with, fault: faults.Fault, indexes: list[int]
) -> None:
    """Out of order, lost, or twice."""
    data = ask_with(fault)("embeddings", BODY).json()["data"]
    assert [item["index"] for item in data] == indexes


def test_the_only_item_can_go_missing(ask_with) -> None:
    """An answer without any."""
    ask = ask_with(faults.MISSING, faults.NAN, faults.SHORT_VECTOR)
    assert ask("embeddings", BODY | {"input": "one"}).json()["data"] == []


def test_numbers_can_be_damaged_in_either_form(ask_with) -> None:
    """NaN among bytes, null among JSON numbers, and one number too few."""
    ask = ask_with(faults.NAN, faults.NAN, faults.SHORT_VECTOR, faults.WRONG_DTYPE)
    numbers = ask("embeddings", BODY).json()["data"][0]["embedding"]
    assert (numbers[0], len(numbers)) == (None, 256)
    encoded = BODY | {"encoding_format": "base64"}
    decoded = _decode(ask("embeddings", encoded))
    assert np.isnan(decoded[0])
    assert not np.isnan(decoded[1:]).any()
    assert len(_decode(ask("embeddings", encoded))) == 255
    assert len(_decode(ask("embeddings", encoded))) == 256 // 4


def _decode(answer: httpx.Response) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer.json()["data"][0]["embedding"]), "<f4")


@pytest.mark.parametrize(
    "fault", [faults.REORDERED, faults.MISSING, faults.DUPLICATED, faults.NAN, faults.SHORT_VECTOR,
              faults.WRONG_DTYPE]
)  # fmt: skip
def test_rankings_can_be_damaged_too(ask_with, fault: faults.Fault) -> None:
    """As far as the fault has a meaning there."""
    assert ask_with(fault)("rerank", RERANK).status_code == 200


def test_only_a_successful_response_is_damaged(ask_with) -> None:
    """A refused request stays refused."""
    assert ask_with(faults.MISSING)("embeddings", {}).status_code == 400


def test_a_dropped_connection_answers_nothing(ask_with) -> None:
    """The client learns that the server hung up, and the next request is answered."""
    ask = ask_with(faults.DROPPED)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        ask("embeddings", BODY)
    assert ask("embeddings", BODY).status_code == 200
    assert [request.status for request in ask.emulator.requests] == [None, 200]


@pytest.mark.parametrize("fault", [faults.CUT_OFF, faults.WRONG_LENGTH])
def test_a_body_can_end_too_soon(ask_with, fault: faults.Fault) -> None:
    """Before as many bytes as the header promised."""
    ask = ask_with(fault)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        ask("embeddings", BODY)
    assert ask("embeddings", BODY).status_code == 200


def test_a_length_can_be_too_small(ask_with) -> None:
    """The rest of the body remains unread."""
    ask = ask_with(faults.SHORT_LENGTH)
    answer = ask("embeddings", BODY)
    assert answer.headers["content-length"] == str(len(answer.content))
    with pytest.raises(ValueError, match=r"line 1 column"):
        answer.json()


def test_a_connection_can_close_after_its_answer(ask_with) -> None:
    """The answer is whole, and says nothing of it."""
    url = httpx.URL(ask_with(faults.CLOSED).emulator.url)
    body = json.dumps(BODY).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        connection.settimeout(10)
        answer = b"".join(iter(partial(connection.recv, 65_536), b""))
    reported, _, came = answer.partition(b"\r\n\r\n")
    assert reported.startswith(b"HTTP/1.1 200")
    assert b"connection:" not in reported.lower()
    assert len(json.loads(came)["data"]) == 3


def test_json_can_be_truncated(ask_with) -> None:
    """In an answer that is whole as HTTP."""
    answer = ask_with(faults.TRUNCATED)("embeddings", BODY)
    assert answer.headers["content-length"] == str(len(answer.content))
    with pytest.raises(ValueError, match=r"line 1 column"):
        answer.json()


@pytest.mark.parametrize("fault", [faults.SILENT, faults.STALLED])
def test_the_emulator_can_leave_a_request_unanswered(ask_with, fault: faults.Fault) -> None:
    """Until its timeout; the emulator then responds to others."""
    ask = ask_with(fault)
    with pytest.raises(httpx.ReadTimeout):
        ask("embeddings", BODY, timeout=0.05)
    assert ask("embeddings", BODY).status_code == 200


def test_a_slow_response_arrives_completely(ask_with) -> None:
    """In the requested number of pieces."""
    ask = ask_with(faults.trickled(0.0, 7))
    assert ask("embeddings", BODY).json() == ask("embeddings", BODY).json()


def test_requests_are_noted_with_what_went_wrong(ask_with) -> None:
    """So that a client's account of them can be checked."""
    wrong = [faults.status(429, retry_after=1), None, faults.status(503, "empty"), faults.NAN]
    ask = ask_with(*wrong)
    for _ in wrong:
        ask("embeddings", BODY)
    assert [request.fault for request in ask.emulator.requests] == wrong
    assert [fault and fault.name for fault in wrong] == [
        "429 json, Retry-After in seconds",
        None,
        "503 empty",
        "nan",
    ]
