"""`voyage-rag embed`: what it prints, and with which exit code it ends."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
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


def test_stdout_contains_only_json(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report, with its paths as strings."""
    assert main(["embed", source, "-o", str(tmp_path / "vectors"), "--json"]) == 0

    reported = json.loads(capsys.readouterr().out)
    assert (reported["texts"], reported["refused"], reported["was_finished"]) == (20, 0, False)
    assert reported["output"] == str(tmp_path / "vectors")
    assert reported["dollars"] == pytest.approx(reported["tokens"] * 0.06 / 1e6)


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
    reported = json.loads(capsys.readouterr().out)
    assert reported["texts"] == 20
    assert reported["tokens"][0] < reported["tokens"][1]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (
            '{"text": "a"}\n{"text": ""}\n',
            [],
            "line 2 of in.jsonl: its text is empty: correct",
        ),
        ('{"text": "a"}\n{', [], "line 2 of in.jsonl: the line is not JSON"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}', [], "its id 1 is also that of line 1"),
        ('{"body": "a"}\n', [], "such as --text-column body, correct"),
        ('{"text": "a"}\n', ["--output-dimension", "7"], "does not support --output-dimension 7"),
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
    """Exit code 1. Nothing is sent or left behind."""
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
    """The message names the file that contains them."""
    source = jsonl(tmp_path / "in.jsonl", [*ROWS, ("x", "")])
    output = tmp_path / "out.parquet"

    assert main(["embed", str(source), "-o", str(output), "--on-error", "skip"]) == 0

    assert f"1 row rejected: {output}.refused.jsonl" in capsys.readouterr().out
    assert pq.read_metadata(output).num_rows == 20


def test_an_output_that_exists_is_kept(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless --overwrite is given."""
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
    """And says that its vectors are not Voyage's."""
    output = str(tmp_path / "out.parquet")

    assert main(["embed", source, "-o", output]) == 1
    assert "no Voyage API key" in capsys.readouterr().err
    assert main(["embed", source, "-o", output, "--emulator"]) == 0
    assert "not Voyage's" in capsys.readouterr().err


def test_an_estimate_ends_as_the_run_would(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all that would stop it, as options of the command line; nothing is sent."""
    source = jsonl(tmp_path / "in.jsonl", [*ROWS, ("x", "")])
    output = tmp_path / "out.parquet"
    output.write_text("mine")
    arguments = ["embed", str(source), "-o", str(output), "--dry-run"]

    assert main(arguments) == main(arguments[:-1]) == 1
    out, err = capsys.readouterr()
    first = err.splitlines()[0]
    assert "texts         20\n" in out
    assert "replace it with --overwrite; line 21 of in.jsonl: its text is empty" in first
    assert "skip such rows with --on-error skip" in first
    assert main([*arguments, "--on-error", "skip", "--overwrite"]) == 0
    assert emulator.requests == []


def test_shards_with_joined_and_kept_columns_go_to_stdout(
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """JSON lines and nothing else, also with the report."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for n in range(2):
        content = f"_id;title;text;n\nd{n};T;one;{n}\n"
        (tmp_path / f"shard-{n}.csv").write_bytes(content.encode("utf-16"))
    options = ["--delimiter", ";", "--encoding", "utf-16", "--text-columns", "title,text"]

    code = main(["embed", str(tmp_path / "shard-*.csv"), "-o", "-", "--keep", "n,title", *options,
                 "--output-dimension", "256", "--json"])  # fmt: skip

    out, err = capsysbinary.readouterr()
    rows = [json.loads(line) for line in out.decode().splitlines()]
    assert code == 0
    assert [(row["id"], row["n"], row["title"]) for row in rows] == [
        ("d0", "0", "T"), ("d1", "1", "T"),
    ]  # fmt: skip
    assert {len(row["embedding"]) for row in rows} == {256}
    assert json.loads(err)["texts"] == 2
    assert [request.body["input"] for request in emulator.requests] == [["T\none"]]


def test_msmarco_has_no_header(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns are numbers; the error without the option suggests it as it is typed."""
    source = tmp_path / "collection.tsv"
    source.write_text('0\tfirst "passage"\n1\tsecond\n', "utf-8")
    output = str(tmp_path / "out.parquet")

    assert main(["embed", str(source), "-o", output]) == 1
    assert "if it has no header, pass --no-header" in capsys.readouterr().err
    columns = ["--no-header", "--id-column", "1", "--text-column", "2"]
    assert main(["embed", str(source), "-o", output, *columns]) == 0
    assert pq.read_table(output)["id"].to_pylist() == ["0", "1"]


def test_ctrl_c_says_how_to_resume(
    emulator: Emulator,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the exit code of an interruption."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voyage_rag.bulk.EmbeddingJob.run", interrupted)

    assert main(["embed", source, "-o", str(tmp_path / "out")]) == 130
    assert "the same command resumes" in capsys.readouterr().err
    assert main(["embed", "-", "-o", "-", "--base-url", emulator.url]) == 130
    assert capsys.readouterr().err.endswith("voyage-rag: interrupted\n")  # nothing is kept


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out.npy", "out"])
def test_kept_columns_have_their_types(name: str, emulator: Emulator, tmp_path: Path) -> None:
    """Those that the input declares, otherwise those of the values."""
    rows = [{"id": n, "text": "a", "n": n, "x": n / 2, "ok": True, "tags": ["t"], "u": "é"}
            for n in range(3)]  # fmt: skip
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / name

    assert main(["embed", str(source), "-o", str(output), "--keep", "n,x,ok,tags,u"]) == 0

    if name == "out.jsonl":
        kept = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    elif name == "out.npy":
        side = tmp_path / "out.npy.ids.jsonl"
        kept = [json.loads(line) for line in side.read_text("utf-8").splitlines()]
    else:
        kept = pq.read_table(output).to_pylist()
    names = ["id", "n", "x", "ok", "tags", "u"]
    tags = '["t"]' if name in {"out", "out.parquet"} else ["t"]
    expected = [{**row, "tags": tags} for row in rows]
    assert [[row[k] for k in names] for row in kept] == [
        [row[k] for k in names] for row in expected
    ]


def test_a_damaged_file_that_was_skipped_is_reported_and_exits_with_3(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like the dry run, since no one knows how many rows are missing."""
    packed = gzip.compress(jsonl(tmp_path / "b", rows_of(9)).read_bytes())
    (tmp_path / "b.jsonl.gz").write_bytes(packed[:-12])
    output = str(tmp_path / "out.parquet")
    arguments = ["embed", source, str(tmp_path / "b.jsonl.gz"), "-o", output, "--id-column", "id"]

    assert main(arguments) == 1
    assert "skip its unreadable part with --on-error skip" in capsys.readouterr().err
    arguments += ["--on-error", "skip"]
    assert main([*arguments, "--dry-run"]) == 3
    assert main(arguments) == 3
    out, err = capsys.readouterr()
    assert err.count("1 file was damaged and not read to the end") == 2
    assert f"rejected: {output}.refused.jsonl" in out
    assert main([*arguments, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["damaged"] == 1


def test_a_name_with_a_comma_is_quoted(emulator: Emulator, tmp_path: Path) -> None:
    """As in CSV; spaces after a comma are allowed."""
    (tmp_path / "in.csv").write_text('"title, long",text,"a,b"\none,two,three\n')
    output = tmp_path / "out.jsonl"

    names = ["--text-columns", '"title, long", text', "--keep", '"a,b", text']
    code = main(["embed", str(tmp_path / "in.csv"), "-o", str(output), *names])

    (row,) = map(json.loads, output.read_text().splitlines())
    assert (code, row["a,b"], row["text"]) == (0, "three", "two")


def test_an_empty_argument_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """It is a variable of the shell that is not set, not the current folder."""
    for arguments in (["embed", "", "-o", "out.jsonl"], ["tokens", ""], ["rerank", "query", ""]):
        assert main(arguments) == 2
        assert "a path is empty" in capsys.readouterr().err


def test_stdin_in_another_format_suggests_to_name_it(
    pipe: Callable[[bytes], None], emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(b"text\none\n")
    assert main(["embed", "-", "-o", "-"]) == 1
    assert "pass the format of stdin, such as --input-format csv" in capsys.readouterr().err


def test_the_report_on_stderr_names_stdout(
    emulator: Emulator,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["embed", source, "-o", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().err)["output"] == "-"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["--text-column", ""], "the name of a column is empty"),
        (["--text-columns", ""], "the name of a column is empty"),
        (["--text-columns", "title,"], "the name of a column is empty"),
        (["--keep", ""], "the name of a column is empty"),
        (["--text-column", "a", "--text-columns", "a,b"], "not both"),
    ],
)
def test_empty_and_contradictory_names_of_columns_are_refused(
    columns: list[str], message: str, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unset variable of a shell is empty, and does not mean the default."""
    assert main(["embed", source, "-o", "out.jsonl", "--dry-run", *columns]) == 2
    assert message in capsys.readouterr().err


def test_a_job_with_an_emulator_resumes_with_the_next_one(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its port differs each time."""
    command = ["embed", source, "-o", str(tmp_path / "out.parquet"), "--emulator"]
    assert main(command) == main(command) == main([*command, "--dry-run"]) == 0

    assert "was finished before" in capsys.readouterr().out


def test_a_dry_run_knows_that_the_run_is_at_another_address(
    emulator: Emulator, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Vectors of an emulator are not replaced by others."""
    command = ["embed", source, "-o", str(tmp_path / "out.parquet")]
    assert main([*command, "--emulator"]) == 0
    assert main([*command, "--dry-run"]) == main(command) == 1

    first, second = [line for line in capsys.readouterr().err.splitlines() if "exists" in line]
    assert first == second
