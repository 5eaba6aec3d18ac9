"""What commands read: files, folders and stdin, in four shapes, as UTF-8."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.feather import write_feather

from voyage_rag.commands.failure import CommandError
from voyage_rag.commands.texts import Format, Text, read_texts
from voyage_rag.jobs.errors import JobError


def read(*paths: Path, form: Format | None = None, field: str = "text") -> list[tuple[str, str]]:
    """Texts and where they come from."""
    texts = read_texts(paths, form, field, None, otherwise="lines")
    return [(text.text, text.source) for text in texts]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "form", "expected"),
    [
        ("a.txt", "eins\n\nzwei\r\n", None, [("eins", "a.txt:1"), ("zwei", "a.txt:3")]),
        ("a.txt", "\ufeffgrün\n", None, [("grün", "a.txt:1")]),
        ("a.txt", "one\ntwo\n", "whole", [("one\ntwo\n", "a.txt")]),
        (
            "a.jsonl",
            '"x"\n\n{"text": "y\\nz"}\n',
            None,
            [("x", "a.jsonl:1"), ("y\nz", "a.jsonl:3")],
        ),
        ("a.json", '["x", {"text": "y"}]', None, [("x", "a.json[0]"), ("y", "a.json[1]")]),
        ("a.json", "[1]\n", "lines", [("[1]", "a.json:1")]),
        ("a.csv", 'id,text\n1,"y\nz"\n2,x\n', None, [("y\nz", "a.csv:2"), ("x", "a.csv:4")]),
        ("a.tsv", 'id\ttext\n1\t"x\n', None, [('"x', "a.tsv:2")]),
        ("a.csv", "one, two\n", "lines", [("one, two", "a.csv:1")]),
    ],
)
def test_the_shapes_of_a_file(
    name: str, content: str, form: Format | None, expected: list[tuple[str, str]]
) -> None:
    """The suffix gives the format unless an option does; blank texts are left out."""
    Path(name).write_bytes(content.encode())

    assert read(Path(name), form=form) == expected


def test_the_field_of_a_record() -> None:
    """JSON objects may keep their text elsewhere."""
    Path("a.jsonl").write_text('{"text": 1, "body": "y"}\n', "utf-8")

    assert read(Path("a.jsonl"), field="body") == [("y", "a.jsonl:1")]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_column_of_a_table(suffix: str) -> None:
    """As for `embed`, a table is not one text with names and ids in it."""
    path, table = Path(f"f/a.{suffix}"), pa.table({"id": [1, 2, 3], "body": ["x", None, "y"]})
    path.parent.mkdir()
    (pq.write_table if suffix == "parquet" else write_feather)(table, path)

    expected = [("x", f"{path}[0]"), ("y", f"{path}[2]")]
    assert read(path, field="body") == read(path.parent, field="body") == expected
    Path("f/a.md").write_text("text")
    assert read(path.parent) == [("text", "f/a.md:1")]


@pytest.mark.parametrize("form", [None, "whole"])
def test_a_field_of_plain_text_is_refused(form: Format | None) -> None:
    """It would be ignored; in a folder it is that of the JSON files."""
    Path("f").mkdir()
    Path("f/a.log").write_text("id,body\n1,one\n")
    Path("f/a.txt").write_text("two\n")
    Path("f/b.jsonl").write_text('{"body": "three"}\n')
    with pytest.raises(CommandError, match=r"a\.log is read as plain text, which has no field"):
        read(Path("f/a.log"), form=form, field="body")
    if form is None:
        assert [text for text, _ in read(Path("f"), field="body")] == ["two", "three"]


@pytest.mark.parametrize("paths", [[], [Path("-")]])
def test_stdin(paths: list[Path], pipe: Callable[[bytes], None]) -> None:
    """A dash or no argument means stdin, which is UTF-8 whatever the terminal's encoding."""
    pipe("grün\nblau\n".encode())

    assert read(*paths) == [("grün", "stdin:1"), ("blau", "stdin:2")]


def test_nothing_to_read_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command does not wait for input without saying so."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    with pytest.raises(CommandError, match="pass files, or pipe"):
        read()


def test_a_folder_is_read_in_order_without_what_is_hidden() -> None:
    """Text files below it, by name."""
    for name in ("n/b.txt", "n/a/c.md", "n/.git/x.txt", "n/picture.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name, "utf-8")

    assert [source for _, source in read(Path("n"))] == ["n/a/c.md:1", "n/b.txt:1"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"a\xff", "a.txt:1: its text is not UTF-8"),
        ("a.txt", b" \n", "no text in a.txt"),
        ("a.jsonl", b'"x"\n{"text"\n', "a.jsonl:2: the line is not JSON"),
        ("a.jsonl", b'{"body": "x"}', "a.jsonl:1: no text in 'text' (it has 'body'): pass --field"),
        (
            "a.csv",
            b"id;body\n1;x\n",
            "a.csv has no column 'text'; its columns are 'id;body': pass --field, or --format",
        ),
        ("a.csv", b"text,id\nx\n", "a.csv:2: the line has 1 fields, the header 2"),
        ("a.jsonl", b"3", "a.jsonl:1: the line is not a JSON object"),
        ("a.json", b'["x", {"text": ', "a.json is not JSON after its first 1 values"),
        ("a.json", b'["\\ud800"]', "a.json[0]: its text contains a lone"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: bytes, words: str) -> None:
    """The file and the place in it, before anything is sent."""
    Path(name).write_bytes(content)

    with pytest.raises((CommandError, JobError)) as raised:
        read(Path(name))
    assert words in str(raised.value)


def test_a_file_that_is_not_there() -> None:
    """Nor does a glob match."""
    with pytest.raises(JobError, match="'nowhere' does not exist"):
        read(Path("nowhere"))


def test_a_text_knows_its_file() -> None:
    """Apart from the place in it."""
    assert Text("x", "a.txt", ":3").source == "a.txt:3"
