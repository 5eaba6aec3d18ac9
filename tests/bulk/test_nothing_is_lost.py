"""A job changes only its own files, and reports every row that it does not embed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk.conftest import Service
from bulk_inputs import embedded, expected, jsonl, parquet, rows_of
from conftest import Runner
from fakes import MODEL, failed, served, voyage_over
from voyage_rag import AuthenticationError, VoyageError
from voyage_rag.bulk import BadRowsError, EmbeddingJob, JobError, JobReport, outputs
from voyage_rag.bulk.job_folder import JobFolder

Embed = Callable[..., JobReport]
ROWS = rows_of(20)


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ── ids ───────────────────────────────────────────────────────────────────────────────────────────


def test_ids_that_begin_later_are_not_replaced_by_positions(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """They are refused; named explicitly, rows without them are bad ones."""
    rows = [{"text": "one"}, {"text": "two", "id": "b"}]
    source = lines(tmp_path / "in.jsonl", *rows)

    with pytest.raises(JobError, match=r"line 2 of in\.jsonl has 'id', but the first row"):
        embed(source)
    assert service.attempts == []
    report = embed(source, id_column="id", on_error="skip")
    assert (report.texts, report.refused) == (1, 1)
    assert embedded(tmp_path / "out.parquet") == expected([("b", "two")])


def test_the_first_readable_row_decides_where_ids_are(embed: Embed, tmp_path: Path) -> None:
    """A broken line before it has no influence."""
    source = tmp_path / "in.jsonl"
    source.write_text('{broken\n{"text": "one", "_id": "a"}\n', "utf-8")

    assert embed(source, on_error="skip").refused == 1
    assert embedded(tmp_path / "out.parquet") == expected([("a", "one")])


@pytest.mark.parametrize("kind", ["int32", "uint64", "int8", "string"])
def test_ids_keep_their_type(embed: Embed, kind: str, tmp_path: Path) -> None:
    """The type that the input declares, up to its largest number."""
    largest = {"int32": 2**31 - 1, "uint64": 2**64 - 1, "int8": 127}.get(kind, "9")
    first = "1" if kind == "string" else 1
    names = pa.array([first, largest], pa.type_for_alias(kind))
    pq.write_table(pa.table({"id": names, "text": ["a", "b"]}), tmp_path / "in.parquet")

    embed(tmp_path / "in.parquet")

    found = pq.read_table(tmp_path / "out.parquet")["id"]
    assert str(found.type) == kind
    assert found.to_pylist() == [first, largest]


# ── what was there before ─────────────────────────────────────────────────────────────────────────


def test_a_folder_with_files_of_others_is_not_replaced(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """The file is named; what voyage-rag wrote is still there."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    embed(source, "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before, sent = everything(tmp_path), len(service.attempts)

    with pytest.raises(JobError, match=r"contains 'notes\.txt', which voyage-rag did not write"):
        embed(source, "out", overwrite=True)
    assert everything(tmp_path) == before
    assert len(service.attempts) == sent


def test_a_parquet_file_of_another_program_is_not_replaced(embed: Embed, tmp_path: Path) -> None:
    """Even if it has the name of a part."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    (tmp_path / "out").mkdir()
    parquet(tmp_path / "out" / "part-00000.parquet", ROWS)

    with pytest.raises(JobError, match=r"contains 'part-00000\.parquet'"):
        embed(source, "out", overwrite=True)


def test_side_files_and_folders_of_others_stay(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """A folder with the name of the job's folder is an error; a side file gets another name."""
    source = lines(tmp_path / "in.jsonl", {"text": "one"}, {"text": ""})
    foreign = tmp_path / "out.parquet.job"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")

    for path in (tmp_path / "nosuch.jsonl", source):
        with pytest.raises(JobError, match=r"contains 'thesis\.txt', which voyage-rag did not"):
            embed(path, on_error="skip")
    assert (foreign / "thesis.txt").read_text() == "mine"
    assert service.attempts == []

    side = tmp_path / "other.parquet.refused.jsonl"
    side.write_text("mine")
    report = embed(source, "other.parquet", on_error="skip")
    assert side.read_text() == "mine"
    assert report.refused_file == tmp_path / "other.parquet.refused-2.jsonl"
    embed(lines(source, {"text": "one"}), "other.parquet", overwrite=True)
    assert side.read_text() == "mine"
    assert not (tmp_path / "other.parquet.refused-2.jsonl").exists()


def test_ids_beside_a_matrix_are_not_overwritten(embed: Embed, tmp_path: Path) -> None:
    """They are part of the output."""
    side = tmp_path / "out.npy.ids.jsonl"
    side.write_text("mine")

    with pytest.raises(JobError, match=r"out\.npy\.ids\.jsonl' exists"):
        embed(parquet(tmp_path / "in.parquet", ROWS), "out.npy")
    assert side.read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("output", ["in/in.parquet", "in", "in/vectors", "."])
def test_an_output_on_in_or_around_the_input_is_refused(
    embed: Embed, output: str, overwrite: bool, tmp_path: Path
) -> None:
    """With and without `overwrite`."""
    (tmp_path / "in").mkdir()
    parquet(tmp_path / "in" / "in.parquet", ROWS)
    before = everything(tmp_path)

    for source in (tmp_path / "in", tmp_path / "i[n]"):
        with pytest.raises(JobError, match=r"the output .* (is in|contains) the input"):
            embed(source, output, overwrite=overwrite, output_format="dataset")
    assert everything(tmp_path) == before


def test_a_folder_where_a_file_goes_is_found_before_anything_is_sent(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """And vice versa."""
    (tmp_path / "out.parquet").mkdir()
    source = parquet(tmp_path / "in.parquet", ROWS)

    with pytest.raises(JobError, match=r"out\.parquet' is a folder"):
        embed(source, overwrite=True)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(JobError, match="out' is a file, not a folder"):
        embed(source, "out", overwrite=True)
    assert service.attempts == []


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.npy", "out.jsonl"])
def test_an_output_that_was_changed_since_is_not_taken_for_finished(
    embed: Embed, output: str, tmp_path: Path
) -> None:
    """It is overwritten only with `overwrite`."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    embed(source, output)
    assert embed(source, output).was_finished
    path = tmp_path / output
    changed = next(path.iterdir()) if path.is_dir() else path
    original = changed.read_bytes()
    changed.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))

    with pytest.raises(JobError, match="exists"):
        embed(source, output)
    changed.write_bytes(original)
    assert embed(source, output).was_finished


# ── inputs that change ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", ["rewritten", "longer", "shorter", "gone"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_an_input_that_changes_meanwhile_is_noticed(name: str, change: str, tmp_path: Path) -> None:
    """Before the output appears; the job is not resumed with the other input."""
    write = jsonl if name.endswith("jsonl") else parquet
    source = write(tmp_path / name, ROWS)

    def changing(body: bytes) -> Any:
        if change == "gone":
            source.unlink(missing_ok=True)
        else:
            count = {"rewritten": 20, "longer": 30, "shorter": 5}[change]
            write(source, [(f"x{n}", f"other {n}") for n in range(count)])
        return served(body)

    service = Service(served, changing)
    job = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL, batch_size=1, rows_per_part=3)
    with pytest.raises(JobError, match="the input changed while it was read"):
        job.run(voyage_over(service, concurrency=1))
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("change", ["touched", "compressed", "renamed"])
@pytest.mark.parametrize("keep", [(), "all"])
@pytest.mark.parametrize("output", ["out.parquet", "out"])
def test_a_job_resumes_with_a_copy_of_its_input(
    output: str, keep: Any, change: str, tmp_path: Path
) -> None:
    """Copies, version control and synchronisation change times, but not rows."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f'{{"text": "{n}", "url": "u{n}"}}\n' for n in range(60)) + "bad\n")
    service = Service(*[served] * 2, always=lambda body: failed(401))
    options = {"model": MODEL, "rows_per_part": 10, "batch_size": 8, "keep": keep}
    options |= {"on_error": "skip"}
    with pytest.raises(AuthenticationError):
        EmbeddingJob(source, tmp_path / output, **options).run(voyage_over(service, concurrency=1))
    if change == "touched":
        os.utime(source, ns=(0, 0))
    elif change == "compressed":
        source.write_bytes(gzip.compress(source.read_bytes()))
    else:
        source = source.rename(tmp_path / "other.jsonl")

    service = Service()
    job = EmbeddingJob(source, tmp_path / output, **options)
    assert not job.estimate().problems
    report = job.run(voyage_over(service))
    os.utime(source, ns=(1, 1))
    again = job.run(voyage_over(service))

    assert sum(service.paid.values()) == 60 - 16
    rows = [(n, str(n)) for n in range(60)]
    assert embedded(tmp_path / output) == expected(rows)
    assert again.was_finished
    assert report.texts == again.texts == 60
    refused = json.loads((tmp_path / f"{output}.refused.jsonl").read_text())
    assert (refused["file"], refused["row"]) == (source.name, 61)


@pytest.mark.parametrize("change", ["text", "id", "kept", "added", "swapped"])
def test_a_job_does_not_resume_with_other_rows(change: str, tmp_path: Path) -> None:
    """Not even if the file has the same size."""
    rows = [{"id": f"a{n}", "text": f"t{n}", "url": "u"} for n in range(60)]
    source = tmp_path / "in.jsonl"

    def write() -> None:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write()
    service = Service(*[served] * 2, always=lambda body: failed(401))
    options = {"model": MODEL, "batch_size": 8, "keep": "url"}
    job = EmbeddingJob(source, tmp_path / "out.parquet", **options)
    with pytest.raises(AuthenticationError):
        job.run(voyage_over(service, concurrency=1))
    if change == "added":
        rows.append(rows[0] | {"id": "new"})
    elif change == "swapped":
        rows[0], rows[1] = rows[1], rows[0]
    else:
        rows[50][{"text": "text", "id": "id", "kept": "url"}[change]] = "x"
    write()

    with pytest.raises(JobError, match="another input, or rows that have changed since"):
        job.run(voyage_over(Service()))


def test_a_change_of_the_input_is_noticed_before_its_rows_are_sent(tmp_path: Path) -> None:
    """The stored vectors stay valid: the job resumes with the original rows."""
    source = tmp_path / "in.txt"
    original = "".join(f"text {n}\n" for n in range(600))
    source.write_text(original)

    def changing(body: bytes) -> Any:
        source.write_text(original.replace("text", "task"))
        return served(body)

    service = Service(served, changing)
    job = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL, batch_size=10)
    with pytest.raises(JobError, match="the input changed while it was read"):
        job.run(voyage_over(service, concurrency=1))
    assert not any("task" in text for text in service.paid)
    paid = sum(service.paid.values())
    source.write_text(original)
    service = Service()
    job.run(voyage_over(service))

    assert 20 <= paid <= 300
    assert sum(service.paid.values()) <= 600 - 20


# ── jobs that failed ──────────────────────────────────────────────────────────────────────────────


def test_a_job_that_stored_nothing_is_forgotten(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """Another model is another job; the error does not blame a row."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    service.always = lambda body: failed(400, "Model voyage-9 is not supported.")
    with pytest.raises(
        VoyageError, match=r"rejected the first request .*voyage-9 is not supported"
    ):
        embed(source, model="voyage-9")
    service.always = served

    assert not (tmp_path / "out.parquet.job").exists()
    assert embed(source).texts == len(ROWS)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 2}', '{"version": 1}', "null", ""])
def test_a_damaged_job_is_given_up_where_that_is_said(
    embed: Embed, content: str, tmp_path: Path
) -> None:
    """And left unchanged otherwise."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    folder = tmp_path / "out.parquet.job"
    folder.mkdir()
    (folder / "manifest.json").write_text(content)

    with pytest.raises(
        JobError, match=r"is damaged or was written by another version.*overwrite=True"
    ):
        embed(source)
    assert (folder / "manifest.json").read_text() == content
    assert embed(source, overwrite=True).texts == len(ROWS)


# ── broken tables ─────────────────────────────────────────────────────────────────────────────────


def test_all_lines_that_a_stray_quote_swallows_are_kept(embed: Embed, tmp_path: Path) -> None:
    """Each is counted and written to the side file."""
    table = [f"{n},text {n}\n" for n in range(1_000)]
    table[4] = '4,"text 4\n'
    source = tmp_path / "in.csv"
    source.write_text("id,text\n" + "".join(table))

    with pytest.raises(BadRowsError, match=r"lines 6 to 1,001 cannot be separated.*995 more"):
        embed(source)
    report = embed(source, on_error="skip")
    assert (report.texts, report.refused) == (4, 996)
    assert report.refused_file is not None
    side = [json.loads(line) for line in report.refused_file.read_text().splitlines()]
    assert [entry["text"] + "\n" for entry in side] == table[4:]
    assert [entry["row"] for entry in side] == list(range(6, 1_002))


# ── before a run ──────────────────────────────────────────────────────────────────────────────────


def test_an_estimate_names_all_that_would_stop_the_run(tmp_path: Path) -> None:
    """An existing output, an unfinished job, bad rows: all are named, and nothing is changed."""
    source = lines(tmp_path / "in.jsonl", *({"text": f"text {n}"} for n in range(9)), {"text": ""})
    output = tmp_path / "out.parquet"
    service = Service(served, always=lambda body: failed(401))
    begun = EmbeddingJob(source, output, model=MODEL, batch_size=2, on_error="skip")
    with pytest.raises(VoyageError):
        begun.run(voyage_over(service, concurrency=1))
    output.write_text("mine")
    before = everything(tmp_path)

    problems = EmbeddingJob(source, output, model="voyage-4").estimate().problems

    assert [any(word in p for p in problems) for word in ("unfinished", "exists", "empty")] == [
        True, True, True,
    ]  # fmt: skip
    assert len(problems) == 3
    assert everything(tmp_path) == before
    resumed = EmbeddingJob(source, output, model=MODEL, batch_size=2, on_error="skip")
    assert ["exists" in problem for problem in resumed.estimate().problems] == [True]


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("output", [".", "/", ""])
def test_an_output_without_a_name_is_refused(output: str) -> None:
    with pytest.raises(JobError, match=r"has no name|is empty"):
        EmbeddingJob("in.jsonl", output, model=MODEL)


def test_an_empty_input_is_not_the_current_folder() -> None:
    """A shell passes one for a variable that is not set."""
    with pytest.raises(JobError, match="a path is empty"):
        EmbeddingJob("", "out.parquet", model=MODEL)


@pytest.mark.parametrize("given", [None, 7, b"in.jsonl", ["in.jsonl", None]])
def test_what_is_no_path_is_refused(given: Any) -> None:
    for arguments in ((given, "out.parquet"), ("in.jsonl", given)):
        with pytest.raises(JobError, match="pass the path of a file, not"):
            EmbeddingJob(*arguments, model=MODEL)


@pytest.mark.parametrize("table", [pa.table({"text": ["one"]}), {"text": ["one"]}])
def test_a_table_in_memory_is_not_a_list_of_paths(table: Any) -> None:
    """The names of its columns would be taken for paths."""
    with pytest.raises(JobError, match=r"not (Table|dict): write data to a file"):
        EmbeddingJob(table, "out.parquet", model=MODEL)


def test_an_open_file_is_no_list_of_paths(tmp_path: Path) -> None:
    """Although it can be iterated over."""
    source = jsonl(tmp_path / "in.jsonl", ROWS)
    with source.open() as file, pytest.raises(JobError, match="not TextIOWrapper"):
        EmbeddingJob(cast("Any", file), "out.parquet", model=MODEL)


def test_an_output_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A device would be replaced by a file, for all programs of the machine."""
    fifo = tmp_path / "fifo.jsonl"
    os.mkfifo(fifo)
    for overwrite in (False, True):
        with pytest.raises(JobError, match=r"is not a regular file: pass one, or '-'"):
            EmbeddingJob("in.jsonl", fifo, model=MODEL, overwrite=overwrite)


def test_an_output_that_is_a_url_is_refused() -> None:
    with pytest.raises(JobError, match="is a URL: pass a file, and upload it"):
        EmbeddingJob("in.jsonl", "s3://bucket/out.parquet", model=MODEL)


@pytest.mark.parametrize("output", ["run:1.parquet", "run:1", "run:1.jsonl"])
def test_a_relative_output_with_a_colon_is_a_path(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for pyarrow, which takes such names for URLs."""
    monkeypatch.chdir(tmp_path)
    source = parquet(tmp_path / "in.parquet", ROWS)
    report = EmbeddingJob(source, output, model=MODEL).run(voyage_over(Service()))
    assert (report.texts, Path(output).exists()) == (len(ROWS), True)


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("name", ["out.parquet", "out", "out.jsonl"])
def test_the_target_of_a_link_is_written_and_the_link_stays(
    embed: Embed, name: str, exists: bool, tmp_path: Path
) -> None:
    source = parquet(tmp_path / "in.parquet", ROWS)
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / name, tmp_path / name
    link.symlink_to(target)
    if exists:
        embed(source, str(target))

    report = embed(source, name, input_type=None, overwrite=exists)

    assert (report.output, link.is_symlink(), target.exists()) == (target, True, True)


def test_an_estimate_reports_that_another_process_works_on_the_job(tmp_path: Path) -> None:
    """The run would fail. The lock file of a killed process does not count."""
    source, folder = lines(tmp_path / "in.jsonl", {"text": "one"}), tmp_path / "out.parquet.job"
    job = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL)

    with JobFolder(folder):
        (problem,) = job.estimate().problems
    folder.mkdir()
    (folder / "lock").touch()

    assert "another process is working on" in problem
    assert not job.estimate().problems


@pytest.mark.parametrize(
    ("output", "remedy"), [("out.parquet", "mount its folder instead"), ("out", "an output in it")]
)
def test_a_mount_point_is_refused_before_anything_is_sent(
    output: str, remedy: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers mount single files and empty volumes, which cannot be replaced."""
    source, path = lines(tmp_path / "in.jsonl", {"text": "one"}), tmp_path / output
    path.touch() if path.suffix else path.mkdir()
    monkeypatch.setattr("os.path.ismount", lambda given: Path(given) == path)
    job = EmbeddingJob(source, path, model=MODEL, overwrite=True)

    with pytest.raises(JobError, match=f"is a mount point, which cannot be replaced: .*{remedy}"):
        job.run(voyage_over(service))
    assert not service.bodies


def test_a_folder_that_cannot_be_written_is_a_problem_of_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    source = parquet(tmp_path / "in.parquet", ROWS)
    estimate = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL).estimate()
    assert [problem.partition(": ")[0] for problem in estimate.problems] == [
        f"the folder {str(tmp_path)!r} is not writable"
    ]


def test_the_home_folder_may_be_abbreviated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in paths that no shell has expanded, as in a configuration file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    job = EmbeddingJob("~/in.jsonl", "~/out.parquet", model=MODEL)
    assert (job.inputs, job.output) == ([tmp_path / "in.jsonl"], tmp_path / "out.parquet")


def test_an_address_is_no_file(tmp_path: Path) -> None:
    job = EmbeddingJob("https://example.com/in.jsonl", tmp_path / "out.parquet", model=MODEL)
    with pytest.raises(JobError, match="download the file first"):
        job.run(voyage_over(Service()))


def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path) -> None:
    """Of an output. The job is then known to be finished. Parquet's library rejects such names."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    output = tmp_path / os.fsdecode(b"\xff.jsonl")

    reports = [
        EmbeddingJob(source, output, model=MODEL).run(voyage_over(Service())) for _ in range(2)
    ]

    assert [report.was_finished for report in reports] == [False, True]
    assert output.read_text().count("\n") == len(ROWS)
    with pytest.raises(JobError, match="is not UTF-8, which Parquet requires"):
        EmbeddingJob(source, output.with_suffix(".parquet"), model=MODEL)
    named = tmp_path / os.fsdecode(b"\xff.parquet")
    source.rename(named)
    with pytest.raises(JobError, match="cannot be read as Parquet"):
        EmbeddingJob(named, tmp_path / "out.jsonl", model=MODEL).run(voyage_over(Service()))


def test_kept_values_that_json_does_not_have(embed: Embed, tmp_path: Path) -> None:
    """NaN is null, as JSON parsers expect, and bytes are base64."""
    source = tmp_path / "in.parquet"
    table = {"text": ["a", "b"], "score": [float("nan"), 1.5], "raw": [b"\xff\x00", None]}
    nested = {"list": [[float("inf"), 2.0], None]}
    pq.write_table(pa.table(table | nested), source)

    embed(source, "out.jsonl", keep="all")

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["score"] for row in rows] == [None, 1.5]
    assert [row["raw"] for row in rows] == ["/wA=", None]
    assert [row["list"] for row in rows] == [[None, 2.0], None]


TIMES = {
    "nanoseconds": pa.array([1, 1_700_000_000_123_456_789, None], pa.timestamp("ns")),
    "zone": pa.array([1, None, 2], pa.timestamp("ns", tz="Europe/Berlin")),
    "time": pa.array([1, None, 2], pa.time64("ns")),
    "early": pa.array([-1_000_000, None, 0], pa.date32()),
    "duration": pa.array([1, None, 2], pa.duration("ns")),
}


@pytest.mark.parametrize("name", TIMES)
def test_kept_times_that_python_does_not_have(name: str, embed: Embed, tmp_path: Path) -> None:
    """Nanoseconds, and years before 1: Parquet has the same values, JSON has them as strings."""
    source = tmp_path / "in.parquet"
    column = TIMES[name]
    pq.write_table(pa.table({"text": ["a", "b", "c"], "time": column}), source)

    embed(source, keep="time")
    embed(source, "out.jsonl", keep="time")

    kept = pq.read_table(tmp_path / "out.parquet").column("time").combine_chunks()
    assert kept.equals(column)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["time"] for row in rows] == column.cast(pa.string()).to_pylist()


@pytest.mark.parametrize("output", ["out.parquet", "out.jsonl"])
def test_categories_as_polars_writes_them_are_kept(
    output: str, embed: Embed, tmp_path: Path
) -> None:
    """Arrow cannot build such arrays from Python values."""
    source = tmp_path / "in.arrow"
    kinds = pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1], pa.uint32()), pa.array(["x", "y"], pa.string_view())
    )
    table = pa.table({"text": ["a", "b", "c"], "kind": kinds})
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)

    embed(source, output, keep="kind")

    if output == "out.parquet":
        kept = pq.read_table(tmp_path / output).column("kind").to_pylist()
    else:
        kept = [json.loads(line)["kind"] for line in (tmp_path / output).read_text().splitlines()]
    assert kept == ["x", None, "y"]


@pytest.mark.parametrize("output", ["out.parquet", "out"])
def test_a_kept_type_that_parquet_does_not_have_is_refused_before_anything_is_sent(
    output: str, embed: Embed, service: Service, tmp_path: Path
) -> None:
    """JSON Lines take it, and an estimate names the problem."""
    source = tmp_path / "in.arrow"
    spans = pa.array([(1, 2, 3), None], pa.month_day_nano_interval())
    table = pa.table({"text": ["a", "b"], "span": spans})
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)

    with pytest.raises(JobError, match="column 'span' cannot be kept, because Parquet has no type"):
        embed(source, output, keep="span")
    job = EmbeddingJob(source, tmp_path / output, model=MODEL, keep="span")
    assert "column 'span' cannot be kept" in job.estimate().problems[0]
    assert service.attempts == []
    assert everything(tmp_path).keys() == {"in.arrow"}
    embed(source, "out.jsonl", keep="span")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["span"] for row in rows] == [[1, 2, 3], None]


def test_a_kept_time_in_an_unknown_zone_is_refused(embed: Embed, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    times = pa.array([1], pa.timestamp("us", tz="Nowhere/City"))
    pq.write_table(pa.table({"text": ["a"], "time": times}), source)

    with pytest.raises(JobError, match=r"'time' contains a value that is not .*Nowhere/City"):
        embed(source, keep="time")


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_too_long_for_the_side_file_is_refused_before_anything_is_sent(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """The name of the side file is longer than that of the output."""
    source = lines(tmp_path / "in.jsonl", {"text": "one"}, {"text": ""})
    name = "x" * 230 + ".jsonl"

    with pytest.raises(JobError, match="too long"):
        embed(source, name, on_error="skip")
    assert service.attempts == []
    assert embed(source, name[10:], on_error="skip").refused == 1


def test_a_link_to_itself_is_no_output(tmp_path: Path) -> None:
    link = tmp_path / "out.parquet"
    link.symlink_to(link)
    with pytest.raises(JobError, match="symbolic link to itself"):
        EmbeddingJob("in.jsonl", link, model=MODEL)


# ── stdout, pipes ─────────────────────────────────────────────────────────────────────────────────


def test_json_lines_go_to_stdout(
    embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the job is complete; nothing is left behind."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = TextIOWrapper(BytesIO())
    monkeypatch.setattr("sys.stdout", out)
    source = parquet(tmp_path / "in.parquet", ROWS)

    job = EmbeddingJob(source, "-", model=MODEL)
    job.run(voyage_over(Service()))

    raw = out.buffer.getvalue()  # type: ignore[attr-defined]
    rows = [json.loads(line) for line in raw.decode().splitlines()]
    assert [(row["id"], row["embedding"]) for row in rows] == expected(ROWS)
    assert everything(tmp_path).keys() == {"in.parquet"}


def test_a_cache_folder_that_cannot_be_used_is_named_with_its_setting(
    embed: Embed, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers have read-only home folders."""
    source = lines(tmp_path / "in.jsonl", {"text": "one"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO()))

    with pytest.raises(JobError, match=r"for temporary files .set XDG_CACHE_HOME to a writable"):
        EmbeddingJob(source, "-", model=MODEL).run(voyage_over(service))
    assert not service.bodies


@pytest.mark.parametrize("stdout", [None, StringIO()])
def test_stdout_that_takes_no_bytes_is_refused_before_anything_is_sent(
    stdout: StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed, or replaced, as in a notebook."""
    monkeypatch.setattr("sys.stdout", stdout)
    with pytest.raises(JobError, match="stdout is closed, or accepts only text: pass a file"):
        EmbeddingJob("in.jsonl", "-", model=MODEL)


class Broken(BytesIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: object) -> int:
        raise self.error


@pytest.mark.parametrize("piped", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "full")], ids=["broken", "full"])
def test_vectors_that_stdout_does_not_take(
    error: OSError, piped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    """They are kept for the same command, unless the reader has enough or the input is a pipe."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.stdout", TextIOWrapper(Broken(error), write_through=True))
    source = jsonl(tmp_path / "in.jsonl", ROWS)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(source.read_bytes())))
    service, given = Service(), "-" if piped else source

    with pytest.raises(OSError):  # noqa: PT011 - any
        runner.call(EmbeddingJob(given, "-", model=MODEL), "run", voyage_over(service))

    is_kept = not piped and not isinstance(error, BrokenPipeError)
    assert any(path.is_file() for path in (tmp_path / "cache").rglob("*")) == is_kept
    if is_kept:
        out = TextIOWrapper(BytesIO())
        monkeypatch.setattr("sys.stdout", out)
        runner.call(EmbeddingJob(given, "-", model=MODEL), "run", voyage_over(service))
        assert out.buffer.getvalue().count(b"\n") == len(ROWS)  # type: ignore[attr-defined]
        assert max(service.paid.values()) == 1


def test_an_unfinished_job_from_a_pipe_to_stdout_is_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    """It could not be resumed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO()))
    source = jsonl(tmp_path / "in.jsonl", ROWS)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(source.read_bytes())))
    voyage = voyage_over(Service(served, always=lambda body: failed(401)), concurrency=1)

    with pytest.raises(VoyageError):
        runner.call(EmbeddingJob("-", "-", model=MODEL, batch_size=5), "run", voyage)

    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


def test_a_pipe_is_read_like_stdin(tmp_path: Path) -> None:
    """A shell's `<(...)` can be read only once."""
    reading, writing = os.pipe()
    os.write(writing, jsonl(tmp_path / "in.jsonl", ROWS).read_bytes())
    os.close(writing)

    EmbeddingJob(f"/dev/fd/{reading}", tmp_path / "out.parquet", model=MODEL).run(
        voyage_over(Service())
    )

    os.close(reading)
    assert embedded(tmp_path / "out.parquet") == expected(ROWS)


@pytest.mark.parametrize("closed", [True, False])
def test_stdin_that_is_closed_is_named(
    closed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether Python has a file for it or not."""
    file = TextIOWrapper(BytesIO())
    file.close()
    monkeypatch.setattr("sys.stdin", file if closed else None)

    with pytest.raises(JobError, match="stdin is closed"):
        EmbeddingJob("-", tmp_path / "out.parquet", model=MODEL).run(voyage_over(Service()))


# ── what the disk keeps ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.npy"])
def test_finished_files_are_flushed_before_they_appear(
    embed: Embed, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file of the output, under the name it was written with, and its folder after that."""
    flushed: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        flushed.append(os.fstat(file).st_ino)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    embed(parquet(tmp_path / "in.parquet", ROWS), output)

    made = tmp_path / output
    files = list(made.iterdir()) if made.is_dir() else list(tmp_path.glob(f"{output}*"))
    for file in files:
        if file.is_file():
            assert file.stat().st_ino in flushed
    last_file = max(flushed.index(f.stat().st_ino) for f in files if f.is_file())
    assert tmp_path.stat().st_ino in flushed[last_file:]


def test_journals_are_flushed_before_their_parts_go_into_a_file(
    embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cannot be resumed: after a power cut it is written again from them."""
    flushed: list[str] = []
    monkeypatch.setattr(outputs, "flush_to_disk", lambda path: flushed.append(path.name))
    embed(parquet(tmp_path / "in.parquet", ROWS), "out.parquet", rows_per_part=2)
    journals = [name for name in flushed if name.endswith(".journal")]
    assert sorted(journals) == [f"part-{n:05}.journal" for n in range(-(-len(ROWS) // 2))]
    assert flushed[: len(journals)] == journals


def test_an_empty_folder_may_be_the_output(embed: Embed, tmp_path: Path) -> None:
    """One that `mkdir` created; with a file in it, the output is refused."""
    source = parquet(tmp_path / "in.parquet", ROWS)
    (tmp_path / "out").mkdir()
    assert embed(source, "out").texts == len(ROWS)
    with pytest.raises(JobError, match="out' exists"):
        embed(source, "out", input_type=None)
