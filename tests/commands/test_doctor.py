"""`voyage-rag doctor`."""

import json

import pytest

from voyage_rag.cli import main
from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret-wxyz"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch, service: Emulator) -> None:
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)


def test_health_is_one_screen(
    key: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 lines of 80 columns on a terminal's width; four characters of the key."""
    monkeypatch.setattr("voyage_rag.commands.screen.PIPE_WIDTH", 80)
    assert main(["doctor"]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) <= 24
    assert max(map(len, out.splitlines())) <= 80
    assert "ends in ...wxyz, from VOYAGE_API_KEY" in out
    assert "VOYAGE_BASE_URL" in out
    assert KEY[:-4] not in out


def test_what_is_broken_says_what_to_do_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and a remedy below each broken line."""
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    assert main(["doctor", "--base-url", "http://127.0.0.1:9/v1"]) == 1

    lines = capsys.readouterr().out.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("broken")]
    assert "connect" in lines[at]
    assert lines[at + 1].strip().startswith("-> check base_url")


def test_a_paid_call_only_when_asked_for(
    key: None, service: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The price is printed before."""
    assert main(["doctor"]) == 0
    assert "less than $" in capsys.readouterr().out
    paid = [one for one in service.requests if one.path.endswith("/embeddings")]
    assert paid == []

    assert main(["doctor", "--call"]) == 0
    assert "embedded a word" in capsys.readouterr().out
    assert len([one for one in service.requests if one.path.endswith("/embeddings")]) == 1


def test_json_is_for_programs(
    key: None, service: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same findings, with their facts; the same exit code."""
    assert main(["doctor", "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["healthy"] is True
    by_name = {finding["name"]: finding for finding in reported["findings"]}
    assert by_name["key"]["facts"] == {"source": "VOYAGE_API_KEY", "last_four": "wxyz"}
    assert KEY not in json.dumps(reported)

    assert main(["doctor", "--json", "--base-url", "http://127.0.0.1:9/v1"]) == 1
    assert json.loads(capsys.readouterr().out)["healthy"] is False
