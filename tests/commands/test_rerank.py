"""`voyage-rag rerank`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from voyage_rag.cli import main
from voyage_rag.emulator import Emulator

TEXTS = "Send an email.\nRead a CSV file.\nZip a folder.\n"


@pytest.fixture
def answers(tmp_path: Path) -> str:
    """A file of three documents."""
    file = tmp_path / "answers.txt"
    file.write_text(TEXTS, "utf-8")
    return str(file)


def test_a_pipe_gets_lines_with_tabs(
    answers: str, service: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Score, source and text of each document, the best first, and nothing else."""
    assert main(["rerank", "how do I read a csv file?", answers]) == 0

    out, err = capsys.readouterr()
    rows = [line.split("\t") for line in out.splitlines()]
    assert err == ""
    assert rows[0][1:] == [f"{answers}:2", "Read a CSV file."]
    assert sorted(row[2] for row in rows) == sorted(TEXTS.splitlines())
    assert [float(row[0]) for row in rows] == sorted((float(row[0]) for row in rows), reverse=True)


def test_json_has_everything(
    service: Emulator, pipe: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """One object: the question, the ranking with sources, and what was billed."""
    pipe(TEXTS.encode())

    arguments = ["read a csv file", "-", "--top-k", "1", "--json", "--model", "rerank-3-lite"]
    assert main(["rerank", *arguments]) == 0

    reported = json.loads(capsys.readouterr().out)
    assert (reported["query"], reported["model"], reported["emulated"]) == (
        "read a csv file",
        "rerank-3-lite",
        False,
    )
    (best,) = reported["results"]
    assert best["index"] == 1
    assert best["source"] == "stdin:2"
    assert best["document"] == "Read a CSV file."
    assert 0 < best["relevance_score"] <= 1
    assert reported["total_tokens"] > 0


def test_each_result_is_one_line(
    tmp_path: Path, service: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither line breaks nor escape sequences of a document reach the terminal."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps(["red\tapple\n\x1b[31mpie"]), "utf-8")

    assert main(["rerank", "apple", str(file)]) == 0

    assert capsys.readouterr().out.endswith("a.json[0]\tred apple ?[31mpie\n")


def test_without_a_key_nothing_is_emulated(
    answers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live service is never replaced unasked."""
    assert main(["rerank", "csv", answers]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "VOYAGE_API_KEY" in err
    assert "--emulator" in err


def test_the_emulator_says_who_it_is(answers: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, in a pipe too, and in JSON."""
    assert main(["rerank", "csv file", answers, "--emulator", "--json"]) == 0

    out, err = capsys.readouterr()
    assert "not Voyage's" in err
    assert json.loads(out)["emulated"] is True


def test_a_refusal_is_one_line(
    answers: str, service: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """It contains the service's message; the exit code is 1."""
    assert main(["rerank", "csv", answers, "--model", "voyage-4"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("voyage-rag: ")
    assert err.count("\n") == 1


def test_on_a_terminal_it_is_a_table(
    answers: str,
    service: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ranks, scores, sources and texts, no line longer than the terminal, and the price."""
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "64"}.items():
        monkeypatch.setenv(name, value)
    Path(answers).write_text(TEXTS + "CSV " * 40, "utf-8")

    assert main(["rerank", "read a csv file", answers]) == 0

    out, err = capsys.readouterr()
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in out.splitlines()]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert "  Read a CSV" in lines[0]
    assert all(len(line) <= 64 for line in lines)
    assert "4 documents, " in err
    assert "tokens of rerank-3: " in err


def test_a_terminal_shows_how_many_files_of_a_folder_are_not_read(
    tmp_path: Path,
    service: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The best document may be in a file whose format the command does not read."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "a.txt").write_text("Read a CSV file.", "utf-8")
    (tmp_path / "b.html").write_text("<p>Read a CSV file.</p>", "utf-8")

    assert main(["rerank", "read a csv file", str(tmp_path)]) == 0

    err = capsys.readouterr().err
    assert f"{tmp_path}: 1 file of another format ignored" in err
    assert "1 document, " in err
