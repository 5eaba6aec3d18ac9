"""Which files an input consists of, and which dialects and columns are supported."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_inputs import jsonl, parquet
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs import InputReader, flaw_of, open_inputs
from voyage_rag.jobs.inputs.discovery import text_files
from voyage_rag.jobs.inputs.rows import ReadOptions

ROWS = [("a", "one"), ("b", "two"), ("c", "three")]


def read(reader: InputReader, skip: int = 0) -> list[tuple[Any, Any]]:
    return [(row.id, row.text) for row in reader.rows(skip)]


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(path: Path, rows: Any = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return parquet(path, rows)


# ── several files, globs, folders ─────────────────────────────────────────────────────────────────


def test_several_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    """Also of different formats and from any row on; errors name the file of a row."""
    files = [
        jsonl(tmp_path / "b.jsonl", ROWS[:1]),
        put(tmp_path / "a.csv", "id,text\nb,two\n"),
        table(tmp_path / "c.parquet", ROWS[2:]),
    ]
    reader = open_inputs(files)

    assert [read(reader, skip) for skip in range(5)] == [ROWS, ROWS[1:], ROWS[2:], [], []]
    places = [reader.where(row) for row in reader.rows()]
    assert places == ["line 1 of b.jsonl", "line 2 of a.csv", "row 1 of c.parquet"]


def test_positions_count_through_all_files(tmp_path: Path) -> None:
    """Also where reading begins in the middle."""
    files = [put(tmp_path / name, "one\ntwo\n") for name in ("a.txt", "b.txt")]

    assert read(open_inputs(files)) == [(0, "one"), (1, "two"), (2, "one"), (3, "two")]
    assert read(open_inputs(files), 3) == [(3, "two")]


def test_a_glob_that_no_shell_expanded(tmp_path: Path) -> None:
    """In the order of names; without a match it is an error, and so is a file twice."""
    for n, row in enumerate(ROWS):
        jsonl(tmp_path / f"part-{n}.jsonl", [row])
    pattern = tmp_path / "part-*.jsonl"

    assert read(open_inputs([pattern])) == ROWS
    with pytest.raises(JobError, match="no file matches"):
        open_inputs([tmp_path / "shard-*.jsonl"])
    with pytest.raises(JobError, match=r"part-0\.jsonl' appears twice"):
        open_inputs([pattern, tmp_path / "part-0.jsonl"])


def test_a_glob_takes_folders_as_a_shell_does(tmp_path: Path) -> None:
    """With `**`, which also matches what is in them, only where it matches no file."""
    for n, row in enumerate(ROWS):
        table(tmp_path / f"lang={n}" / "a.parquet", [row])
        put(tmp_path / f"lang={n}.job" / "manifest.json", "{}")

    for pattern in ("lang=*", "*", "**/lang=*", "**", "**/*.parquet"):
        assert read(open_inputs([tmp_path / pattern])) == ROWS
    assert [path.name for path in text_files(tmp_path / "lang=*", {".parquet"})] == [
        "a.parquet"
    ] * 3


def test_folders_are_read_recursively(tmp_path: Path) -> None:
    """Without what is hidden, and with the number of files that have another format."""
    table(tmp_path / "in" / "a.parquet", ROWS[:1])
    table(tmp_path / "in" / "deep" / "er" / "b.parquet", ROWS[1:])
    for name in ("_SUCCESS", ".a.parquet.crc", "_temporary/0/c.parquet", ".git/d.parquet"):
        put(tmp_path / "in" / name, "x")
    put(tmp_path / "in" / "README.md", "about")
    put(tmp_path / "in" / "dataset_infos.json", "{}")

    reader = open_inputs([tmp_path / "in"])

    assert read(reader) == ROWS
    assert [file.label for file in reader.files] == ["a.parquet", "deep/er/b.parquet"]
    assert reader.unread == 1


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "json"])
def test_a_folder_of_any_kind_of_table(suffix: str, tmp_path: Path) -> None:
    """Compressed files among them."""
    for n, (name, text) in enumerate(ROWS):
        row = {"id": name, "text": text}
        content = {"csv": f"id,text\n{name},{text}\n", "json": json.dumps([row])}.get(suffix)
        raw = (content or json.dumps(row)).encode()
        put(tmp_path / "in" / f"{n}.{suffix}", gzip.compress(raw) if "gz" in suffix else raw)

    assert read(open_inputs([tmp_path / "in"])) == ROWS


def test_a_folder_of_several_kinds_of_tables_is_refused(tmp_path: Path) -> None:
    """Unless one is chosen: nothing is left out silently."""
    jsonl(tmp_path / "corpus.jsonl", ROWS)
    put(tmp_path / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n")

    with pytest.raises(JobError, match=r"several formats \(1 jsonl, 1 tsv\): pass input_format"):
        open_inputs([tmp_path])
    assert read(open_inputs([tmp_path], "jsonl")) == ROWS


def test_few_tables_among_many_texts_are_not_preferred(tmp_path: Path) -> None:
    """The settings of a web site are not its texts, and a table can have a README."""
    put(tmp_path / "site.json", '[{"text": "no"}]')
    put(tmp_path / "a.md", "one")

    assert read(open_inputs([tmp_path])) == [(0, "no")]
    put(tmp_path / "b.md", "two")
    with pytest.raises(JobError, match=r"\(1 json, 2 text, whose format is 'folder'\): pass input"):
        open_inputs([tmp_path])
    assert read(open_inputs([tmp_path], "folder")) == [("a.md", "one"), ("b.md", "two")]


def test_hive_partitions_are_columns(tmp_path: Path) -> None:
    """Of all rows in their folders."""
    table(tmp_path / "in" / "lang=de" / "0.parquet", ROWS[:1])
    table(tmp_path / "in" / "lang=fr%20FR" / "0.parquet", ROWS[1:])

    reader = open_inputs([tmp_path / "in"], keep=["lang"])

    assert [row.kept for row in reader.rows()] == [("de",), ("fr FR",), ("fr FR",)]
    assert read(reader) == ROWS


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_all_columns_are_those_of_any_file(suffix: str, tmp_path: Path) -> None:
    """Schemas of shards change with time. A column that is named must be in every file."""
    if suffix == "parquet":
        pq.write_table(pa.table({"text": ["one"], "old": [1]}), tmp_path / "0.parquet")
        newer = {"text": ["two"], "new": [["x"]]}
        (tmp_path / "day=2").mkdir()
        pq.write_table(pa.table(newer), tmp_path / "day=2" / "1.parquet")
    else:
        put(tmp_path / "0.csv", "text,old\none,1\n")
        put(tmp_path / "day=2" / "1.csv", "text,new\ntwo,x\n")

    reader = open_inputs([tmp_path], keep=["all"])

    assert reader.columns.keep == ("text", "old", "new", "day")
    kept = [("one", 1, None, None), ("two", None, ["x"], "2")]
    if suffix == "csv":
        kept = [("one", "1", None, None), ("two", None, "x", "2")]
    assert [row.kept for row in reader.rows()] == kept
    types = ["string", "int64", "list<element: string>", "string"] if suffix == "parquet" else None
    assert types is None or [str(reader.type_of(name)) for name in reader.columns.keep] == types
    with pytest.raises(JobError, match="has no column 'old'"):
        open_inputs([tmp_path], keep=["old"])


@pytest.mark.parametrize("given", ["in/lang=de/0.parquet", "in/*/*.parquet", "in/lang=de"])
def test_partitions_are_columns_of_named_files_and_globs_too(given: str, tmp_path: Path) -> None:
    """A shell expands `*`, and the folders in the names it passes are the same."""
    table(tmp_path / "in" / "lang=de" / "0.parquet")

    reader = open_inputs([tmp_path / given], keep=["lang"])

    assert {row.kept for row in reader.rows()} == {("de",)}


@pytest.mark.parametrize("columns", [{"text_columns": ["title", "txt"]}, {"keep": ["txt"]}])
def test_a_column_that_no_row_has_is_refused(columns: Any, tmp_path: Path) -> None:
    """Joined texts would lack it, and a copied column would be empty. Some rows may lack it."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": 1, "title": "a", "text": "b"}\n{"id": 2, "text": "d", "late": 1}\n')

    with pytest.raises(JobError, match=r"has no column 'txt'; its columns are .*'late'"):
        open_inputs([path], **{"text_columns": ["text"], **columns})
    kept = open_inputs([path], text_columns=["title", "text"], keep=["late"])
    assert [row.kept for row in kept.rows()] == [(None,), (1,)]
    strings = tmp_path / "in.txt"
    strings.write_text("a\n")
    with pytest.raises(JobError, match=r"in\.txt has no columns, but column 'x' is required"):
        open_inputs([strings], keep=["x"])


def test_shards_of_which_only_some_have_ids_are_refused(tmp_path: Path) -> None:
    """Both are named."""
    table(tmp_path / "b.parquet")
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "a.parquet")

    with pytest.raises(JobError, match=r"b\.parquet has a column 'id', but a\.parquet does not"):
        open_inputs([tmp_path])


@pytest.mark.parametrize("name", ["_delta_log", ".hoodie"])
def test_a_delta_table_is_not_read_as_a_folder(name: str, tmp_path: Path) -> None:
    """Some of its files are deleted rows."""
    table(tmp_path / "in" / "0.parquet")
    (tmp_path / "in" / name).mkdir()

    with pytest.raises(JobError, match="table: export it to plain Parquet first"):
        open_inputs([tmp_path / "in"])


def test_what_save_to_disk_of_datasets_writes(tmp_path: Path) -> None:
    """Its data, and none of its caches."""
    folder = tmp_path / "train"
    folder.mkdir()
    kept = pa.table({"id": [n for n, _ in ROWS], "text": [t for _, t in ROWS]})
    for name, part in (("data-00000-of-00001.arrow", kept), ("cache-12ab.arrow", kept[:1])):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, kept.schema) as w:
            w.write_table(part)
    put(
        folder / "state.json",
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}),
    )
    put(folder / "dataset_info.json", "{}")
    put(tmp_path / "dataset_dict.json", '{"splits": ["train"]}')

    assert read(open_inputs([tmp_path])) == read(open_inputs([folder])) == ROWS
    assert read(open_inputs([tmp_path]), 2) == ROWS[2:]


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_files(new: Callable[..., Any], tmp_path: Path) -> None:
    """Both forms."""
    held = pa.table({"id": [n for n, _ in ROWS], "text": [t for _, t in ROWS]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, new(sink, held.schema) as writer:
        for batch in held.to_batches(max_chunksize=1):
            writer.write_batch(batch)
    reader = open_inputs([tmp_path / "a.arrow"])

    assert [read(reader, skip) for skip in range(4)] == [ROWS, ROWS[1:], ROWS[2:], []]
    (tmp_path / "b.arrow").write_bytes((tmp_path / "a.arrow").read_bytes())
    both = open_inputs([tmp_path / "a.arrow", tmp_path / "b.arrow"])
    assert [read(both, skip) for skip in (3, 4, 6)] == [ROWS, ROWS[1:], []]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("a.xlsx", "save it as CSV"), ("a.zip", "unpack it"), ("a.pdf", "extract its text"),
     ("a.dat", "pass input_format, one of jsonl")],
)  # fmt: skip
def test_what_is_not_read_says_what_to_do(name: str, remedy: str, tmp_path: Path) -> None:
    """Before it is opened."""
    with pytest.raises(JobError, match=remedy):
        open_inputs([put(tmp_path / name, "x")])


# ── compression, encodings, dialects ──────────────────────────────────────────────────────────────


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def zstd_long(content: bytes) -> bytes:
    """A frame whose header asks for a window of 2 GiB, with one uncompressed block."""
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3])
    return header + (len(content) << 3 | 1).to_bytes(3, "little") + content


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def test_the_content_shows_how_a_file_is_compressed(tmp_path: Path) -> None:
    """Not its name; compressed twice, it is decompressed twice."""
    content = "".join(json.dumps({"id": n, "text": t}) + "\n" for n, t in ROWS).encode()
    for name, packed in [
        ("a.jsonl.gz", zstd(content)),
        ("a.jsonl.zst", bz2.compress(content)),
        ("a.jsonl.gz", gzip.compress(gzip.compress(content))),
        ("a.jsonl.gz.gz", gzip.compress(lzma.compress(content))),
        ("a.jsonl.gz", b"".join(map(gzip.compress, content.splitlines(keepends=True)))),
    ]:
        reader = open_inputs([put(tmp_path / name, packed)])
        assert [read(reader, skip) for skip in range(4)] == [ROWS, ROWS[1:], ROWS[2:], []]


def test_a_byte_order_mark_between_concatenated_files_is_ignored(tmp_path: Path) -> None:
    lines = ["\ufeff" + json.dumps({"id": n, "text": t}) + "\r\n" for n, t in ROWS]
    assert read(open_inputs([put(tmp_path / "a.jsonl", "".join(lines))])) == ROWS


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)],
)
@pytest.mark.parametrize("named", [True, False])
def test_compressed_files(
    suffix: str, pack: Callable[[bytes], bytes], named: bool, tmp_path: Path
) -> None:
    """They are recognised by name or by their first bytes; damage is detected."""
    content = "".join(json.dumps({"id": n, "text": t}) + "\n" for n, t in ROWS).encode()
    path = put(tmp_path / f"a.jsonl{suffix if named else ''}", pack(content))

    assert read(open_inputs([path])) == ROWS
    put(path, pack(content * 1_000)[:-40])
    with pytest.raises(JobError, match="cannot be decompressed"):
        read(open_inputs([path]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id;text\na;one\n", r"if it is a CSV with semicolons, pass delimiter=';'"),
        ("a.csv", "id\ttext\na\tone\n", r"if it is a TSV, pass delimiter='\\t'"),
        ("a.tsv", "1\tone\n2\ttwo\n", r"if it has no header, pass header=False"),
        ("a.csv", "sep=;\nid;text\na;one\n", "not part of the table, pass skip_lines=1"),
        (
            "a.csv",
            'Source,"A, B",\n\nUpdated,2026,\n\nid,text,x,y\na,one,,\n',
            "if the table begins in line 5, pass skip_lines=4",
        ),
        ("a.csv", "id,text\na,one\n".encode("utf-16"), "begins like UTF-16.*encoding='utf-16'"),
        ("a.jsonl", '"one"\n'.encode("utf-16"), "begins like UTF-16.*encoding='utf-16'"),
        (
            "a.csv",
            '"id";"text"\n"a";"one"\n',
            "cannot be read.*if it is a CSV with semicolons",
        ),
        ("a.jsonl", LFS, r"is a pointer of Git LFS.*'git lfs pull'"),
        ("a.parquet", LFS, r"is a pointer of Git LFS.*'git lfs pull'"),
        ("a.parquet", gzip.compress(b"PAR1", mtime=0), "a.parquet is compressed: decompress it"),
        (
            "a.feather",
            b"FEA1" + b"\0" * 99,
            "is a Feather file of version 1: write it as version 2",
        ),
        ("a.csv", b"SQLite format 3\0", "is an SQLite database: export a table as CSV"),
        ("a.jsonl.gz", '"one"\n', "cannot be decompressed.*if it is not compressed, rename it"),
        ("a.jsonl.lz4", "x", "cannot be read: decompress it"),
        ("a.jsonl.zst", zstd_long(b'"one"\n'), "window of more than 128 MiB.*--long=31"),
        ("a.csv", "text,text\na,b\n", "a.csv has two columns 'text': rename one"),
    ],
)
def test_an_error_suggests_what_it_may_be(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    """It depends on the content of the file."""
    with pytest.raises(JobError, match=message):
        read(open_inputs([put(tmp_path / name, content)]))


@pytest.mark.parametrize(
    ("name", "content", "options", "columns"),
    [
        ("a.csv", "id;text\na;one\nb;two\nc;three\n", {"delimiter": ";"}, {}),
        ("a.csv", "junk\n\nid,text\na,one\nb,two\nc,three\n", {"skip_lines": 2}, {}),
        ("a.tsv", "a\tone\nb\ttwo\nc\tthree\n", {"header": False},
         {"id_column": "1", "text_columns": ["2"]}),
        ("a.csv", "id,text\na,one\nb,two\nc,three\n".encode("utf-16"), {"encoding": "utf-16"}, {}),
        ("a.json", ('[{"_id": "a", "text": "one"}, {"_id": "b", "text": "two"},'
                   '\n{"_id": "c", "text": "three"}]'), {}, {}),
    ],
)  # fmt: skip
def test_dialects(
    name: str, content: str | bytes, options: dict[str, Any], columns: Any, tmp_path: Path
) -> None:
    """As specified by the options."""
    path = put(tmp_path / name, content)

    reader = open_inputs([path], options=ReadOptions(**options), **columns)

    assert [read(reader, skip) for skip in range(4)] == [ROWS, ROWS[1:], ROWS[2:], []]


def test_latin_1_in_every_text_format(tmp_path: Path) -> None:
    """With the option; without it, its rows are invalid."""
    for name, content in [("a.csv", "text\nstraße\n"), ("a.jsonl", '{"text": "straße"}\n'),
                          ("a.txt", "straße\n"), ("a.md", "straße")]:  # fmt: skip
        path = put(tmp_path / name, content.encode("latin-1"))
        latin = open_inputs([path], options=ReadOptions(encoding="latin-1"))
        assert [row.text for row in latin.rows()] == ["straße"]
        assert "not UTF-8" in str(flaw_of(next(open_inputs([path]).rows())))


def test_quotes_mean_nothing_in_tsv(tmp_path: Path) -> None:
    """Most programs write it without quotes; a quoted file is read as a CSV with tabs."""
    content = 'id\ttext\na\tsays "hi\nb\t"two" there\nc\t"x\n'
    path = put(tmp_path / "a.tsv", content)

    assert read(open_inputs([path])) == [("a", 'says "hi'), ("b", '"two" there'), ("c", '"x')]
    put(path, 'id\ttext\na\t"tab\t""here"""\n')
    quoted = open_inputs([path], "csv", options=ReadOptions(delimiter="\t"))
    assert read(quoted) == [("a", 'tab\t"here"')]


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_lines_end_at_line_feeds_alone(name: str, tmp_path: Path) -> None:
    """Not at the other characters at which Python's `splitlines` splits."""
    text = "a\vb\fc\x1cd\x85e\u2028f\rg"
    line = json.dumps({"text": text}, ensure_ascii=False) if name == "a.jsonl" else text
    reader = open_inputs([put(tmp_path / name, f"{line}\r\n{line}\n")])

    assert read(reader) == [(0, text), (1, text)]


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ('{"text": "a", "n": 1' + "0" * 5_000 + "}", "a number has too many digits"),
        ('{"text": "' + "a" * 70_000_000 + '"}', "more than 67,108,864 bytes"),
    ],
)
def test_a_row_too_large_to_read_is_a_bad_one(line: str, flaw: str, tmp_path: Path) -> None:
    """The rows around it are read."""
    path = put(tmp_path / "a.jsonl", f'"one"\n{line}\n"two"\n')

    rows = list(open_inputs([path]).rows())

    assert [row.text for row in rows[::2]] == ["one", "two"]
    assert flaw in str(rows[1].flaw)
    assert len(rows[1].text) < 6_000


# ── columns ───────────────────────────────────────────────────────────────────────────────────────


def nested(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_corpus_of_beir(name: str, tmp_path: Path) -> None:
    """`_id` is the id; title and text are joined, empty ones left out."""
    rows = [{"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "title": "", "text": "two"},
            {"_id": "d3", "title": None, "text": "three"}]  # fmt: skip
    reader = open_inputs([nested(tmp_path / name, rows)], text_columns=["title", "text"])

    assert read(reader) == [("d1", "T\none"), ("d2", "two"), ("d3", "three")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_dotted_paths_reach_into_nested_values(name: str, tmp_path: Path) -> None:
    """For text, id and kept columns."""
    rows = [{"meta": {"key": 7, "url": "u"}, "doc": {"text": "one"}}]
    reader = open_inputs(
        [nested(tmp_path / name, rows)],
        text_columns=["doc.text"], id_column="meta.key", keep=["meta.url"],
    )  # fmt: skip

    (row,) = reader.rows()

    assert (row.id, row.text, row.kept) == (7, "one", ("u",))


def test_a_nested_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    """In a file whose columns are known."""
    path = nested(tmp_path / "a.parquet", [{"doc": {"text": "one"}}])

    with pytest.raises(JobError, match=r"a\.parquet has no column 'doc\.body'"):
        open_inputs([path], text_columns=["doc.body"])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_all_other_columns_can_be_kept(name: str, tmp_path: Path) -> None:
    """Or some; a name that the output uses itself is refused."""
    rows = [{"id": "a", "text": "one", "url": "u", "n": "1"}]
    path = tmp_path / name
    if name == "a.csv":
        put(path, "id,text,url,n\na,one,u,1\n")
    else:
        nested(path, rows)

    (row,) = open_inputs([path], keep=["all"]).rows()
    assert row.kept == ("one", "u", "1")
    (row,) = open_inputs([path], keep=["n"]).rows()
    assert row.kept == ("1",)
    with pytest.raises(JobError, match="column 'id' cannot be kept"):
        open_inputs([path], id_column="url", keep=["id"])


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_all_columns_of_json_are_those_of_any_row(suffix: str, tmp_path: Path) -> None:
    """A row without a column has None."""
    rows = [{"text": "a", "n": 1}, {"text": "b", "late": "x"}]
    path = tmp_path / f"in{suffix}"
    written = json.dumps(rows) if suffix == ".json" else "\n".join(map(json.dumps, rows))
    path.write_text(written, "utf-8")

    reader = open_inputs([path], keep=["all"])

    assert reader.columns.keep == ("text", "n", "late")
    assert [row.kept for row in reader.rows()] == [("a", 1, None), ("b", None, "x")]


def test_a_dotted_path_reaches_into_no_table_of_text(tmp_path: Path) -> None:
    """Where a column has a value without parts; a column whose name has a dot is one."""
    path = put(tmp_path / "a.csv", "meta,doc.text\nx,one\n")

    assert read(open_inputs([path], text_columns=["doc.text"])) == [(0, "one")]
    with pytest.raises(JobError, match=r"no column 'meta\.url'"):
        open_inputs([path], text_columns=["doc.text"], keep=["meta.url"])


def test_a_column_that_is_kept_twice_is_kept_once(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "text,lang\none,en\n")
    assert open_inputs([path], keep=["lang", "lang"]).columns.keep == ("lang",)


def test_a_glob_in_a_folder_whose_name_looks_like_one(tmp_path: Path) -> None:
    """What exists is a name; only the rest is a pattern."""
    put(tmp_path / "set [1]" / "a.txt", "one")
    put(tmp_path / "set 1" / "b.txt", "two")
    assert read(open_inputs([tmp_path / "set [1]" / "*.txt"])) == [(0, "one")]


def test_only_streams_without_a_suffix_are_json_lines_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other files have the format that their names indicate."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "one"}')))
    other = put(tmp_path / "a.csv", "text\ntwo\n")
    source = open_inputs([Path("-"), other], spool_folder=tmp_path / "spool")
    assert read(source) == [(0, "one"), (1, "two")]


def test_compressed_parquet_is_to_be_decompressed(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet.gz", gzip.compress(table(tmp_path / "b.parquet").read_bytes()))
    with pytest.raises(JobError, match="decompress it first"):
        open_inputs([path])


def test_the_partition_of_missing_values_is_null(tmp_path: Path) -> None:
    table(tmp_path / "lang=__HIVE_DEFAULT_PARTITION__" / "a.parquet")
    rows = open_inputs([tmp_path], keep=["lang"]).rows()
    assert {row.kept for row in rows} == {(None,)}


def test_the_folder_of_a_job_is_no_input(tmp_path: Path) -> None:
    """It lies next to the output, which may lie in a folder of inputs."""
    put(tmp_path / "a.json", '[{"text": "one"}]')
    put(tmp_path / "out.parquet.job" / "manifest.json", "{}")
    put(tmp_path / "mine.job" / "b.json", '[{"text": "two"}]')
    assert read(open_inputs([tmp_path])) == [(0, "one"), (1, "two")]


@pytest.mark.parametrize("level", [1, 9])
def test_bzip2_of_any_level_is_recognised_without_its_suffix(level: int, tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", bz2.compress(b"one", level))
    assert read(open_inputs([path])) == [(0, "one")]


def test_links_to_other_files_of_the_input_are_left_out(tmp_path: Path) -> None:
    """Such as `latest.jsonl`, in folders and shell globs; other links are read."""
    folder, elsewhere = tmp_path / "in", tmp_path / "other.jsonl"
    folder.mkdir()
    files = [folder / f"{name}.jsonl" for name in ("latest", "part-0", "x", "y")]
    jsonl(files[1], ROWS[:1])
    jsonl(elsewhere, ROWS[1:2])
    files[0].symlink_to("part-0.jsonl")
    files[2].symlink_to(elsewhere)
    files[3].symlink_to(elsewhere)

    assert read(open_inputs([folder])) == read(open_inputs(files)) == ROWS[:2]
    assert read(open_inputs([files[0]])) == ROWS[:1]
    texts = [file.rename(file.with_suffix(".md")) for file in files]
    texts[0].unlink()
    texts[0].symlink_to("part-0.md")
    assert [name for name, _ in read(open_inputs([folder]))] == ["part-0.md", "x.md", "y.md"]


def test_links_to_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    """Links to what is read anyway are not, nor are those that form a loop."""
    root, other = tmp_path / "in", tmp_path / "other"
    table(root / "v1" / "a.parquet", ROWS[:1])
    table(other / "b.parquet", ROWS[1:])
    for link, target in (("latest", root / "v1"), ("up", tmp_path), ("z", other)):
        (root / link).symlink_to(target)
    for link, target in (("self", other), ("back", root)):
        (other / link).symlink_to(target)

    assert read(open_inputs([root])) == ROWS
