"""`voyage-rag embed`: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bulk_inputs import jsonl, parquet, rows_of
from voyage_rag.cli import main
from voyage_rag.emulator import Emulator

ROWS = rows_of(20)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    emulator = Emulator()
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-embed")
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator.start())
    yield emulator
    emulator.stop()


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(parquet(tmp_path / "in.parquet", ROWS))


def test_a_file_becomes_vectors(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stdout says what came of it; in a pipe there is nothing else."""
    output = str(tmp_path / "vectors.parquet")
    arguments = ["embed", source, "-o", output, "--output-dimension", "256"]
    assert main([*arguments, "--output-dtype", "int8"]) == 0

    out, err = capsys.readouterr()
    kind = pq.read_schema(output).field("embedding").type
    assert (kind.list_size, str(kind.value_type)) == (256, "int8")
    assert out.startswith(f"{output}: 20 vectors, ")
    assert out.endswith(" at list price\n")
    assert err == ""
    assert main([*arguments, "--output-dtype", "int8"]) == 0
    assert "was finished before: 20 vectors" in capsys.readouterr().out


def test_json_is_all_there_is_on_stdout(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report, with its paths as strings."""
    assert main(["embed", source, "-o", str(tmp_path / "vectors"), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["texts"], told["refused"], told["was_finished"]) == (20, 0, False)
    assert told["output"] == str(tmp_path / "vectors")
    assert told["dollars"] == pytest.approx(told["tokens"] * 0.06 / 1e6)


def test_a_dry_run_needs_no_key_and_sends_nothing(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts, tokens, price, time and size."""
    output = str(tmp_path / "vectors.parquet")
    assert main(["embed", source, "-o", output, "--dry-run"]) == 0

    out = capsys.readouterr().out
    assert "texts         20\n" in out
    assert "2,000 requests and 8,000,000 tokens a minute" in out
    assert "vectors       81.9 kB\n" in out
    assert "Nothing was sent." in out
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
    assert main(["embed", source, "-o", output, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["texts"] == 20
    assert told["tokens"][0] < told["tokens"][1]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (
            '{"text": "a"}\n{"text": ""}\n',
            [],
            "line 2 of in.jsonl: its text is empty: correct",
        ),
        ('{"text": "a"}\n{', [], "line 2 of in.jsonl: the line is no JSON"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}', [], "its id 1 is that of line 1, too"),
        ('{"body": "a"}\n', [], "no text in 'text' (it has 'body')"),
        ('{"text": "a"}\n', ["--output-dimension", "7"], "no output_dimension 7"),
        ('{"text": "a"}\n', ["--model", "rerank-3"], "rerank-3"),
        ("", [], "nothing to embed"),
    ],
)
def test_what_cannot_work_is_one_line(
    content: str,
    arguments: list[str],
    words: str,
    emulator: Emulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 1; nothing is sent and nothing is left."""
    source = tmp_path / "in.jsonl"
    source.write_text(content)

    assert main(["embed", str(source), "-o", str(tmp_path / "out.parquet"), *arguments]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("voyage-rag: ")
    assert err.count("\n") == 1
    assert words in err
    assert emulator.requests == []
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_bad_rows_can_be_skipped(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file with them is named."""
    source = jsonl(tmp_path / "in.jsonl", [*ROWS, ("x", "")])
    output = tmp_path / "out.parquet"

    assert main(["embed", str(source), "-o", str(output), "--on-error", "skip"]) == 0

    assert f"1 rows refused: {output}.refused.jsonl" in capsys.readouterr().out
    assert pq.read_metadata(output).num_rows == 20


def test_an_output_that_exists_is_kept(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless --overwrite is said."""
    output = tmp_path / "out.parquet"
    output.write_text("precious")

    assert main(["embed", source, "-o", str(output)]) == 1
    assert "exists: choose another output, or replace it with --over" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert main(["embed", source, "-o", str(output), "--overwrite"]) == 0
    assert pq.read_metadata(output).num_rows == 20


def test_an_emulator_answers_where_that_is_said(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says that it is none of Voyage's."""
    output = str(tmp_path / "out.parquet")

    assert main(["embed", source, "-o", output]) == 1
    assert "no Voyage API key" in capsys.readouterr().err
    assert main(["embed", source, "-o", output, "--emulator"]) == 0
    assert "is not Voyage" in capsys.readouterr().err
