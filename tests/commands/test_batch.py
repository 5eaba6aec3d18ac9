"""`voyage-rag batch`: submit, status, wait, fetch, resubmit, cancel, each a process of its own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fakes import FakeClock
from voyage_rag.cli import main
from voyage_rag.emulator import Emulator

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def emulate(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Iterator[Callable[..., Emulator]]:
    """Run an emulator with the clock of the test, whose address is in the environment."""
    with ExitStack() as exits:

        def start(**options: Any) -> Emulator:
            emulator = Emulator(clock=clock.now, **options)
            monkeypatch.setenv("VOYAGE_API_KEY", "pa-commands")
            monkeypatch.setenv("VOYAGE_BASE_URL", exits.enter_context(emulator))
            return emulator

        yield start


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
) -> Run:
    """A command line in a folder of its own: exit code, stdout, stderr. Waiting takes a minute."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        if arguments[0] == "wait":
            clock.advance(60)
        code = main(["batch", *arguments])
        return code, *capsys.readouterr()

    return command


def rows(*values: Any) -> str:
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    Path("rows.jsonl").write_text(text, "utf-8")
    return "rows.jsonl"


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


SUBMIT = ("--job", "a.job", "--model", "voyage-4", "--output-dimension", "256")
WAIT = ("wait", "a.job")


def test_from_rows_to_vectors(run: Run, emulate: Callable[..., Emulator]) -> None:
    """In the order of the rows, under their names."""
    emulate()
    file = rows(
        {"url": "b", "text": "one"}, {"url": "a", "text": "zwei ü"}, {"url": 7, "text": "x"}
    )
    code, out, err = run("submit", file, *SUBMIT, "--id-field", "url")
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"running: 0 of 3 inputs done; 0 of 1 batches ended; done by [-\d]+ [:\d]+\n", out
    )
    code, out, err = run(*WAIT)
    assert (code, out, err) == (0, "ended: 3 of 3 inputs done; 1 of 1 batches ended\n", "")
    code, out, err = run("fetch", "a.job", "-o", "vectors.jsonl")
    assert (code, out, err) == (0, "", "")
    found = lines(Path("vectors.jsonl").read_text("utf-8"))
    assert [row["id"] for row in found] == ["b", "a", "7"]
    assert [len(row["embedding"]) for row in found] == [256] * 3
    assert run("fetch", "a.job")[1] == Path("vectors.jsonl").read_text("utf-8")
    left = sorted(path.name for path in Path().iterdir())
    assert left == ["a.job", "rows.jsonl", "vectors.jsonl"]


@pytest.mark.parametrize(
    ("ids", "expected", "kind"),
    [
        ([3, 1], [3, 1], "int64"),
        ([2**63, 1], [2**63, 1], "uint64"),
        (["3", "1"], ["3", "1"], "string"),
        ([3, "x"], ["3", "x"], "string"),
        (None, [0, 1], "int64"),
    ],
)
def test_ids_keep_their_type(
    ids: list[Any] | None,
    expected: list[Any],
    kind: str,
    run: Run,
    emulate: Callable[..., Emulator],
) -> None:
    """Although the batch engine accepts only strings. Rows without ids are numbered."""
    emulate()
    texts = [{"text": "one"}, {"text": "two"}]
    if ids is not None:
        texts = [row | {"id": name} for row, name in zip(texts, ids, strict=True)]
    assert run("submit", rows(*texts), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0

    assert [row["id"] for row in lines(run("fetch", "a.job")[1])] == expected
    assert run("fetch", "a.job", "-o", "out.parquet")[0] == 0
    column = pq.read_table("out.parquet")["id"]
    assert (column.to_pylist(), str(column.type)) == (expected, kind)


def test_json_is_for_programs(run: Run, emulate: Callable[..., Emulator]) -> None:
    """One object, the same fields for each command."""
    emulate()
    code, out, _ = run("submit", rows("one", "two"), *SUBMIT, "--json")
    reported = json.loads(out)
    assert (code, reported["job"], reported["state"], reported["inputs"]) == (
        0,
        "a.job",
        "running",
        2,
    )
    for command in (WAIT, ("status", "a.job"), ("resubmit", "a.job"), ("cancel", "a.job")):
        code, out, err = run(*command, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out).keys() == reported.keys()
        assert (json.loads(out)["state"], json.loads(out)["completed"]) == ("ended", 2)


def test_documents_and_rankings(run: Run, emulate: Callable[..., Emulator]) -> None:
    """Depending on the kind of the model."""
    emulate()
    file = rows({"chunks": ["one", "two"]}, ["three"])
    options = ("--model", "voyage-context-4", "--output-dimension", "256")
    assert run("submit", file, "--job", "a.job", *options)[0] == 0
    assert run(*WAIT)[0] == 0
    found = lines(run("fetch", "a.job")[1])
    assert [len(row["embeddings"]) for row in found] == [2, 1]
    file = rows({"query": "one", "documents": ["two", "one"]})
    assert run("submit", file, "--job", "b.job", "--model", "rerank-3", "-k", "1")[0] == 0
    assert run("wait", "b.job")[0] == 0
    (row,) = lines(run("fetch", "b.job")[1])
    assert [result["index"] for result in row["results"]] == [1]


def test_a_dry_run_sends_nothing(run: Run, emulate: Callable[..., Emulator]) -> None:
    """It prints an estimate, as a table or as JSON; no key is needed."""
    emulator = emulate()
    code, out, _ = run("submit", rows("one", "two"), *SUBMIT, "--dry-run")
    assert code == 0
    assert re.match(r"2 inputs, at most about \d tokens, 1 batch, <\$0.0001.", out)
    code, out, _ = run("submit", "rows.jsonl", *SUBMIT, "--dry-run", "--json")
    assert json.loads(out)["inputs"] == 2
    assert run("submit", rows("one", ""), *SUBMIT, "--dry-run")[0] == 1
    assert emulator.requests == []
    assert not Path("a.job").exists()


def test_tables_are_read_with_the_options_that_errors_name(
    run: Run, emulate: Callable[..., Emulator], tmp_path: Path
) -> None:
    """The same as those of `embed`."""
    emulate()
    source = tmp_path / "excel.csv"
    source.write_bytes("sep=;\nid;text\n1;größer\n2;b\n".encode("latin-1"))
    arguments = ["submit", str(source), "--job", str(tmp_path / "a.job"), "--dry-run"]
    arguments += ["--model", "voyage-4"]

    source.write_bytes(source.read_bytes().replace(b"text", b"body"))

    for option, name in (
        ("--skip-lines", "1"),
        ("--delimiter", ";"),
        ("--field", "body"),
        ("--encoding", "latin-1"),
    ):
        code, _, err = run(*arguments)
        assert code == 1
        assert option in err or "not UTF-8" in err
        arguments += [option, name]
    assert run(*arguments)[0] == 0
    code, _, err = run(*arguments, "--delimiter", "::")
    assert (code, "delimiter must be one character, not '::'" in err) == (1, True)
    arguments[arguments.index("--job") + 1] = str(tmp_path / "none" / "a.job")
    code, _, err = run(*arguments)
    assert (code, "does not exist: create it" in err) == (1, True)


def test_failed_inputs_are_reported_and_submitted_again(
    run: Run, emulate: Callable[..., Emulator]
) -> None:
    """In a separate file with the reason. The exit code is 1."""
    emulate(failing_lines=["1"])
    long = "word " * 5_000
    options = ("--job", "a.job", "--model", "voyage-2", "--no-truncation")
    assert run("submit", rows("zero", "one", long), *options)[0] == 0
    assert run(*WAIT)[1] == "ended: 1 of 3 inputs done, 2 failed; 1 of 1 batches ended\n"
    code, out, err = run("fetch", "a.job", "-o", "out.jsonl")
    assert (code, out) == (1, "")
    assert err == (
        "voyage-rag: 2 of 3 inputs failed; see out.jsonl.failed.jsonl for the reasons; "
        "voyage-rag batch resubmit a.job submits those that may succeed again\n"
    )
    assert [row["id"] for row in lines(Path("out.jsonl").read_text())] == [0]
    one, two = lines(Path("out.jsonl.failed.jsonl").read_text())
    assert one == {
        "id": 1,
        "error": {"status": 500, "code": None, "message": "Internal Server Error"},
        "input": {"input": ["one"]},
    }
    assert (two["id"], two["error"]["status"]) == (2, 400)
    assert run("resubmit", "a.job")[0] == 0
    assert run(*WAIT)[1].startswith("ended: 2 of 3 inputs done, 1 failed")
    code, out, _ = run("fetch", "a.job")
    assert (code, [("error" in row) for row in lines(out)]) == (1, [False, False, True])


def test_a_job_can_be_cancelled(run: Run, emulate: Callable[..., Emulator]) -> None:
    """The results so far can be fetched."""
    emulate(batch_running=3_600)
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    code, out, err = run(*WAIT, "--timeout", "0")
    assert (code, out, "The others continue" in err) == (1, "", True)
    code, _, err = run("fetch", "a.job")
    assert (code, "has not ended: 0 of 1 inputs are done" in err) == (1, True)
    code, out, _ = run("fetch", "a.job", "--partial", "--json")
    assert (code, out) == (0, "")
    code, out, _ = run("fetch", "a.job", "--partial", "--json", "-o", "part.jsonl")
    assert (code, json.loads(out)) == (0, {"written": 0, "failed": 0, "pending": 1})
    assert run("cancel", "a.job")[1].startswith("running: 0 of 1 inputs done; 0 of 1 batches ended")
    assert run(*WAIT)[1] == "ended: 0 of 1 inputs done, 1 failed; 1 of 1 batches ended\n"


def test_files_are_deleted_when_they_are_fetched(
    run: Run, emulate: Callable[..., Emulator]
) -> None:
    """If this was requested, and nothing failed."""
    emulator = emulate()
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0
    assert run("fetch", "a.job", "-o", "out.jsonl", "--delete-files")[0] == 0
    assert [r.method for r in emulator.requests].count("DELETE") == 2


def test_nothing_is_overwritten(run: Run, emulate: Callable[..., Emulator]) -> None:
    """Neither results nor the file of failures, without `--overwrite`."""
    emulate(failing_lines=["0"])
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0
    for name in ("out.jsonl", "out.jsonl.failed.jsonl"):
        Path(name).write_text("mine")
        code, _, err = run("fetch", "a.job", "-o", "out.jsonl")
        assert (code, err.startswith(f"voyage-rag: {name} exists")) == (1, True)
        assert Path(name).read_text() == "mine"
        Path(name).unlink()
    Path("out.jsonl").write_text("mine")
    assert run("fetch", "a.job", "-o", "out.jsonl", "--overwrite")[0] == 1
    assert Path("out.jsonl").read_text() == ""
    assert run("fetch", "a.job", "-o", "no/such/out.jsonl")[2].startswith(
        "voyage-rag: cannot write"
    )


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b'"a"\n""\n', (), "rows.jsonl:2: its text is empty"),
        (b'"a"\n\n\n7\n', (), "rows.jsonl:4: the line is not a JSON object"),
        (b'{"text": "a"}\n{"body": "b"}\n', (), "rows.jsonl:2: no text in 'text' (it has 'body')"),
        (b'{"text": "a"}\n{"text": 7}\n', (), "rows.jsonl:2: its text is a number, not a string"),
        (b'{"text": "a"}\n{"text": null}\n', (), "rows.jsonl:2: no text in 'text'"),
        (b'"a"\n{broken\n', (), "rows.jsonl:2: the line is not JSON"),
        (b'"a"\n"\xff"\n', (), "rows.jsonl:2: the line is not UTF-8"),
        (b"", (), "there are no inputs"),
        (b'{"text": "a"}\n', ("--id-field", "id"), "rows.jsonl:1: no id"),
        (
            b'{"text": "a", "id": 1}\n{"text": "b", "id": "1"}\n',
            ("--id-field", "id"),
            "rows.jsonl:2: custom_ids[0] and custom_ids[1] are both '1'",
        ),
        (b'"a"\n', ("--model", "voyage-context-4"), "rows.jsonl:1: it is not a list of chunks"),
        (
            b'{"query": "a", "documents": ["b"]}\n{"query": "a"}\n',
            ("--model", "rerank-3"),
            "rows.jsonl:2: it is not an object with a 'query' and its 'documents'",
        ),
        (b'"a"\n', ("--model", "voyage-multimodal-3.5"), "which batches do not support"),
        (b'"a"\n', ("--input-type", "passage"), "--input-type must be one of"),
    ],
)
def test_a_bad_row_is_named(
    run: Run, emulate: Callable[..., Emulator], content: bytes, options: Any, said: str
) -> None:
    """In one line. Nothing is sent, and no job is created."""
    emulator = emulate()
    Path("rows.jsonl").write_bytes(content)
    code, out, err = run("submit", "rows.jsonl", *SUBMIT[:4], *options)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert emulator.requests == []
    assert [path.name for path in Path().iterdir()] == ["rows.jsonl"]


def test_missing_files_are_refused(run: Run, emulate: Callable[..., Emulator]) -> None:
    """Or are something else."""
    emulate()
    assert run("submit", "no.jsonl", *SUBMIT)[2].startswith("voyage-rag: 'no.jsonl' does not exist")
    Path("thesis").write_text("mine")
    for command in ("status", "wait", "fetch", "resubmit", "cancel"):
        assert "is not the state file of a job" in run(command, "thesis")[2]
        assert "cannot read the job" in run(command, "no.job")[2]
    code, _, err = run("submit", rows("a"), "--job", "no/such/a.job", "--model", "voyage-4")
    assert (code, "the folder 'no/such' of the state file does not exist" in err) == (1, True)


def test_without_a_key_it_says_how_to_try_it(run: Run) -> None:
    """An emulator has to outlive the command, as the job does."""
    code, _, err = run("submit", rows("a"), *SUBMIT)
    assert (code, "voyage-rag emulate" in err) == (1, True)


def test_misuse_has_its_own_exit_code(run: Run) -> None:
    """The exit code is 2."""
    assert run("submit", "rows.jsonl")[0] == 2
    assert run("fly")[0] == 2


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_estimate_refuses_what_the_submission_refuses(
    dry_run: bool, run: Run, emulate: Callable[..., Emulator]
) -> None:
    """With the same messages: no inputs, a missing folder, a job without a name."""
    emulate()
    extra = ["--dry-run"] if dry_run else []
    Path("empty.jsonl").touch()
    for source, job, message in (
        ("empty.jsonl", "a.job", "there are no inputs"),
        (rows("one"), "none/a.job", "the folder 'none' of the state file does not exist"),
        (rows("one"), "", "the state file '.' has no name"),
    ):
        code, _, err = run("submit", source, "--job", job, "--model", "voyage-4", *extra)
        assert (code, message in err) == (1, True), err
    assert run("submit", "", "--job", "a.job", "--model", "voyage-4", *extra)[0] == 2


def test_results_replace_no_device(run: Run, emulate: Callable[..., Emulator]) -> None:
    """Neither by `--output` nor by `--failed`."""
    emulate()
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0
    os.mkfifo("fifo")  # stands for a device, which a fault of this test would replace
    for arguments in (["-o", "fifo"], ["-o", "out.jsonl", "--failed", "fifo"]):
        code, _, err = run("fetch", "a.job", *arguments, "--overwrite")
        assert (code, "is not a regular file" in err) == (1, True)


def test_results_replace_neither_the_job_nor_each_other(
    run: Run, emulate: Callable[..., Emulator]
) -> None:
    """A state file that is overwritten cannot be fetched again."""
    emulate()
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0
    before = Path("a.job").read_bytes()
    Path("link").symlink_to("a.job")
    for output, failed in (("a.job", "f.jsonl"), ("o.jsonl", "./a.job"), ("link", "f.jsonl")):
        code, _, err = run("fetch", "a.job", "-o", output, "--failed", failed, "--overwrite")
        assert (code, "is the file of the job" in err) == (1, True)
    code, _, err = run("fetch", "a.job", "-o", "o.jsonl", "--failed", "o.jsonl")
    assert (code, "is the file of another output" in err) == (1, True)
    assert Path("a.job").read_bytes() == before


def test_results_are_not_written_under_the_name_of_another_format(
    run: Run, emulate: Callable[..., Emulator]
) -> None:
    """Failed inputs have no vectors for Parquet."""
    emulate()
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert run(*WAIT)[0] == 0
    for name in ("v.csv", "v.NPY", "v.json"):
        code, _, err = run("fetch", "a.job", "-o", name)
        assert (code, "would be JSON Lines" in err, Path(name).exists()) == (1, True, False)
    code, _, err = run("fetch", "a.job", "--failed", "f.parquet")
    assert (code, err.endswith("end the name in .jsonl\n")) == (1, True)


def test_files_of_others_beside_a_job_stay(run: Run, emulate: Callable[..., Emulator]) -> None:
    """Where the job would put its lines, and where its lock would be."""
    emulate()
    for folder in ("a.job.parts", "a.job.parts.new"):
        notes = Path(folder) / "notes.txt"
        notes.parent.mkdir()
        notes.write_text("mine")
        code, _, err = run("submit", rows("one"), *SUBMIT)
        assert (code, "did not write" in err) == (1, True)
        assert notes.read_text() == "mine"
        notes.unlink()
        notes.parent.rmdir()
    Path("a.job.lock").write_text("mine")
    assert run("submit", rows("one"), *SUBMIT)[0] == 0
    assert Path("a.job.lock").read_text() == "mine"
