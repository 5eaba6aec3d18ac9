"""Batches are created once, looked up if a response is lost, and polled until they have ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes import FakeClock, FakeService, failed, ok, voyage_over
from voyage_rag import APIConnectionError, InvalidInputError, RateLimitError, ServerError, Timeout
from voyage_rag.core.jobs.batches import MARK, PollSchedule

PARAMS = {"model": "voyage-4", "input_type": "document", "output_dimension": 256}
LOST = [Timeout("late"), APIConnectionError("dropped"), failed(500), failed(504), ok("no object")]
EMPTY = ok({"data": [], "has_more": False})


def batch_with(**fields: Any) -> dict[str, Any]:
    return {"id": "b", "status": "validating", "input_file_id": "f"} | fields


def refused_connection() -> APIConnectionError:
    error = APIConnectionError("connection refused")
    error.never_sent = True
    return error


@pytest.mark.parametrize("lost", LOST, ids=lambda lost: str(lost)[:20])
def test_what_is_not_found_is_not_created_again(runner, clock: FakeClock, lost: Any) -> None:
    """It is looked up for a minute; then the error says that it is uncertain."""
    others = ok({"data": [batch_with(metadata={MARK: "another"}), batch_with(metadata=None)]})
    service = FakeService(lost, EMPTY, failed(503), others, always=lambda _: EMPTY)
    voyage = voyage_over(service, clock)
    with pytest.raises(APIConnectionError, match="it is unknown whether the batch was created"):
        runner.call(voyage.batches, "create", "/v1/embeddings", "f", PARAMS)
    assert [a.request.method for a in service.attempts].count("POST") == 1
    assert 60 <= sum(clock.sleeps) < 90


def test_a_batch_that_appears_late_is_found(runner, clock: FakeClock) -> None:
    """The list may be some seconds behind."""

    def appears(_: bytes) -> Any:
        mark = json.loads(service.attempts[0].request.body)["metadata"][MARK]
        return ok({"data": [batch_with(id="found", metadata={MARK: mark})]})

    service = FakeService(Timeout("late"), EMPTY, EMPTY, appears)
    voyage = voyage_over(service, clock)
    assert runner.call(voyage.batches, "create", "/v1/embeddings", "f", PARAMS).id == "found"


def test_a_failed_search_leaves_the_batch_uncertain(runner) -> None:
    """The error says both."""
    service = FakeService(Timeout("late"), always=lambda _: failed(401))
    with pytest.raises(APIConnectionError, match=r"unknown.*looking it up failed"):
        runner.call(voyage_over(service).batches, "create", "/v1/embeddings", "f", PARAMS)


def test_what_was_never_seen_is_sent_again(runner) -> None:
    """A refused connection and a 429 have created nothing."""
    service = FakeService(refused_connection(), failed(429), ok(batch_with()))
    batch = runner.call(voyage_over(service).batches, "create", "/v1/embeddings", "f", PARAMS)
    assert batch.id == "b"
    bodies = [attempt.request.body for attempt in service.attempts]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


@pytest.mark.parametrize("never", [refused_connection(), failed(429)], ids=["refused", "429"])
def test_what_is_never_seen_is_an_error_like_any_other(runner, never: Any) -> None:
    """There is nothing to look for."""
    service = FakeService(never, never)
    with pytest.raises((APIConnectionError, RateLimitError)):
        runner.call(
            voyage_over(service, max_retries=1).batches, "create", "/v1/embeddings", "f", PARAMS
        )
    assert len(service.attempts) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["/v1/fun", "f", PARAMS], "endpoint"),
        (["/v1/embeddings", "", PARAMS], "id of files"),
        (["/v1/embeddings", "f", {}], "request_params"),
        (["/v1/embeddings", "f", None], "request_params"),
        (["/v1/embeddings", "f", PARAMS, {str(n): "" for n in range(16)}], "more than 15"),
        (["/v1/embeddings", "f", PARAMS, {MARK: "x"}], "is reserved"),
        (["/v1/embeddings", "f", PARAMS, {"k": 1}], "metadata"),
        (["/v1/embeddings", "f", PARAMS, {"k" * 65: ""}], "metadata"),
    ],
)
def test_a_batch_with_bad_arguments_is_not_sent(runner, arguments: list[Any], named: str) -> None:
    """The argument is named."""
    service = FakeService()
    with pytest.raises(InvalidInputError, match=named):
        runner.call(voyage_over(service).batches, "create", *arguments)
    assert service.attempts == []


def test_waiting_for_a_batch_survives_an_outage(runner, clock: FakeClock) -> None:
    """Half an hour without an answer is no reason to stop watching for half a day."""
    ended = ok({"id": "b", "status": "completed", "input_file_id": "f"})
    service = FakeService(*[failed(503)] * 30, APIConnectionError("away"), ended)
    voyage = voyage_over(service, clock, max_retries=1)
    assert runner.call(voyage.batches, "wait", "b").status == "completed"
    gone = voyage_over(FakeService(always=lambda _: failed(503)), clock)
    with pytest.raises(ServerError):
        runner.call(gone.batches, "wait", "b")


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"timeout": "1"}, {"poll_interval": None}])
def test_waiting_refuses_what_is_no_time(runner, wrong: dict[str, Any]) -> None:
    """Before anything is sent."""
    service = FakeService()
    with pytest.raises(InvalidInputError, match="number of seconds"):
        runner.call(voyage_over(service).batches, "wait", "b", **wrong)
    assert service.attempts == []


def test_polls_become_rarer_and_end_with_the_timeout() -> None:
    """Two seconds at first, half as much again each time, at most the interval."""
    schedule = PollSchedule(timeout=None, interval=60)
    pauses = [schedule.pause(polls, 0) for polls in range(1, 12)]
    assert pauses[:3] == [2, 3, 4.5]
    assert pauses[-1] == 60
    assert schedule.pause(10_000, 0) == 60
    assert not schedule.is_over(1e9)
    ending = PollSchedule(timeout=10)
    assert ending.pause(5, 9) == 1
    assert ending.pause(5, 11) == 0
    assert [ending.is_over(9.9), ending.is_over(10)] == [False, True]
