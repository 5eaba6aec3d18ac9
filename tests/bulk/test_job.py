"""A job from input to output: results, rejected input, and resuming."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bulk.conftest import Service
from bulk_inputs import embedded, expected, jsonl, parquet, rows_of
from conftest import Runner
from fakes import MODEL, base64_of, failed, ok, served, voyage_over
from voyage_rag import AuthenticationError, InvalidInputError, Voyage
from voyage_rag.bulk import BadRowsError, EmbeddingJob, JobError, JobProgress, JobReport
from voyage_rag.hosts.messages import Response

Embed = Callable[..., JobReport]

ROWS = rows_of(95)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return parquet(tmp_path / "in.parquet", ROWS)


def begin(runner: Runner, source: Path, output: Path, **options: Any) -> None:
    """Run a job, which fails after its first request."""
    service = Service(served, always=lambda body: failed(401))
    chosen = {"model": MODEL, "rows_per_part": 10, "batch_size": 32} | options
    with pytest.raises(AuthenticationError):
        runner.call(
            EmbeddingJob(source, output, **chosen), "run", voyage_over(service, concurrency=1)
        )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ── what it makes ─────────────────────────────────────────────────────────────────────────────────


def test_a_parquet_file_has_names_and_vectors_in_the_order_of_the_input(
    embed: Embed, source: Path, service: Service, tmp_path: Path
) -> None:
    """Vectors are fixed-size lists. Each text is paid for once, and the report has the cost."""
    report = embed(source)

    kind = pq.read_schema(tmp_path / "out.parquet")
    assert embedded(tmp_path / "out.parquet") == expected(ROWS)
    assert str(kind.field("embedding").type) == "fixed_size_list<element: float not null>[2]"
    assert json.loads(kind.metadata[b"voyage_rag"])["model"] == MODEL
    assert set(service.paid.values()) == {1}
    assert report == JobReport(
        output=tmp_path / "out.parquet",
        texts=95,
        refused=0,
        refused_file=None,
        tokens=sum(len(text) for _, text in ROWS),
        requests=report.requests,
        dollars=None,
        seconds=report.seconds,
        was_finished=False,
    )
    assert {body["input_type"] for body in service.bodies} == {"document"}
    assert files_in(tmp_path) == ["in.parquet", "out.parquet", "out.parquet.job"]
    assert files_in(tmp_path / "out.parquet.job") == ["manifest.json"]


def test_a_folder_has_a_file_for_each_part(embed: Embed, source: Path, tmp_path: Path) -> None:
    """Their names are in the order of the input, and there are no other files."""
    embed(source, "vectors")

    assert files_in(tmp_path / "vectors") == [f"part-{n:05}.parquet" for n in range(10)]
    assert embedded(tmp_path / "vectors") == expected(ROWS)


def test_json_lines_hold_the_same_numbers(embed: Embed, source: Path, tmp_path: Path) -> None:
    """One object per row."""
    embed(source, "out.jsonl")

    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == expected(ROWS)


def test_a_matrix_has_a_file_of_ids(embed: Embed, source: Path, tmp_path: Path) -> None:
    """NumPy can map it into memory."""
    embed(source, "out.npy")

    table = np.load(tmp_path / "out.npy", mmap_mode="r")
    names = (tmp_path / "out.npy.ids.jsonl").read_text("utf-8").splitlines()
    assert (table.shape, table.dtype) == ((95, 2), np.float32)
    assert list(zip(map(json.loads, names), table.tolist(), strict=True)) == expected(ROWS)


@pytest.mark.parametrize("output", ["out.parquet", "out.npy", "out.jsonl", "out"])
@pytest.mark.parametrize(("dtype", "code"), [("int8", "b"), ("binary", "b"), ("ubinary", "B")])
def test_int8_takes_one_byte(
    output: str, dtype: str, code: str, source: Path, tmp_path: Path
) -> None:
    """One byte each, in every format."""
    from array import array

    from fakes import base64_of, ok

    numbers = array(code, [1, 2, 3, 100])

    def answer(body: bytes) -> Response:
        asked = json.loads(body)
        data = [
            {"index": index, "embedding": base64_of(numbers, code)}
            for index in range(len(asked["input"]))
        ]
        return ok({"data": data, "model": MODEL, "usage": {"total_tokens": 1}})

    service = Service(always=answer)
    job = EmbeddingJob(source, tmp_path / output, model=MODEL, output_dtype=dtype)
    job.run(voyage_over(service))

    path = tmp_path / output
    if output == "out.npy":
        rows = np.load(path)
        assert rows.dtype == np.dtype(code)
        assert rows.tolist() == [numbers.tolist()] * 95
    elif output == "out.jsonl":
        rows = [json.loads(line)["embedding"] for line in path.read_text().splitlines()]
        assert rows == [numbers.tolist()] * 95
    else:
        kind = pq.read_table(path).schema.field("embedding").type
        assert str(kind.value_type) == ("int8" if code == "b" else "uint8")
        assert [vector for _, vector in embedded(path)] == [numbers.tolist()] * 95


def test_floats_in_json_are_those_of_the_service(tmp_path: Path) -> None:
    """They have as few digits as identify a single-precision number."""
    from fakes import embedded as answered
    from fakes import ok

    numbers = [0.1, -1e-7, 1.5e17, 1.0, 16777216.0]
    service = Service(always=lambda _: ok(answered([numbers])))
    source = jsonl(tmp_path / "in.jsonl", [("a", "b")])

    EmbeddingJob(source, tmp_path / "out.jsonl", model=MODEL).run(voyage_over(service))

    line = (tmp_path / "out.jsonl").read_text()
    read = json.loads(line)["embedding"]
    assert np.float32(read).tolist() == np.float32(numbers).tolist()
    assert "0.1," in line


def test_numeric_ids_stay_numbers(embed: Embed, tmp_path: Path) -> None:
    """Positions, too."""
    embed(parquet(tmp_path / "in.parquet", [(7, "a"), (-3, "b")]))
    assert embedded(tmp_path / "out.parquet") == expected([(7, "a"), (-3, "b")])


# ── going on ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.jsonl", "out.npy"])
def test_after_a_failure_only_the_rest_is_paid(
    output: str, runner: Runner, source: Path, tmp_path: Path
) -> None:
    """The output equals that of a run without a failure, byte for byte."""
    options = {"model": MODEL, "rows_per_part": 10, "batch_size": 8}
    EmbeddingJob(source, tmp_path / f"whole-{output}", **options).run(voyage_over(Service()))
    answered: list[str] = []
    lock = threading.Lock()

    def failing_after(count: int) -> Callable[[bytes], Response]:
        def answer(body: bytes) -> Response:
            with lock:
                if len(answered) >= count:
                    return failed(401)
                answered.extend(json.loads(body)["input"])
            return served(body)

        return answer

    for count in (32, 64):
        voyage = voyage_over(Service(always=failing_after(count)), concurrency=2)
        with pytest.raises(AuthenticationError):
            runner.call(EmbeddingJob(source, tmp_path / output, **options), "run", voyage)
        assert not (tmp_path / output).exists()
    voyage = voyage_over(Service(always=failing_after(1_000)), concurrency=2)
    report = runner.call(EmbeddingJob(source, tmp_path / output, **options), "run", voyage)

    assert sorted(answered) == sorted(text for _, text in ROWS)
    assert report.tokens == sum(len(text) for _, text in ROWS)
    assert content(tmp_path / output) == content(tmp_path / f"whole-{output}")


def content(path: Path) -> dict[str, bytes]:
    """All bytes of an output, by file."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
    beside = path.with_name(path.name + ".ids.jsonl")
    return {"": path.read_bytes(), "ids": beside.read_bytes() if beside.exists() else b""}


def test_a_finished_job_does_nothing(embed: Embed, source: Path, service: Service) -> None:
    """It reports the same as before."""
    first = embed(source)
    sent = len(service.attempts)

    again = embed(source)

    assert again.was_finished
    assert (again.texts, again.tokens, again.requests) == (95, first.tokens, first.requests)
    assert len(service.attempts) == sent


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.npy"])
def test_a_finished_job_may_be_renamed(
    output: str, embed: Embed, source: Path, service: Service, tmp_path: Path
) -> None:
    """With its folder."""
    embed(source, output)
    sent = service.attempts.copy()
    for path in tmp_path.glob("out*"):
        path.rename(tmp_path / path.name.replace("out", "other", 1))

    assert embed(source, output.replace("out", "other")).was_finished
    assert service.attempts == sent


def test_an_output_of_other_options_or_rows_is_explained(
    embed: Embed, source: Path, service: Service, tmp_path: Path
) -> None:
    """The same command seems to be refused if rows were added since."""
    embed(source)
    sent = service.attempts.copy()

    with pytest.raises(JobError, match=r"exists, written with output_dimension=.*: choose"):
        embed(source, output_dimension=256)
    parquet(source, ROWS[:5])
    with pytest.raises(JobError, match=r"exists, written with another input, or rows .*: choose"):
        embed(source)
    assert service.attempts == sent


def test_an_output_that_exists_is_left_alone(
    embed: Embed, source: Path, service: Service, tmp_path: Path
) -> None:
    """Unless it may be overwritten. Nothing is sent before."""
    target = tmp_path / "out.parquet"
    target.write_text("precious")

    with pytest.raises(JobError, match=r"out\.parquet' exists"):
        embed(source)
    assert target.read_text() == "precious"
    assert service.attempts == []
    assert not (tmp_path / "out.parquet.job").exists()

    embed(source, overwrite=True)
    assert embedded(target) == expected(ROWS)


def test_overwriting_replaces_a_folder(embed: Embed, source: Path, tmp_path: Path) -> None:
    """Completely, unless it contains files of other programs."""
    embed(source, "out")
    other = parquet(tmp_path / "other.parquet", ROWS[:5])

    embed(other, "out", overwrite=True)

    assert embedded(tmp_path / "out") == expected(ROWS[:5])


@pytest.mark.parametrize(
    ("other", "expected_message"),
    [
        ({"model": "voyage-4"}, "model='voyage-of-tests', not 'voyage-4'"),
        ({"input_type": None}, "input_type='document', not None"),
        ({"truncation": False}, "truncation=True, not False"),
        ({"output_dimension": 512}, "output_dimension=None, not 512"),
        ({"output_dtype": "int8"}, "output_dtype='float', not 'int8'"),
        ({"id_column": "id"}, "id_column=None, not 'id'"),
        ({"rows_per_part": 20}, "rows_per_part=10, not 20"),
    ],
)
def test_an_unfinished_job_is_not_resumed_with_other_options(
    other: dict[str, Any],
    expected_message: str,
    runner: Runner,
    embed: Embed,
    source: Path,
    service: Service,
    tmp_path: Path,
) -> None:
    """The error names them, and nothing is lost."""
    begin(runner, source, tmp_path / "out.parquet")

    with pytest.raises(JobError, match="unfinished job with") as caught:
        embed(source, **other)

    assert expected_message in str(caught.value)
    assert service.attempts == []
    assert embed(source).texts == 95
    assert sum(service.paid.values()) == 95 - 32


def test_an_unfinished_job_is_not_resumed_at_another_address(
    runner: Runner, source: Path, tmp_path: Path
) -> None:
    """The address is not an option of a job."""
    begin(runner, source, tmp_path / "out.parquet")
    job = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL, rows_per_part=10)

    with pytest.raises(JobError, match=r"unfinished job with the address '.*', not 'x:1/v1'"):
        runner.call(job, "run", voyage_over(Service(), base_url="https://x:1/v1"))


def test_an_unfinished_job_is_not_resumed_with_another_input(
    runner: Runner, embed: Embed, source: Path, tmp_path: Path
) -> None:
    """`overwrite` discards it."""
    begin(runner, source, tmp_path / "out.parquet")
    parquet(source, ROWS[:50])

    with pytest.raises(JobError, match="another input, or rows that have changed"):
        embed(source)
    assert embed(source, overwrite=True).texts == 50
    assert embedded(tmp_path / "out.parquet") == expected(ROWS[:50])


def test_a_job_that_may_overwrite_still_goes_on_with_its_own_work(
    source: Path, tmp_path: Path
) -> None:
    """The same command after an interruption pays only for the rest."""
    (tmp_path / "out.parquet").write_text("old")
    service = Service(*[served] * 2, always=lambda body: failed(401))
    options = {"model": MODEL, "rows_per_part": 10, "overwrite": True, "batch_size": 8}
    with pytest.raises(AuthenticationError):
        EmbeddingJob(source, tmp_path / "out.parquet", **options).run(
            voyage_over(service, concurrency=1)
        )
    assert (tmp_path / "out.parquet").read_text() == "old"

    again = Service()
    EmbeddingJob(source, tmp_path / "out.parquet", **options).run(voyage_over(again))

    assert sum(again.paid.values()) == 95 - 16
    assert embedded(tmp_path / "out.parquet") == expected(ROWS)


def test_two_processes_do_not_share_a_job(embed: Embed, source: Path, tmp_path: Path) -> None:
    """The second one is refused."""
    from voyage_rag.bulk.job_folder import JobFolder

    with (
        JobFolder(tmp_path / "out.parquet.job"),
        pytest.raises(JobError, match="another process is working on"),
    ):
        embed(source)


# ── bad rows ──────────────────────────────────────────────────────────────────────────────────────

BAD = [
    ("a", "one"),
    ("b", ""),
    ("c", None),
    ("a", "two"),
    ("d", 3),
    (None, "four"),
    ("e", "five"),
    (7, "six"),
    ("f", "seven"),
]


def test_bad_rows_are_found_before_anything_is_sent(
    embed: Embed, service: Service, tmp_path: Path
) -> None:
    """The error names the first one and their number."""
    source = jsonl(tmp_path / "in.jsonl", BAD)

    with pytest.raises(BadRowsError) as caught:
        embed(source)

    assert str(caught.value).startswith("line 2 of in.jsonl: its text is empty (5 more)")
    assert "on_error='skip'" in str(caught.value)
    assert caught.value.rows == 6
    assert service.attempts == []
    assert files_in(tmp_path) == ["in.jsonl"]


def test_bad_rows_can_be_left_out(embed: Embed, tmp_path: Path) -> None:
    """They are in a side file with the reason and their content."""
    report = embed(jsonl(tmp_path / "in.jsonl", BAD), on_error="skip")

    good = [("a", "one"), ("e", "five"), ("f", "seven")]
    assert embedded(tmp_path / "out.parquet") == expected(good)
    assert (report.texts, report.refused) == (3, 6)
    assert report.refused_file == tmp_path / "out.parquet.refused.jsonl"
    refused = [json.loads(line) for line in report.refused_file.read_text().splitlines()]
    assert [(entry["row"], entry["reason"]) for entry in refused] == [
        (2, "its text is empty"),
        (3, "no text in 'text' (it is null)"),
        (4, "its id 'a' is also that of line 1"),
        (5, "its text is a number, not a string"),
        (6, "no id"),
        (8, "its id 7 is not a string like the previous ids"),
    ]
    assert refused[2] == {
        "file": "in.jsonl",
        "row": 4,
        "id": "a",
        "reason": "its id 'a' is also that of line 1",
        "text": "two",
    }


@pytest.mark.parametrize("most_in_memory", [500_000, 5_000, 0])
def test_names_are_compared_across_all_rows(
    most_in_memory: int, voyage: Voyage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far apart and however many they are."""
    monkeypatch.setattr("voyage_rag.bulk.id_index.MAX_IDS_IN_MEMORY", most_in_memory)
    rows = [*rows_of(10_000), ("doc-17", "again")]
    source = parquet(tmp_path / "in.parquet", rows, group=4_096)

    with pytest.raises(BadRowsError, match=r"row 10,001 of in.parquet: .* is also that of row 18"):
        EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL).run(voyage)


def test_nothing_to_embed_is_an_error(embed: Embed, tmp_path: Path) -> None:
    """Instead of an empty output."""
    with pytest.raises(JobError, match="nothing to embed"):
        embed(jsonl(tmp_path / "in.jsonl", []))
    with pytest.raises(JobError, match="nothing to embed"):
        embed(jsonl(tmp_path / "in.jsonl", [("a", "")]), on_error="skip")
    assert files_in(tmp_path) == ["in.jsonl"]


def refusing(*texts: str) -> Callable[[bytes], Response]:
    """A service that rejects requests with one of these texts, without naming it."""

    def answer(body: bytes) -> Response:
        asked = json.loads(body)["input"]
        return failed(400, "too long") if set(texts) & set(asked) else served(body)

    return answer


def test_rows_that_the_service_refuses_are_found_and_left_out(
    embed: Embed, source: Path, service: Service, tmp_path: Path
) -> None:
    """One by one, in any position."""
    bad = {0, 3, 40, 41, 94}
    service.always = refusing(*(ROWS[n][1] for n in bad))

    report = embed(source, on_error="skip")

    good = [row for n, row in enumerate(ROWS) if n not in bad]
    assert embedded(tmp_path / "out.parquet") == expected(good)
    assert (report.texts, report.refused) == (90, 5)
    assert report.refused_file is not None
    refused = [json.loads(line) for line in report.refused_file.read_text().splitlines()]
    assert [entry["row"] for entry in refused] == [1, 4, 41, 42, 95]
    assert {entry["reason"] for entry in refused} == {"the service rejected it: too long"}
    paid_for = [text for text, times in service.paid.items() if times > 1]
    assert len(paid_for) <= 95


def test_a_refused_row_is_named(embed: Embed, source: Path, service: Service) -> None:
    """With the remedy. Finished results are kept."""
    service.always = refusing(ROWS[20][1])

    with pytest.raises(JobError, match=r"rejected .*row \d+ of in.parquet.* too long"):
        embed(source)
    service.always = served
    assert embed(source).texts == 95


def test_a_refusal_that_is_not_about_rows_ends_the_job(
    embed: Embed, source: Path, service: Service
) -> None:
    """For an unknown model, no row is skipped."""
    service.always = lambda body: failed(404, "no such model")
    with pytest.raises(JobError, match="no such model"):
        embed(source, on_error="skip")

    service.always = lambda body: failed(400, "no such option")
    with pytest.raises(JobError, match="no such option"):
        embed(source, on_error="skip")
    service.always = served
    assert embed(source, on_error="skip").texts == 95


# ── options, progress ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "expected_message"),
    [
        ({"model": MODEL, "modle": "x"}, "unknown option 'modle'; the options are model, "),
        ({"model": MODEL, "output_dtype": "float64"}, "output_dtype: input should be 'float'"),
        ({"model": MODEL, "on_error": "ignore"}, "on_error: input should be"),
        ({"model": MODEL, "rows_per_part": 0}, "rows_per_part: input should be greater"),
        ({}, "model: field required"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(
    options: dict[str, Any], expected_message: str
) -> None:
    """Before anything is read."""
    with pytest.raises(JobError, match=expected_message):
        EmbeddingJob("in.jsonl", "out.parquet", **options)


def test_what_the_model_does_not_offer_is_refused() -> None:
    """As in the client."""
    with pytest.raises(InvalidInputError, match="output_dimension=100"):
        EmbeddingJob("in.jsonl", "out.parquet", model="voyage-4", output_dimension=100)
    with pytest.raises(InvalidInputError, match="rerank-3"):
        EmbeddingJob("in.jsonl", "out.parquet", model="rerank-3")
    with pytest.raises(JobError, match=r"end the name in \.parquet, \.jsonl or \.npy"):
        EmbeddingJob("in.jsonl", "out.txt", model="voyage-4")


def test_progress_is_reported_with_every_response(
    voyage: Voyage, source: Path, tmp_path: Path
) -> None:
    """Stage by stage, with rows and tokens that never decrease."""
    expected_message: list[JobProgress] = []
    job = EmbeddingJob(source, tmp_path / "out.parquet", model=MODEL)

    job.run(voyage, on_progress=expected_message.append)

    stages = list(dict.fromkeys(progress.stage for progress in expected_message))
    assert stages == ["reading", "embedding", "writing"]
    done = [progress.done for progress in expected_message if progress.stage == "embedding"]
    assert done == sorted(done)
    last = [progress for progress in expected_message if progress.stage == "embedding"][-1]
    assert (last.done, last.total) == (95, 95)
    assert last.tokens == sum(len(text) for _, text in ROWS)
    assert last.seconds_left == 0


def test_progress_knows_rate_and_time_left() -> None:
    """Of this run only."""
    progress = JobProgress("embedding", done=50, total=100, done_before=40, seconds=2.0)

    assert (progress.rows_per_second, progress.seconds_left) == (5.0, 10.0)
    assert JobProgress("embedding", total=10).seconds_left is None


def test_an_estimate_reads_everything_and_sends_nothing(tmp_path: Path) -> None:
    """It has texts, tokens, dollars, hours, bytes and bad rows, and leaves no files."""
    source = jsonl(
        tmp_path / "in.jsonl", [*(("x" + str(n), "a" * 1_000) for n in range(1_000)), *BAD]
    )

    estimate = EmbeddingJob(source, tmp_path / "out.parquet", model="voyage-4").estimate()

    assert (estimate.texts, estimate.refused) == (1_000 + 3, 6)
    assert estimate.first_refused == "line 1,002 of in.jsonl: its text is empty"
    assert estimate.tokens[0] == -(-estimate.characters // 5)
    assert estimate.tokens[0] < 350_000 < estimate.tokens[1] < 360_000
    assert estimate.dollars == tuple(tokens * 0.06 / 1e6 for tokens in estimate.tokens)
    assert estimate.hours == tuple(tokens / 8e6 / 60 for tokens in estimate.tokens)
    assert estimate.vector_bytes == 1_003 * 4_096
    assert not estimate.limits_are_given
    assert files_in(tmp_path) == ["in.jsonl"]


def test_an_estimate_takes_the_limits_of_the_account(source: Path, tmp_path: Path) -> None:
    """The stricter limit determines the time."""
    job = EmbeddingJob(source, tmp_path / "out.parquet", model="voyage-4")

    slow = job.estimate(requests_per_minute=1, tokens_per_minute=1e9)

    assert slow.hours == (1 / 60, 1 / 60)
    assert slow.limits_are_given


def test_stdin_is_kept_for_another_run(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same input resumes the job, another one does not."""
    text = jsonl(tmp_path / "in.jsonl", ROWS).read_bytes()
    job = EmbeddingJob("-", tmp_path / "out.parquet", model=MODEL, rows_per_part=10, batch_size=8)

    def piped(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(content)))

    service = Service(*[served] * 2, always=lambda body: failed(401))
    piped(text)
    with pytest.raises(AuthenticationError):
        runner.call(job, "run", voyage_over(service, concurrency=1))
    piped(text + b'"more"')
    with pytest.raises(JobError, match="with another input"):
        runner.call(job, "run", voyage_over(service))
    service, _ = Service(), piped(text)
    runner.call(job, "run", voyage_over(service))

    assert sum(service.paid.values()) == 95 - 16
    assert embedded(tmp_path / "out.parquet") == expected(ROWS)


@pytest.mark.parametrize("dtype", ["float", "int8"])
@pytest.mark.parametrize("output", ["out.parquet", "out", "out.jsonl", "out.npy"])
def test_a_part_of_several_row_groups_is_written_as_one_of_many_rows(
    output: str, dtype: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are read into the same memory one after the other; each is written before the next."""
    monkeypatch.setattr("voyage_rag.bulk.result_store.ROWS_PER_GROUP", 4)

    def answer(body: bytes) -> Response:
        texts = json.loads(body)["input"]
        numbers = [[int(text.split()[-1]), 7] for text in texts]
        code = "f" if dtype == "float" else "b"
        data = [
            {"index": index, "embedding": base64_of(pair, code)}
            for index, pair in enumerate(numbers)
        ]
        return ok({"data": data, "model": MODEL, "usage": {"total_tokens": 1}})

    job = EmbeddingJob(
        source, tmp_path / output, model=MODEL, output_dtype=dtype, rows_per_part=30, batch_size=7
    )
    job.run(voyage_over(Service(always=answer)))

    path = tmp_path / output
    if output == "out.npy":
        vectors = np.load(path).tolist()
    elif output == "out.jsonl":
        vectors = [json.loads(line)["embedding"] for line in path.read_text().splitlines()]
    else:
        vectors = [vector for _, vector in embedded(path)]
    assert vectors == [[number, 7] for number in range(95)]


@pytest.mark.parametrize("output", ["out.parquet", "out"])
def test_a_text_that_is_there_twice_is_paid_once(
    output: str, embed: Embed, service: Service, tmp_path: Path
) -> None:
    """If both are sent together. Each row has its vector."""
    rows = [(f"doc-{n}", f"text {n % 7}") for n in range(95)]
    report = embed(parquet(tmp_path / "in.parquet", rows), output)

    assert embedded(tmp_path / output) == expected(rows)
    assert report.texts == 95
    assert sum(service.paid.values()) < 95


def test_a_job_from_parquet_to_parquet_does_not_import_pandas(tmp_path: Path) -> None:
    """Some functions of pyarrow do if it is installed: it takes 25 MB and half a second."""
    pytest.importorskip("pandas")
    script = (
        "import sys; from voyage_rag.cli import main;"
        "assert main(sys.argv[1:]) == 0; sys.exit('pandas' in sys.modules)"
    )
    source = parquet(tmp_path / "in.parquet", [*ROWS, ("again", ROWS[0][1])])
    arguments = ["embed", str(source), "-o", str(tmp_path / "out.parquet"), "--emulator"]

    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
