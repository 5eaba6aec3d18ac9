"""`voyage-rag tokens`: counts, prices, and the note that they are estimates."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voyage_rag.cli import main
from voyage_rag.counting import TokenCounter

WORDS = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer whose tokens are words."""
    file = tmp_path / "tokenizer.json"
    content = {"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, "model": WORDS}
    file.write_text(json.dumps(content), "utf-8")
    return file


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What the command says with --json."""

    def ask(*arguments: object) -> Any:
        assert main(["tokens", "--json", *map(str, arguments)]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


@pytest.mark.parametrize("text", ["x" * 1_000, "Straße " * 200, "日本語" * 300, "a"])
def test_an_estimate_is_a_range(text: str) -> None:
    """From five ASCII characters per token to three, which requests are planned with."""
    low, high = TokenCounter()(text)

    assert 1 <= low <= high
    assert low == pytest.approx(len(text) / 5, abs=1)
    assert high >= len(text) / 3


def test_a_file_and_its_prices(printed: Callable[..., Any], tmp_path: Path) -> None:
    """Per file and in all, for the active text models."""
    (tmp_path / "a.txt").write_text("x" * 3_000, "utf-8")
    (tmp_path / "b.txt").write_text("x" * 6_000, "utf-8")

    report = printed(tmp_path)

    assert report["exact"] is False
    assert [Path(row["file"]).name for row in report["files"]] == ["a.txt", "b.txt"]
    assert [row["characters"] for row in report["files"]] == [3_000, 6_000]
    low, high = report["tokens"]
    assert low == 1_800
    assert high == pytest.approx(3_150, rel=0.01)
    by_name = {row["name"]: row for row in report["models"]}
    assert {"voyage-4-large", "voyage-4", "voyage-4-lite", "voyage-context-4"} <= set(by_name)
    assert "rerank-3" not in by_name
    assert by_name["voyage-4"]["dollars"] == pytest.approx([low * 0.06e-6, high * 0.06e-6])


def test_a_tokenizer_counts_exactly(
    printed: Callable[..., Any], tokenizer: Path, pipe: Callable[[bytes], None]
) -> None:
    """One number instead of two."""
    pipe(b"a b a b a\n")

    report = printed("-", "--model", "voyage-4", "--tokenizer", tokenizer)

    assert report["exact"] is True
    assert report["tokens"] == [5, 5]
    assert report["files"][0]["file"] == "stdin"


def test_texts_beyond_the_context_are_counted(printed: Callable[..., Any], tmp_path: Path) -> None:
    """Only those that may be truncated, by the context of each model."""
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps("x" * 20_000) + '\n"short"\n', "utf-8")

    report = printed(file, "--model", "voyage-2", "--model", "voyage-4")

    assert [row["too_long"] for row in report["models"]] == [1, 0]
    assert report["files"][0]["texts"] == 2


def test_an_unknown_model_has_no_price(printed: Callable[..., Any], tmp_path: Path) -> None:
    """The catalogue does not restrict models."""
    file = tmp_path / "a.txt"
    file.write_text("text", "utf-8")

    (row,) = printed(file, "--model", "voyage-of-tomorrow")["models"]

    assert row["dollars"] == [None, None]


def test_the_table_says_that_it_is_an_estimate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, next to the figures."""
    file = tmp_path / "a.txt"
    file.write_text("x" * 3_000_000, "utf-8")

    assert main(["tokens", str(file), "--model", "voyage-4-large", "--model", "rerank-3"]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    assert "600,000 – 1,050,001" in out
    assert "$0.0720 – $0.1260" in out
    assert "An estimate" in out
    assert "once per document" in out
    assert "total" not in out


def test_counted_figures_are_not_called_an_estimate(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But the output says for which model the tokenizer is."""
    file = tmp_path / "a.txt"
    file.write_text("a b", "utf-8")

    options = ["--model", "voyage-4", "--tokenizer", str(tokenizer)]
    assert main(["tokens", str(file), str(file), *options]) == 0

    out = capsys.readouterr().out
    assert "An estimate" not in out
    assert "must be that of the model" in " ".join(out.split())


def test_a_tokenizer_belongs_to_a_model(
    tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts for all models by the tokenizer of one would be wrong."""
    assert main(["tokens", "a.txt", "--tokenizer", str(tokenizer)]) == 2
    assert "--model" in capsys.readouterr().err


def test_a_damaged_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the file."""
    file = tmp_path / "tokenizer.json"
    file.write_text("{}", "utf-8")

    assert main(["tokens", "-", "--model", "voyage-4", "--tokenizer", str(file)]) == 1
    err = capsys.readouterr().err
    assert "tokenizer.json" in err
    assert err.count("\n") == 1


def test_without_the_extra(
    tokenizer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to install."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    assert main(["tokens", "-", "--model", "voyage-4", "--tokenizer", str(tokenizer)]) == 1
    assert "pip install 'voyage-rag[tokenizers]'" in capsys.readouterr().err


def test_texts_in_another_encoding(
    pipe: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the option, and the option works."""
    pipe("é".encode("utf-16"))
    assert main(["tokens", "-"]) == 1
    assert "--encoding utf-16" in capsys.readouterr().err
    pipe("é".encode("utf-16"))
    assert main(["tokens", "-", "--encoding", "utf-16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["characters"] == 1
