"""Inputs of every format: their rows, and the reasons why rows are invalid."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_inputs import jsonl, parquet
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputFormat, InputReader, delimited, flaw_of, open_inputs
from voyage_rag.jobs.inputs.json_files import NOT_LINES
from voyage_rag.jobs.inputs.rows import ReadOptions
from voyage_rag.jobs.lines import CARRIAGE_RETURN


def opened(
    path: Path, form: InputFormat | None = None, text: str = "text", name: str | None = None
) -> InputReader:
    return open_inputs([path], form, text_columns=(text,), id_column=name)


def read(source: InputReader, skip: int = 0) -> list[tuple[object, object]]:
    return [(row.id, row.text) for row in source.rows(skip)]


def flaws(source: InputReader) -> dict[int, str]:
    return {row.number: flaw for row in source.rows() if (flaw := flaw_of(row))}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


ROWS = [("a", "one"), ("b", 'two "2"\nlines'), ("c", "drei ß")]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "parquet folder"])
def test_names_and_texts_come_in_order_from_every_table(form: str, tmp_path: Path) -> None:
    """And the same ones without the first, when these are skipped."""
    if form == "jsonl":
        path = jsonl(tmp_path / "in.jsonl", ROWS)
    elif form.startswith("parquet"):
        folder = tmp_path / "in"
        folder.mkdir()
        parquet(folder / "b.parquet", ROWS[2:])
        parquet(folder / "a.parquet", ROWS[:2], group=1)
        path = folder if "folder" in form else parquet(tmp_path / "in.parquet", ROWS, group=2)
    else:
        mark = ","
        lines = [
            mark.join((name, f'"{text.replace(chr(34), chr(34) * 2)}"')) for name, text in ROWS
        ]
        content = f"\ufeffid{mark}text\r\n" + "\r\n".join(lines) + "\r\n\r\n"
        path = written(tmp_path / f"in.{form}", content)

    source = opened(path)

    assert [read(source, skip) for skip in range(4)] == [ROWS, ROWS[1:], ROWS[2:], []]
    assert flaws(source) == {}


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv", "in.txt"])
def test_a_compressed_file_is_read_like_an_uncompressed_one(name: str, tmp_path: Path) -> None:
    """By its name: `.gz`, after that of the form."""
    content = '\ufeffid,text\n"a","one"\n"b","two"\n' if name == "in.csv" else '"one"\n"two"\n'
    plain = written(tmp_path / name, content)
    packed = written(tmp_path / f"{name}.GZ", gzip.compress(plain.read_bytes()))

    assert read(opened(packed)) == read(opened(plain))
    assert read(opened(packed), 1) == read(opened(plain), 1)
    assert len(read(opened(packed))) == 2


@pytest.mark.parametrize("spoil", [lambda it: it[:-9], lambda it: b"no" + it, lambda _: b"x" * 99])
@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.csv.gz", "in.txt.gz"])
def test_a_damaged_compressed_file_is_named(name: str, spoil: Any, tmp_path: Path) -> None:
    """Before anything is sent, as everything is read first."""
    lines = "".join(f"text,{n}\n" for n in range(1_000))
    path = written(tmp_path / name, spoil(gzip.compress(lines.encode())))

    with pytest.raises(JobError, match=f"{name} cannot be decompressed: "):
        read(opened(path, text="text"))


def test_rows_without_names_are_named_by_their_position(tmp_path: Path) -> None:
    """A string per line, objects without an id, lines of text."""
    strings = opened(written(tmp_path / "a.jsonl", '"one"\n\n"two"\n'))
    objects = opened(written(tmp_path / "b.jsonl", '{"text": "one"}\n{"text": "two"}\n'))
    lines = opened(written(tmp_path / "c.txt", "one\r\n\n  \ntwo"))

    assert read(strings) == read(objects) == read(lines) == [(0, "one"), (1, "two")]
    assert read(strings, 1) == read(objects, 1) == read(lines, 1) == [(1, "two")]


def test_a_folder_of_texts_is_named_by_its_paths(tmp_path: Path) -> None:
    """In their order, hidden and other files left out; one that is no text is a bad row."""
    folder = tmp_path / "notes"
    (folder / "b").mkdir(parents=True)
    (folder / ".git").mkdir()
    written(folder / "b" / "x.md", "one")
    written(folder / "a.txt", "two\n")
    written(folder / "c.rst", b"\xff")
    written(folder / "d.png", b"")
    written(folder / ".git" / "e.txt", "no")

    source = opened(folder)

    assert read(source) == [("a.txt", "two\n"), ("b/x.md", "one"), ("c.rst", None)]
    assert flaws(source) == {3: "not UTF-8 (byte 0)"}


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ('{"id": "x", "body": 1}', "no text in 'text' (it has 'id', 'body')"),
        ("[", f"the line is not JSON: Expecting value{NOT_LINES}"),
        (
            "{",
            f"the line is not JSON: Expecting property name enclosed in double quotes{NOT_LINES}",
        ),
        ('[{"id": "x", "text": "y"}]', f"the line is an array of objects{NOT_LINES}"),
        ('{"id": "x", "text": null}', "no text in 'text' (it is null)"),
        ('{"id": "x", "text": ""}', "its text is empty"),
        ('{"id": "x", "text": 7}', "its text is a number, not a string"),
        ('{"id": "x", "text": ["a"]}', "its text is a list, not a string"),
        ('{"id": "x", "text": "\\ud800"}', "its text contains a lone surrogate"),
        ('{"text": "x"}', "no id"),
        ('{"id": "", "text": "x"}', "no id"),
        ('{"id": 1.5, "text": "x"}', "its id is a number, not a string or integer"),
        ('{"id": true, "text": "x"}', "its id is true or false, not a string or integer"),
        (f'{{"id": {2**64}, "text": "x"}}', "its id is a number of more than 64 bits"),
        ('{"id": "x", "text": "x"', "the line is not JSON: Expecting ',' delimiter"),
        ('["x"]', "the line is not a JSON object"),
        ("[" * 100_000, f"the line is not JSON: nested too deeply{NOT_LINES}"),
        ('[{"text": "x"},', f"the line is not JSON: Expecting value{NOT_LINES}"),
        ('{"text": "x"} {"text": "y"}', f"the line is not JSON: Extra data{NOT_LINES}"),
        pytest.param(
            " " * 300_000 + "x", "the line is not JSON: Expecting value", id="many blanks"
        ),
        ('{"text": "x"},', "the line is not JSON: Extra data"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: str, flaw: str, tmp_path: Path) -> None:
    """By its number in the file, blank lines counted."""
    source = opened(written(tmp_path / "in.jsonl", f'{{"id": "a", "text": "b"}}\n\n{line}\n'))

    assert flaws(source) == {3: flaw}


@pytest.mark.parametrize(
    ("name", "text", "bad"),
    [
        ("a.jsonl", '{"text": "a"}\r{"text": "b"}\r', 1),
        ("a.txt", "one\rtwo\r", 1),
        ("a.tsv", "id\ttext\n1\tone\n2\tt\rwo\n", 3),
    ],
)
def test_a_carriage_return_is_not_the_end_of_a_line(
    name: str, text: str, bad: int, tmp_path: Path
) -> None:
    """All lines of a file would be one text. CSV readers accept it as a line break."""
    assert flaws(opened(written(tmp_path / name, text))) == {bad: CARRIAGE_RETURN}
    assert read(opened(written(tmp_path / "a.csv", "id,text\ra,one\r"))) == [("a", "one")]


def test_a_line_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    """In JSON lines, CSV and plain lines."""
    for name, good, bad in [
        ("a.jsonl", b'{"id": "a", "text": "b"}\n', b'{"id": "c", "text": "\xff"}\n'),
        ("a.csv", b"id,text\n", b"c,\xff\n"),
        ("a.txt", b"b\n", b"\xff\n"),
    ]:
        found = flaws(opened(written(tmp_path / name, good + bad)))
        assert list(found) == [2]
        assert "not UTF-8" in found[2]


def test_a_broken_line_of_a_table_is_a_bad_row(tmp_path: Path) -> None:
    """Too few fields, too many, a stray quote; the lines after it are read."""
    content = 'id,text\na,one\nb\nc,three,3\nd,"four" 4\ne,"fi\nve"\nf,six\n'
    source = opened(written(tmp_path / "in.csv", content))

    assert flaws(source) == {
        3: "the line has 1 fields, the header 2",
        4: "the line has 3 fields, the header 2",
        5: "the line cannot be read: ',' expected after '\"'",
    }
    assert read(source)[4:] == [("e", "fi\nve"), ("f", "six")]
    assert [row.number for row in source.rows()] == [2, 3, 4, 5, 6, 8]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    suffix: str, tmp_path: Path
) -> None:
    """The column of the text or of the ids."""
    path = tmp_path / f"in{suffix}"
    if suffix == ".csv":
        written(path, "id,text\na,b\n")
    else:
        parquet(path, [("a", "b")])

    with pytest.raises(
        JobError, match=r"in\..* has no column 'body'; its columns are 'id', 'text'$"
    ):
        opened(path, text="body")
    with pytest.raises(JobError, match="no column 'key'"):
        opened(path, name="key")
    path = tmp_path / "other.csv"
    path.write_text("id,Text\na,b\n")
    with pytest.raises(JobError, match="are 'id', 'Text': pass the one with the text as text_colu"):
        opened(path)


def test_columns_of_other_types_are_refused(tmp_path: Path) -> None:
    """A text is a string, a name a string or a whole number."""
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"number": [1], "half": [0.5], "text": ["a"]}), path)

    with pytest.raises(JobError, match=r"'number' of in\.parquet contains int64, not strings"):
        opened(path, text="number")
    with pytest.raises(JobError, match=r"'half' of in\.parquet contains double"):
        opened(path, name="half")
    assert read(opened(path, name="number")) == [(1, "a")]


def test_dictionaries_and_large_strings_are_strings(tmp_path: Path) -> None:
    """pandas and Polars write such columns."""
    path = tmp_path / "in.parquet"
    texts = pa.array(["a", "b", "a"])
    table = pa.table({"text": texts.dictionary_encode(), "id": texts.cast(pa.large_string())})
    pq.write_table(table, path)

    assert read(opened(path)) == [("a", "a"), ("b", "b"), ("a", "a")]


def test_ids_and_texts_as_databases_store_them(tmp_path: Path) -> None:
    """UUIDs, decimals without places, and strings without the annotation that says so."""
    key = UUID("76fb011b-d0ad-4e8b-9bd8-cfc5e40e9009")
    path = tmp_path / "in.parquet"
    columns = {
        "uuid": pa.array([key.bytes, None], pa.uuid()),
        "number": pa.array([Decimal(7), Decimal(10) ** 20], pa.decimal128(38, 0)),
        "half": pa.array([Decimal("0.5"), None], pa.decimal128(38, 1)),
        "text": pa.array(["straße".encode(), b"\xff"], pa.binary()),
    }
    pq.write_table(pa.table(columns), path)

    assert read(opened(path, name="uuid"))[0] == (str(key), "straße")
    assert flaws(opened(path, name="uuid"))[2].startswith("its text is not UTF-8")
    assert [name for name, _ in read(opened(path, name="number"))] == [7, 10**20]
    assert read(opened(path, name="text"))[0] == ("straße", "straße")
    with pytest.raises(JobError, match=r"decimal128\(38, 1\).* so convert it, or name another"):
        opened(path, name="half")


def test_parquet_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    """Some writers do not check the encoding."""
    path = tmp_path / "in.parquet"
    texts = pa.array([b"a", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": texts}), path)

    assert flaws(opened(path)) == {2: "its text is not UTF-8"}


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """The message states what is required."""
    with pytest.raises(JobError, match="does not exist"):
        opened(tmp_path / "nothing.jsonl")
    with pytest.raises(JobError, match="pass input_format, one of jsonl, json, csv, tsv"):
        opened(written(tmp_path / "in.dat", "x"))
    with pytest.raises(JobError, match="cannot be read as Parquet"):
        opened(written(tmp_path / "in.parquet", "x"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobError, match=r"no file of a known format or \.md, \.rst, \.txt"):
        opened(tmp_path / "empty")
    with pytest.raises(JobError, match="column 'key' is required"):
        opened(written(tmp_path / "in.txt", "x"), name="key")


def test_an_input_that_changes_is_another_one(tmp_path: Path) -> None:
    """By size, time or name of any of its files; not by where it is."""
    path = jsonl(tmp_path / "in.jsonl", ROWS)
    before = opened(path).identity()
    assert opened(path).identity() == before
    path.write_text(json.dumps({"id": "a", "text": "other"}) + "\n")
    after = opened(path).identity()
    assert after != before
    moved = path.rename(tmp_path / "elsewhere.jsonl").rename(path)
    assert opened(moved).identity() == after


@pytest.mark.parametrize("quoted", [True, False])
def test_a_line_of_any_length_is_one_flaw_and_is_not_held(
    quoted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The lines after it keep their numbers, and none of its pieces becomes a text."""
    monkeypatch.setattr(delimited, "MAX_FIELD_CHARS", 100)
    monkeypatch.setattr(delimited, "MAX_LINE_CHARS", 200)
    long = "x" * 450
    long = f'"{long}"' if quoted else long
    path = written(tmp_path / "in.csv", f"text\nfirst\n{long}\nlast\n{'y,' * 200}\nend\n")

    rows = list(opened(path, name=None).rows())

    assert [(row.number, row.text) for row in rows if flaw_of(row) is None] == [
        (2, "first"),
        (4, "last"),
        (6, "end"),
    ]
    assert [row.number for row in rows if flaw_of(row)] == [3, 5]
    assert all("longer than" in str(flaw_of(row)) for row in rows if flaw_of(row))
    assert all(len(str(row.text)) <= 200 for row in rows)


def test_an_arrow_file_that_is_truncated_meanwhile_kills_nothing(tmp_path: Path) -> None:
    """Memory that is mapped from a file ends the process where the file has become shorter."""
    table = pa.table({"id": range(200_000), "text": ["x" * 20] * 200_000})
    path = tmp_path / "in.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)
    rows = opened(path, name="id").rows()
    next(rows)

    path.write_bytes(path.read_bytes()[:10_000])

    with pytest.raises(JobError, match="cannot be read"):
        list(rows)


@pytest.mark.parametrize("empty_first", [True, False])
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet", "arrow"])
def test_an_empty_file_may_be_among_others(suffix: str, empty_first: bool, tmp_path: Path) -> None:
    """One file per partition leaves such files. Arrow types their columns as null."""
    empty, other = tmp_path / f"empty.{suffix}", tmp_path / f"other.{suffix}"
    none, some = pa.array([], pa.null()), {"id": ["a"], "text": ["one"]}
    if suffix in {"parquet", "arrow"}:
        write = pq.write_table if suffix == "parquet" else arrow_file
        write(pa.table({"id": none, "text": none}), empty)
        write(pa.table(some), other)
    else:
        empty.touch()
        separator = "\t" if suffix == "tsv" else ","
        is_json = suffix.startswith("json")
        row = '{"id": "a", "text": "one"}' if is_json else f"id{separator}text\na{separator}one"
        written(other, row)
    paths = [empty, other] if empty_first else [other, empty]

    source = open_inputs(paths)

    assert read(source) == [("a", "one")]
    assert read(open_inputs([empty])) == []
    assert str(source.type_of("id")) == ("string" if suffix in {"parquet", "arrow"} else "None")


def arrow_file(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write(table)


def test_a_column_of_nulls_has_no_texts_and_no_ids(tmp_path: Path) -> None:
    """Its rows are invalid, like those of any other column with null."""
    pq.write_table(pa.table({"id": pa.nulls(1), "text": ["one"]}), tmp_path / "ids.parquet")
    pq.write_table(pa.table({"id": ["a"], "text": pa.nulls(1)}), tmp_path / "texts.parquet")

    assert flaws(opened(tmp_path / "ids.parquet")) == {1: "no id"}
    assert flaws(opened(tmp_path / "texts.parquet")) == {1: "no text"}


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04", "ZIP archive or an Office document: unpack it, or save it as CSV"),
        (b"%PDF-1.7", "is a PDF: extract its text"),
        (b"PAR1\x15\x04", "is a Parquet file, not text: rename it"),
        (b"ARROW1\0\0", "is an Arrow file, not text: rename it"),
        ("text".encode("utf-32"), "begins like UTF-32.*encoding='utf-32'"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "txt", "csv.gz"])
def test_what_has_the_suffix_of_text_and_is_none_is_named(
    start: bytes, message: str, suffix: str, tmp_path: Path
) -> None:
    content = gzip.compress(start) if suffix.endswith("gz") else start
    with pytest.raises(JobError, match=message):
        read(opened(written(tmp_path / f"in.{suffix}", content)))


def test_utf16_without_a_byte_order_mark(tmp_path: Path) -> None:
    """The encoding `utf-16` needs one."""
    path = written(tmp_path / "in.csv", "id,text\na,one\n".encode("utf-16-le"))

    with pytest.raises(JobError, match=r"no column 'text'.*encoding='utf-16-le' or 'utf-16-be'"):
        opened(path)
    with pytest.raises(JobError, match=r"in\.csv is not valid utf-16: .* BOM"):
        open_inputs([path], options=ReadOptions("utf-16"))
    assert read(open_inputs([path], options=ReadOptions("utf-16-le"))) == [("a", "one")]


def test_a_byte_order_mark_before_a_quoted_header(tmp_path: Path) -> None:
    """It neither becomes part of the first name, nor hides its quotes."""
    path = written(tmp_path / "in.csv", b'\xef\xbb\xbf"text, long",id\n"one, two",a\n')
    assert read(opened(path, text="text, long")) == [("a", "one, two")]


@pytest.mark.parametrize(
    ("options", "name"),
    [(ReadOptions(delimiter=";"), "delimiter=';'"), (ReadOptions(header=False), "header=False")],
)
def test_options_of_tables_are_refused_without_a_table(
    options: ReadOptions, name: str, tmp_path: Path
) -> None:
    """Beside a table, other files may be among the inputs."""
    lines = jsonl(tmp_path / "a.jsonl", [("1", "one")])
    with pytest.raises(JobError, match=f"^{name} applies to CSV and TSV files"):
        open_inputs([lines], options=options)

    table = written(tmp_path / "b.csv", "id;text\nb;two\n")
    both = open_inputs([lines, table], options=ReadOptions(delimiter=";"))
    assert read(both) == [("1", "one"), ("b", "two")]
