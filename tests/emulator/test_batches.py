"""The life of a batch on /v1/batches, on a clock that needs no waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from emulated import GOOD_LINES, PARAMS, Account
from fakes import FakeClock
from voyage_rag.emulator.batches import WINDOW_SECONDS

if TYPE_CHECKING:
    from emulator.conftest import Asking

LIFE = {"batch_validating": 10, "batch_running": 100, "batch_ending": 10}


@pytest.fixture
def account(emulate: Callable[..., Asking], clock: FakeClock) -> Account:
    return Account(emulate(clock=clock.now, **LIFE))


def later(account: Account, clock: FakeClock, batch: dict[str, Any], seconds: float) -> Any:
    """The batch, after so many seconds."""
    clock.advance(seconds)
    return account.get(f"batches/{batch['id']}")


def counts(total: int, completed: int, failed: int) -> dict[str, int]:
    return {"total": total, "completed": completed, "failed": failed}


def test_a_batch_goes_through_its_states(account: Account, clock: FakeClock) -> None:
    """Validating, in progress with rising counts, finalizing, completed; each at its time."""
    batch = account.create(metadata={"a": "b"})
    assert set(batch) == {
        "id", "object", "endpoint", "model", "status", "input_file_id", "output_file_id",
        "error_file_id", "completion_window", "request_counts", "errors", "metadata",
        "created_at", "in_progress_at", "finalizing_at", "completed_at", "failed_at",
        "expected_completion_at", "cancelling_at", "cancelled_at",
    }  # fmt: skip
    assert (batch["status"], batch["request_counts"]) == ("validating", counts(0, 0, 0))
    assert (batch["object"], batch["model"], batch["metadata"]) == ("batch", "voyage-4", {"a": "b"})
    half = later(account, clock, batch, 60)
    assert (half["status"], half["request_counts"]) == ("in_progress", counts(10, 5, 0))
    almost = later(account, clock, batch, 50)
    assert (almost["status"], almost["request_counts"]) == ("finalizing", counts(10, 10, 0))
    assert almost["output_file_id"] is None
    done = later(account, clock, batch, 10)
    assert (done["status"], done["request_counts"]) == ("completed", counts(10, 10, 0))
    moments = [done[f"{state}_at"] for state in ("created", "in_progress", "finalizing")]
    assert sorted([*moments, done["completed_at"]]) == [*moments, done["completed_at"]]
    assert (done["error_file_id"], done["errors"], done["failed_at"]) == (None, None, None)


def test_the_output_holds_each_line_once_and_in_another_order(
    account: Account, clock: FakeClock
) -> None:
    """With the answer that the endpoint itself gives."""
    batch = account.create()
    done = later(account, clock, batch, 120)
    lines = account.lines(done["output_file_id"])
    names = [line["custom_id"] for line in lines]
    assert sorted(names) == sorted(line["custom_id"] for line in GOOD_LINES)
    assert names != [line["custom_id"] for line in GOOD_LINES]
    assert all(set(line) == {"batch_id", "custom_id", "response", "error"} for line in lines)
    assert {line["batch_id"] for line in lines} == {batch["id"]}
    bodies = {line["custom_id"]: line["body"] for line in GOOD_LINES}
    for line in lines:
        asked = account.post("embeddings", bodies[line["custom_id"]] | PARAMS)
        assert (line["response"], line["error"]) == ({"status_code": 200, "body": asked}, None)
    assert account.get(f"files/{done['output_file_id']}")["purpose"] == "batch-output"


def test_base64_is_for_batches_too(account: Account, clock: FakeClock) -> None:
    """Where it is among the options. That the service does so is a guess."""
    batch = account.create(request_params=PARAMS | {"encoding_format": "base64"})
    done = later(account, clock, batch, 120)
    body = account.lines(done["output_file_id"])[0]["response"]["body"]
    assert isinstance(body["data"][0]["embedding"], str)


def test_the_three_endpoints(account: Account, clock: FakeClock) -> None:
    """Each answers as it does at once; there is no fourth."""
    asked = {
        "/v1/contextualizedembeddings": (
            {"inputs": [["one fish", "two fish"]]},
            {"model": "voyage-context-4", "input_type": "document"},
        ),
        "/v1/rerank": (
            {"query": "one fish", "documents": ["two fish", "one fish"]},
            {"model": "rerank-3", "top_k": 1},
        ),
    }
    for path, (body, params) in asked.items():
        line = {"custom_id": "a", "body": body}
        batch = account.create([line], endpoint=path, request_params=params)
        done = later(account, clock, batch, 120)
        (answer,) = account.lines(done["output_file_id"])
        expected = account.post(path.removeprefix("/v1/"), body | params)
        assert answer["response"]["body"] == expected
    refused = account.ask_for("POST", "batches", json=account.order(endpoint="/v1/fun"))
    assert "'endpoint'" in refused.json()["detail"]


def test_lines_that_fail_are_in_the_error_file(
    emulate: Callable[..., Asking], clock: FakeClock
) -> None:
    """Refused for what they are, or failed at by the service, once."""
    account = Account(emulate(clock=clock.now, failing_lines=["line 3"], **LIFE))
    long = {"custom_id": "long", "body": {"input": ["word " * 5_000]}}
    wrong = {"custom_id": "wrong", "body": {"input": [""]}}
    params = {"model": "voyage-2", "truncation": False}
    order = {"lines": [*GOOD_LINES[:4], long, wrong], "request_params": params}
    done = later(account, clock, account.create(**order), 120)
    assert (done["status"], done["request_counts"]) == ("completed", counts(6, 3, 3))
    failed = {line["custom_id"]: line["response"] for line in account.lines(done["error_file_id"])}
    assert {name: answer["status_code"] for name, answer in failed.items()} == {
        "line 3": 500, "long": 400, "wrong": 400,
    }  # fmt: skip
    assert "context window of 4000" in failed["long"]["message"]
    assert account.get(f"files/{done['error_file_id']}")["purpose"] == "batch-error"
    again = later(account, clock, account.create(**order), 120)
    assert again["request_counts"] == counts(6, 4, 2)


def test_a_batch_expires(emulate: Callable[..., Asking], clock: FakeClock) -> None:
    """What is done stays; what is not is in the error file."""
    account = Account(emulate(clock=clock.now, **LIFE | {"batch_running": 2 * WINDOW_SECONDS}))
    batch = account.create()
    assert later(account, clock, batch, WINDOW_SECONDS - 1)["status"] == "in_progress"
    assert later(account, clock, batch, 1)["status"] == "finalizing"
    done = later(account, clock, batch, 10)
    assert done["status"] == "completed"
    assert len(account.lines(done["output_file_id"])) == 4
    expired = account.lines(done["error_file_id"])
    assert len(expired) == 6
    assert {line["error"]["code"] for line in expired} == {"batch_expired"}
    assert {line["response"] for line in expired} == {None}


def test_time_can_be_sped_up(emulate: Callable[..., Asking], clock: FakeClock) -> None:
    """A life of two minutes passes in a hundredth of it."""
    account = Account(emulate(clock=clock.now, batch_speed=100, **LIFE))
    assert later(account, clock, account.create(), 1.2)["status"] == "completed"


def test_cancelling_keeps_what_is_done(account: Account, clock: FakeClock) -> None:
    """In the output file; the rest is nowhere."""
    batch = account.create()
    clock.advance(60)
    cancelling = account.post(f"batches/{batch['id']}/cancel")
    assert cancelling["status"] == "cancelling"
    done = later(account, clock, batch, 10)
    assert (done["status"], done["request_counts"]) == ("cancelled", counts(10, 5, 0))
    assert len(account.lines(done["output_file_id"])) == 5
    assert done["error_file_id"] is None


def test_cancelling_before_it_begins_leaves_nothing(account: Account, clock: FakeClock) -> None:
    """No file at all."""
    batch = account.create()
    account.post(f"batches/{batch['id']}/cancel")
    done = later(account, clock, batch, 10)
    assert (done["status"], done["output_file_id"]) == ("cancelled", None)


def test_what_is_over_cannot_be_cancelled(account: Account, clock: FakeClock) -> None:
    """Nor what is being finalised, or unknown."""
    batch = account.create()
    for seconds in (110, 10):
        clock.advance(seconds)
        answer = account.ask_for("POST", f"batches/{batch['id']}/cancel")
        assert answer.status_code == 400
    assert account.ask_for("POST", "batches/none/cancel").status_code == 404


BODY = {"input": ["x"]}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["no", "object"], "invalid_json_line"),
        ({"body": BODY}, "missing_custom_id"),
        ({"custom_id": "", "body": BODY}, "missing_custom_id"),
        ({"custom_id": 7, "body": BODY}, "missing_custom_id"),
        ({"custom_id": "line 0", "body": BODY}, "duplicate_custom_id"),
        ({"custom_id": "a"}, "missing_body"),
        ({"custom_id": "a", "body": BODY, "method": "POST"}, "unknown_parameter"),
        ({"custom_id": "a", "body": BODY | {"model": "voyage-4"}}, "invalid_parameter"),
    ],
)
def test_a_bad_line_fails_the_batch(
    account: Account, clock: FakeClock, line: object, code: str
) -> None:
    """While it is validated; the line is named, and nothing is done."""
    batch = account.create([*GOOD_LINES, line])
    assert batch["status"] == "validating"
    failed = later(account, clock, batch, 10)
    assert (failed["status"], failed["output_file_id"]) == ("failed", None)
    (fault,) = failed["errors"]["data"]
    assert (fault["code"], fault["line"]) == (code, 11)
    assert failed["failed_at"]


def test_a_file_without_lines_fails_the_batch(account: Account, clock: FakeClock) -> None:
    """There is nothing to do."""
    failed = later(account, clock, account.create([]), 10)
    assert [fault["code"] for fault in failed["errors"]["data"]] == ["empty_file"]


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        ({"completion_window": "24h"}, "'completion_window'"),
        ({"request_params": {}}, "'request_params'"),
        ({"request_params": {"model": "voyage-of-nobody"}}, "is not supported"),
        ({"request_params": PARAMS | {"output_dimension": 3}}, "'output_dimension'"),
        ({"request_params": PARAMS | {"input": ["x"]}}, "'input'"),
        ({"request_params": PARAMS | {"fun": 1}}, "'fun'"),
        ({"metadata": {str(n): "" for n in range(17)}}, "'metadata'"),
        ({"metadata": {"k" * 65: ""}}, "'metadata'"),
        ({"metadata": {"k": "v" * 513}}, "'metadata'"),
        ({"metadata": {"k": 1}}, "'metadata'"),
        ({"fun": 1}, "'fun'"),
    ],
)
def test_a_batch_with_bad_arguments_is_refused(
    account: Account, changed: dict[str, Any], mark: str
) -> None:
    """At once, by the argument's name; there is no batch."""
    answer = account.ask_for("POST", "batches", json=account.order(**changed))
    assert answer.status_code == 400
    assert mark in answer.json()["detail"]
    assert account.get("batches")["data"] == []


def test_an_unknown_file_is_refused_as_recorded(account: Account) -> None:
    """With a 404 and these words."""
    order = account.order() | {"input_file_id": "file-of-nobody"}
    answer = account.ask_for("POST", "batches", json=order)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Input file not found"})


def test_the_input_is_a_file_for_batches(account: Account, clock: FakeClock) -> None:
    """Not one that there is not, and no batch's output."""
    assert account.ask_for(
        "POST", "batches", json=account.order(input_file_id="none")
    ).status_code == 404  # fmt: skip
    done = later(account, clock, account.create(), 120)
    order = account.order(input_file_id=done["output_file_id"])
    assert account.ask_for("POST", "batches", json=order).status_code == 400


def test_the_input_may_be_deleted_while_it_is_worked_on(account: Account, clock: FakeClock) -> None:
    """The batch has its own. That the service does so is a guess."""
    batch = account.create()
    account.ask_for("DELETE", f"files/{batch['input_file_id']}")
    done = later(account, clock, batch, 120)
    assert done["request_counts"] == counts(10, 10, 0)


def test_batches_are_listed_in_pages(account: Account) -> None:
    """Newest first; a key sees its own."""
    ids = [account.create()["id"] for _ in range(3)]
    page = account.get("batches", limit=2)
    assert ([batch["id"] for batch in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    rest = account.get("batches", after=page["last_id"])
    assert ([batch["id"] for batch in rest["data"]], rest["has_more"]) == (ids[:1], False)
    assert account.ask_for("GET", "batches", params={"limit": 101}).status_code == 400
    other = Account(account.asking, "pa-of-somebody")
    assert other.get("batches")["data"] == []
    assert other.ask_for("GET", f"batches/{ids[0]}").status_code == 404


def test_limits_of_inputs_of_a_batch(emulate: Callable[..., Asking], clock: FakeClock) -> None:
    """Texts are counted, not lines: the strict reading of the documentation."""
    account = Account(emulate(clock=clock.now, batch_inputs=10, **LIFE))
    assert later(account, clock, account.create(), 120)["status"] == "completed"
    two = {"custom_id": "two", "body": {"input": ["a", "b"]}}
    failed = later(account, clock, account.create([*GOOD_LINES[:9], two]), 120)
    assert [fault["code"] for fault in failed["errors"]["data"]] == ["too_many_inputs"]


@pytest.mark.parametrize("limit", [{"batches_in_flight": 1}, {"batch_tokens_in_flight": 40}])
def test_limits_of_what_is_in_flight(
    emulate: Callable[..., Asking], clock: FakeClock, limit: dict[str, int]
) -> None:
    """A 429, per key, until something has ended."""
    account = Account(emulate(clock=clock.now, **LIFE, **limit))
    first = account.create()
    refused = account.ask_for("POST", "batches", json=account.order())
    assert refused.status_code == 429
    assert Account(account.asking, "pa-of-somebody").create()["status"] == "validating"
    assert later(account, clock, first, 120)["status"] == "completed"
    assert account.create()["status"] == "validating"
