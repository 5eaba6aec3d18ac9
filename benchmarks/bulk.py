"""Compare the command with the client: throughput, memory, and recognising a finished job.

`python -m benchmarks.bulk` takes some minutes; `--texts`, `--pairs` and `--rows` reduce it. Both
sides are new processes that may use all cores, beside a server that responds immediately; they run
in turn, so that a slow minute of the machine affects both. `--actors 2` runs the large job on Ray,
too. The exit code is 1 if a bound was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.server import ServerBehavior
from benchmarks.server_process import ROOT, running_server
from benchmarks.texts import stream

RESULTS = Path(__file__).parent / "results" / "bulk.json"
LEAST_THROUGHPUT = 0.7
MOST_MEMORY_MB = 1_024
LONGEST_TO_KNOW = 10.0
KEY = "pa-of-the-benchmarks"

ALONE = """
import json, os, resource, sys, time
from benchmarks.texts import stream
from voyage_rag import Voyage

url, count = sys.argv[1], int(sys.argv[2])
voyage = Voyage(base_url=url)
start = time.perf_counter()
assert sum(1 for _ in voyage.embed_iter(stream(count), "voyage-4", "document")) == count
print(json.dumps({"seconds": time.perf_counter() - start}))
"""

RAY = """
import json, shutil, sys, time
import ray

source, output, actors, *urls = json.loads(sys.argv[1])
ray.init(num_cpus=2 * actors, include_dashboard=False, logging_level="error", log_to_driver=False)
context = ray.data.DataContext.get_current()
context.enable_progress_bars = False
context.use_datasource_v2 = False  # it starts so many readers that two cores are busy for seconds
from voyage_rag.bulk.ray import embed

ends = []
for number, url in enumerate(urls):
    start = time.time()
    vectors = embed(ray.data.read_parquet(source), model="voyage-4", actors=actors, base_url=url)
    vectors.write_parquet(f"{output}-{number}", compression="none", use_dictionary=False)
    ends.append([start, time.time()])
    shutil.rmtree(f"{output}-{number}")
print(json.dumps({"runs": ends}))
"""


def written(path: Path, count: int) -> Path:
    """Write a Parquet file of texts in at least eight row groups."""
    schema = pa.schema({"id": pa.string(), "text": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for texts in batched_texts(count, max(1, min(50_000, count // 8))):
            ids = [text.partition(" ")[0] for text in texts]
            writer.write_table(pa.table({"id": ids, "text": texts}))
    return path


def batched_texts(count: int, size: int) -> Any:
    """Iterate over lists of texts."""
    texts = stream(count)
    return iter(lambda: list(islice(texts, size)), [])


def ran(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a process that must not fail."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "VOYAGE_API_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return done


def measured(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a process; return its time, processor time and JSON output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = ran(arguments)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])
    return {
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "outcome": outcome,
    }


def alone(url: str, count: int) -> dict[str, Any]:
    """Measure the client."""
    run = measured(["-c", ALONE, url, str(count)])
    return {"seconds": run["outcome"]["seconds"], "cpu_s": run["cpu_s"]}


def command(url: str, source: Path, output: Path) -> dict[str, Any]:
    """Measure the command, Parquet to Parquet."""
    arguments = ["embed", str(source), "-o", str(output), "--base-url", url, "--json"]
    run = measured(["-m", "voyage_rag", *arguments])
    return {"seconds": run["outcome"]["seconds"], "cpu_s": run["cpu_s"], "wall_s": run["wall_s"]}


def by_ray(source: Path, output: Path, actors: int) -> list[dict[str, float]]:
    """Measure Ray Data twice in one cluster: in total, and from the first request on."""
    with running_server(ServerBehavior()) as first, running_server(ServerBehavior()) as second:
        servers = (first, second)
        given = [str(source), str(output), actors, *(server.url for server in servers)]
        runs = measured(["-c", RAY, json.dumps(given)])["outcome"]["runs"]
        first_requests = [server.statistics()["first_request_at"] for server in servers]
    return [
        {"seconds": end - start, "since_first_request": end - first_request}
        for (start, end), first_request in zip(runs, first_requests, strict=True)
    ]


def pair(folder: Path, source: Path, count: int) -> dict[str, Any]:
    """Measure both sides once."""
    with running_server(ServerBehavior()) as server:
        one = alone(server.url, count)
    with running_server(ServerBehavior()) as server:
        other = command(server.url, source, folder / "vectors.parquet")
    for path in folder.glob("vectors*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {"alone": one, "command": other, "ratio": one["seconds"] / other["seconds"]}


def large(folder: Path, source: Path, rows: int) -> dict[str, Any]:
    """Measure the memory of a large job, and the time to recognise that it is finished."""
    output = folder / "large-vectors"
    program = (
        "import json, resource, runpy, sys\n"
        "from voyage_rag.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(json.dumps({'memory_mb': used}), file=sys.stderr)\n"
    )
    with running_server(ServerBehavior()) as server:
        arguments = ["embed", str(source), "-o", str(output), "--base-url", server.url]
        start = time.perf_counter()
        done = ran(["-c", program, *arguments])
        seconds = time.perf_counter() - start
        again = measured(["-m", "voyage_rag", *arguments, "--json"])
    if not again["outcome"]["was_finished"]:
        raise AssertionError("the finished job was not recognised")
    memory = json.loads(done.stderr.splitlines()[-1])["memory_mb"]
    for path in folder.glob("large-*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {"rows": rows, "seconds": seconds, "memory_mb": memory, "known_after_s": again["wall_s"]}


def main() -> int:
    """Measure, print, and write the results to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="0 to leave it out")
    parser.add_argument("--actors", type=int, default=0, help="of Ray, 0 to leave it out")
    given = parser.parse_args()
    outcome: dict[str, Any] = {"texts": given.texts, "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = written(folder / "texts.parquet", given.texts)
        outcome["pairs"] = [pair(folder, source, given.texts) for _ in range(given.pairs)]
        if given.rows:
            source = written(folder / "large.parquet", given.rows)
            outcome["large"] = large(folder, source, given.rows)
            if given.actors:
                outcome["ray"] = by_ray(source, folder / "ray", given.actors)
    return report(outcome)


def report(outcome: dict[str, Any]) -> int:
    """Print the results with their bounds; return 1 if one was missed."""
    texts, missed = outcome["texts"], 0
    for one in outcome["pairs"]:
        sides = "  ".join(
            f"{name} {texts / one[name]['seconds']:>7,.0f} texts/s "
            f"{1e6 * one[name]['cpu_s'] / texts:>5.1f} µs CPU"
            for name in ("alone", "command")
        )
        sys.stdout.write(f"{sides}  ratio {one['ratio']:.2f}\n")
    if outcome["pairs"]:
        outcome["ratio"] = median(one["ratio"] for one in outcome["pairs"])
        missed += outcome["ratio"] < LEAST_THROUGHPUT
        sys.stdout.write(f"median ratio {outcome['ratio']:.2f} (at least {LEAST_THROUGHPUT})\n")
    if big := outcome.get("large"):
        missed += big["memory_mb"] > MOST_MEMORY_MB or big["known_after_s"] > LONGEST_TO_KNOW
        sys.stdout.write(
            f"{big['rows']:,} rows: {big['rows'] / big['seconds']:,.0f} texts/s, "
            f"{big['memory_mb']:,.0f} MB at most (up to {MOST_MEMORY_MB}), "
            f"known to be finished after {big['known_after_s']:.1f} s (up to {LONGEST_TO_KNOW:g})\n"
        )
        for name, run in zip(("new", "running"), outcome.get("ray", ()), strict=False):
            since, whole = (big["rows"] / run[key] for key in ("since_first_request", "seconds"))
            sys.stdout.write(
                f"by a {name} Ray cluster: {since:,.0f} texts/s from the first request on, "
                f"{whole:,.0f} with the start of its processes\n"
            )
            missed += run["since_first_request"] > big["seconds"]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(outcome, indent=1) + "\n", "utf-8")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
