"""What /v1/files takes, lists, gives back and forgets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from emulated import GOOD_LINES, Account, lines_of
from fakes import FakeClock
from voyage_rag.emulator import faults
from voyage_rag.emulator.file_storage import LIFETIME_SECONDS

if TYPE_CHECKING:
    from emulator.conftest import Asking


@pytest.fixture
def account(emulate: Callable[..., Asking]) -> Account:
    return Account(emulate())


def test_a_file_is_described_and_given_back(account: Account) -> None:
    """All fields of the reference, times in RFC 3339, the very bytes."""
    content = b'{"custom_id": "a", "body": {"input": ["x"]}}\n'
    file = account.upload(content, "mine.jsonl")
    assert set(file) == {
        "id", "object", "bytes", "created_at", "expires_at", "filename", "purpose",
    }  # fmt: skip
    assert (file["object"], file["purpose"]) == ("file", "batch")
    assert (file["bytes"], file["filename"]) == (len(content), "mine.jsonl")
    assert file["created_at"].endswith("Z")
    assert account.get(f"files/{file['id']}") == file
    answer = account.ask_for("GET", f"files/{file['id']}/content")
    assert answer.content == content
    assert "x-voyage-emulator" in answer.headers


def test_files_are_listed_in_pages(account: Account) -> None:
    """Newest first, or oldest, after one of them, of one purpose."""
    ids = [account.upload(b"x")["id"] for _ in range(3)]
    page = account.get("files", limit=2)
    assert [file["id"] for file in page["data"]] == [ids[2], ids[1]]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[2], ids[1], True)
    rest = account.get("files", limit=2, after=page["last_id"])
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    assert [file["id"] for file in account.get("files", order="asc")["data"]] == ids
    assert account.get("files", purpose="batch-output")["data"] == []


def test_deleting_is_for_one_or_for_all_of_several(account: Account) -> None:
    """A list with an unknown id deletes nothing."""
    first, second, third = (account.upload(b"x")["id"] for _ in range(3))
    gone = account.ask_for("DELETE", f"files/{first}").json()
    assert gone == {"id": first, "object": "file", "deleted": True}
    refused = account.post("files/delete", {"file_ids": [second, first]})
    assert refused == {"success": False, "error_file_ids": [first]}
    assert account.post("files/delete", {"file_ids": [second, third]}) == {"success": True}
    assert account.get("files")["data"] == []


def test_a_file_belongs_to_its_key(account: Account) -> None:
    """Another one does not see it."""
    file = account.upload(b"x")
    other = Account(account.asking, "pa-of-somebody")
    assert other.get("files")["data"] == []
    assert other.ask_for("GET", f"files/{file['id']}").status_code == 404
    assert other.ask_for("DELETE", f"files/{file['id']}").status_code == 404


def test_files_expire(emulate: Callable[..., Asking], clock: FakeClock) -> None:
    """After thirty days."""
    account = Account(emulate(clock=clock.now))
    file = account.upload(b"x")
    clock.advance(LIFETIME_SECONDS - 1)
    assert account.get(f"files/{file['id']}")["id"] == file["id"]
    clock.advance(1)
    assert account.ask_for("GET", f"files/{file['id']}").status_code == 404


@pytest.mark.parametrize(
    ("query", "argument"),
    [({"limit": 0}, "limit"), ({"limit": 10_001}, "limit"), ({"limit": "x"}, "limit"),
     ({"order": "up"}, "order"), ({"purpose": "fun"}, "purpose"), ({"page": 1}, "page")],
)  # fmt: skip
def test_a_bad_query_is_refused(account: Account, query: dict[str, Any], argument: str) -> None:
    """By the argument's name."""
    answer = account.ask_for("GET", "files", params=query)
    assert answer.status_code == 400
    assert f"'{argument}'" in answer.json()["detail"]


def test_an_upload_needs_its_parts_and_a_key(account: Account) -> None:
    """A file and the purpose batch; what is wrong is said before the key is looked at."""
    for form in ({"data": {"purpose": "batch"}}, {"json": {}}, {"content": b""}):
        answer = account.ask_for("POST", "files", **form)
        assert (answer.status_code, "'file'" in answer.json()["detail"]) == (400, True)
    wrong = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a", b"x")}}
    assert "'purpose'" in account.ask_for("POST", "files", **wrong).json()["detail"]
    right = {"data": {"purpose": "batch"}, "files": {"file": ("a", b"x")}}
    url = f"{account.asking.emulator.url}/files"
    assert account.asking.client.post(url, **right).status_code == 401
    assert account.asking.client.get(url).status_code == 401
    assert account.asking.client.put(url).status_code == 405


def test_a_file_may_be_too_large(emulate: Callable[..., Asking]) -> None:
    """If the emulator is configured so."""
    account = Account(emulate(file_bytes=10))
    account.upload(b"x" * 10)
    right = {"data": {"purpose": "batch"}, "files": {"file": ("a", b"x" * 11)}}
    assert account.ask_for("POST", "files", **right).status_code == 413


def test_what_was_asked_is_noted(account: Account) -> None:
    """An upload by its size, without the key."""
    account.upload(b"x" * 7, "mine.jsonl")
    (received,) = account.asking.emulator.requests
    assert (received.method, received.path, received.status) == ("POST", "/v1/files", 200)
    assert received.body == {"purpose": "batch", "file": {"filename": "mine.jsonl", "bytes": 7}}
    assert received.headers["authorization"] == "..."


def test_faults_are_for_files_too(emulate: Callable[..., Asking]) -> None:
    """An answer that is lost is the answer to something that was done."""
    account = Account(emulate(faults=[faults.DROPPED, faults.status(503), None, faults.CUT_OFF]))
    with pytest.raises(httpx.RemoteProtocolError):
        account.upload(lines_of(GOOD_LINES))
    assert account.ask_for("GET", "files").status_code == 503
    (file,) = account.get("files")["data"]
    with pytest.raises(httpx.RemoteProtocolError):
        account.ask_for("GET", f"files/{file['id']}/content")
    whole = account.ask_for("GET", f"files/{file['id']}/content")
    assert [json.loads(line) for line in whole.iter_lines()] == GOOD_LINES
