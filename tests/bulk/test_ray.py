"""Ray Data on a cluster of this machine. It takes a minute or two: `make ray`."""

from __future__ import annotations

import os
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_inputs import rows_of
from fakes import KEY
from pages import blocks
from voyage_rag import ConfigurationError, InvalidInputError, Voyage
from voyage_rag.bulk import JobError
from voyage_rag.emulator import Emulator

if "VOYAGE_RAG_RAY" not in os.environ:
    pytest.skip("starts a Ray cluster: make ray", allow_module_level=True)

ray = pytest.importorskip("ray", reason="needs Ray: make ray")

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

ROWS = rows_of(2_000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start a cluster of four cores, with the key in the environment of every worker."""
    os.environ["VOYAGE_API_KEY"] = KEY
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    paths = os.pathsep.join(str(path) for path in [Path(__file__).parents[1]])
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        logging_level="error",
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": paths}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    os.environ.pop("VOYAGE_API_KEY", None)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    emulator.start()
    yield emulator
    emulator.stop()


def dataset(rows: Any = ROWS, rows_per_block: int = 250) -> Any:
    table = pa.table({"id": [name for name, _ in rows], "text": [text for _, text in rows]})
    starts = range(0, len(rows), rows_per_block)
    return ray.data.from_arrow([table.slice(at, rows_per_block) for at in starts])


def test_a_column_becomes_compact_vectors(
    cluster: None, emulator: Emulator, tmp_path: Path
) -> None:
    """With two actors. Every row is present once, with its own columns and a fixed-size list."""
    from voyage_rag.bulk.ray import embed

    options = {"output_dimension": 256, "output_dtype": "int8", "base_url": emulator.url}
    vectors = embed(dataset(), model="voyage-4", actors=2, rows_per_call=100, **options)
    vectors.write_parquet(str(tmp_path / "out"))

    table = pq.read_table(tmp_path / "out")
    kind = table.schema.field("embedding").type
    assert (kind.list_size, str(kind.value_type)) == (256, "int8")
    assert sorted(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)) == sorted(
        ROWS
    )


@pytest.mark.parametrize("rows_per_block", [30, len(ROWS)])
def test_every_actor_has_work_whatever_the_blocks(
    cluster: None, emulator: Emulator, rows_per_block: int
) -> None:
    """Blocks are divided and merged to the size of a call."""
    from voyage_rag.bulk.ray import embed

    options = {"output_dimension": 256, "base_url": emulator.url, "rows_per_call": 200}
    vectors = embed(dataset(rows_per_block=rows_per_block), model="voyage-4", **options)

    assert vectors.materialize().num_blocks() in {10, 11}  # old versions of Ray are not exact


@pytest.mark.parametrize(
    ("cpus", "actors", "given", "each"),
    [(2, 2, None, 0.5), (4, 2, None, 1.0), (1, 1, None, 0.5), (16, 8, None, 1.0), (8, 3, 2.0, 2.0),
     (2, 2, 1.0, None), (4, 4, 1.0, None), (2, 1, 2.0, None)],
)  # fmt: skip
def test_a_cpu_is_left_to_read_and_write(
    cpus: int, actors: int, given: float | None, each: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise Ray would wait forever. Fewer CPUs are reserved, or a wrong number is rejected."""
    from voyage_rag.bulk.ray import _cpus_per_actor

    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": float(cpus)})
    if each is None:
        with pytest.raises(JobError, match="would wait forever: omit cpus_per_actor"):
            _cpus_per_actor(actors, given)
    else:
        assert _cpus_per_actor(actors, given) == each
        assert actors * each < cpus


def test_a_worker_that_dies_loses_nothing_and_costs_two_blocks(
    cluster: None, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray starts another one, which processes the unfinished blocks."""
    from voyage_rag.bulk.ray import Embedder, embed

    class Mortal(Embedder):
        def __call__(self, batch: Any) -> Any:
            done = super().__call__(batch)
            try:
                os.close(os.open(tmp_path / "died", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return done
            os._exit(1)

    monkeypatch.setattr("voyage_rag.bulk.ray.Embedder", Mortal)
    options = {"output_dimension": 256, "base_url": emulator.url, "rows_per_call": 100}
    vectors = embed(dataset(rows_per_block=len(ROWS)), model="voyage-4", **options)
    names = [row["id"] for row in vectors.select_columns(["id"]).iter_rows()]

    assert (tmp_path / "died").exists()
    assert sorted(names) == sorted(name for name, _ in ROWS)
    paid = sum(len(request.body["input"]) for request in emulator.requests)
    assert len(ROWS) < paid <= len(ROWS) + 2 * 100


def test_it_is_used_from_plain_map_batches(cluster: None, emulator: Emulator) -> None:
    """With the user's own batches and pools."""
    from voyage_rag.bulk.ray import Embedder

    vectors = dataset().map_batches(
        Embedder,
        fn_constructor_kwargs={"column": "text", "model": "voyage-4", "base_url": emulator.url},
        batch_size=100,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=2),
    )

    assert vectors.select_columns(["id"]).count() == len(ROWS)
    assert len(vectors.take(1)[0]["embedding"]) == 1_024


@pytest.mark.timeout(240)  # the rest waits for the next minute
def test_four_actors_keep_one_limit(cluster: None) -> None:
    """The emulator rejects requests beyond a minute's tokens; the rows need more."""
    from voyage_rag.bulk.ray import embed

    limit = 3_000
    emulator = Emulator(tokens_per_minute=limit, burst_seconds=60)
    with emulator as url:
        options = {"output_dimension": 256, "base_url": url, "tokens_per_minute": limit}
        vectors = embed(
            dataset(), model="voyage-4", actors=4, cpus_per_actor=0.5, rows_per_call=50, **options
        )
        assert vectors.count() == len(ROWS)
    statuses = Counter(request.status for request in emulator.requests)
    assert set(statuses) == {200}


def test_a_key_is_not_sent_through_ray(cluster: None) -> None:
    """Ray's dashboard would show it."""
    from voyage_rag.bulk.ray import Embedder, embed

    with pytest.raises(JobError, match="api_key cannot be sent through Ray"):
        embed(dataset(), model="voyage-4", api_key=KEY)
    with pytest.raises(JobError, match="api_key cannot be sent through Ray"):
        Embedder("text", "voyage-4", api_key=KEY)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"outptu_dimension": 256}, TypeError, "outptu_dimension"),
        ({"concurrency": 0}, ConfigurationError, "concurrency"),
        ({"base_url": "http://voyage.example/v1"}, ConfigurationError, "http"),
        ({"output_dimension": 100}, InvalidInputError, "100"),
        ({"empty_text": "skip"}, InvalidInputError, "empty_text"),
        ({"rows_per_call": 0}, InvalidInputError, "rows_per_call"),
        ({"actors": 0}, InvalidInputError, "actors"),
        ({"actors": (3, 2)}, JobError, "actors"),
    ],
)
def test_options_that_cannot_work_are_refused_before_a_worker_starts(
    cluster: None, options: dict[str, Any], error: type[Exception], named: str
) -> None:
    """By name."""
    from voyage_rag.bulk.ray import embed

    with pytest.raises(error, match=named):
        embed(dataset(ROWS[:10]), model="voyage-4", **options)


def test_an_empty_text_has_a_zero_vector_if_that_is_wanted(
    cluster: None, emulator: Emulator
) -> None:
    """Otherwise it is an error, which ends the job."""
    from voyage_rag.bulk.ray import embed

    rows = [("a", "one"), ("b", "")]
    options = {"base_url": emulator.url, "output_dimension": 256}

    vectors = embed(dataset(rows), model="voyage-4", empty_text="zeros", **options).take_all()

    assert [any(row["embedding"]) for row in vectors] == [True, False]


def test_a_column_that_is_not_there_is_named(cluster: None, emulator: Emulator) -> None:
    """By the worker that needs it."""
    from voyage_rag.bulk.ray import embed

    vectors = embed(dataset(ROWS[:10]), "body", model="voyage-4", base_url=emulator.url)
    with pytest.raises(Exception, match="there is no column 'body'"):
        vectors.materialize()


def test_a_column_of_vectors_is_not_added_twice(cluster: None, emulator: Emulator) -> None:
    """Arrow would accept the name, and Ray would fail after everything was paid for."""
    from voyage_rag.bulk.ray import embed

    rows = ray.data.from_items([{"text": "one", "embedding": [1.0]}])
    vectors = embed(rows, model="voyage-4", base_url=emulator.url)
    with pytest.raises(Exception, match="the column 'embedding' exists: drop it, or pass"):
        vectors.materialize()
    assert emulator.requests == []


def test_the_example_runs(cluster: None, capsys: pytest.CaptureFixture[str]) -> None:
    """As a reader without a key runs it, on the cluster of the tests."""
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "ray_data.py"))

    example["main"]()

    out = capsys.readouterr().out
    assert "not Voyage" in out
    assert "2,000 vectors in" in out


@pytest.mark.parametrize("mark", ["pandas", "polars", "ray"])
def test_the_guide_runs(
    cluster: None,
    mark: str,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks of the guides that need more than the development packages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator.url)
    docs = Path(__file__).parents[2] / "docs"
    code = [
        block.code
        for guide in (docs / "bulk.md", docs / "ray.md")
        for block in blocks(guide, "python")
        if block.remark == "make ray runs it"
    ]
    session: dict[str, Any] = {"Voyage": Voyage}
    (chosen,) = (block for block in code if f"import {mark}" in block)
    if mark == "ray":  # workers were started with another environment
        chosen = chosen.replace("actors=2", f"actors=2, base_url={emulator.url!r}")

    exec(chosen, session)

    if mark == "pandas":
        assert session["frame"]["embedding"][1].shape == (1024,)
    elif mark == "polars":
        assert str(session["passages"].schema["embedding"]) == "Array(Float32, shape=(1024,))"
    else:
        assert len(session["first"]) == 1_024
