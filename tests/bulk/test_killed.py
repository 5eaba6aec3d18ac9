"""Killed at any moment, a job resumes: nothing is lost, and the output is the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bulk_inputs import parquet, rows_of
from fakes import MODEL, FakeService, HTTPService, voyage_over
from voyage_rag.bulk import embed_file

ROWS = rows_of(400)
CONCURRENCY, BATCH = 4, 5

PROGRAM = f"""
import sys
from fakes import KEY, MODEL
from voyage_rag import Voyage
from voyage_rag.bulk import embed_file

source, output, url, steps = sys.argv[1:]

if steps != "all":
    # Dies where it stands at that step: before or after something is written, kept or renamed.
    import os, signal, threading
    left, lock = int(steps), threading.Lock()

    def dying(owner, name):
        real = getattr(owner, name)
        def step(*arguments, **options):
            global left
            for place in "before", "after":
                with lock:
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                if place == "before":
                    result = real(*arguments, **options)
            return result
        setattr(owner, name, step)

    dying(os, "pwrite"); dying(os, "fsync"); dying(os, "replace"); dying(os, "rename")
    dying(os, "unlink"); dying(os, "posix_fallocate")

voyage = Voyage(KEY, base_url=url, concurrency={CONCURRENCY})
embed_file(source, output, voyage, model=MODEL, rows_per_part=64, batch_size={BATCH})
"""


def run(source: Path, output: Path, url: str, steps: str = "all") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(source), str(output), url, steps],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def undisturbed(source: Path, output: Path) -> None:
    """The output of a run that is not interrupted."""
    embed_file(source, output, voyage_over(FakeService()), model=MODEL, rows_per_part=64)


def paid(service: HTTPService) -> Counter[str]:
    whole = (received.body for received in service.received if received.body.endswith(b"}"))
    return Counter(text for body in whole for text in json.loads(body)["input"])


def content(path: Path) -> dict[str, bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name.partition(".")[2]: file.read_bytes() for file in files} | {
        file.name: file.read_bytes() for file in files if path.is_dir()
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return parquet(tmp_path / "in.parquet", ROWS)


@pytest.mark.parametrize(("output", "seed"), [("out.parquet", 1), ("out", 2)])
def test_killed_while_the_service_is_asked(
    output: str, seed: int, source: Path, http_service: HTTPService, tmp_path: Path
) -> None:
    """Repeatedly. Each time, only the requests in flight are paid for again."""
    undisturbed(source, tmp_path / f"whole_{output}")
    chance, kills = random.Random(seed), 0
    for target in sorted(chance.sample(range(5, 70), 2)):
        with run(source, tmp_path / output, http_service.url) as process:
            http_service.wait_for(target)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / output).exists()
        kills += 1
    with run(source, tmp_path / output, http_service.url) as process:
        assert process.wait(60) == 0

    times = paid(http_service)
    assert set(times) == {text for _, text in ROWS}
    assert sum(times.values()) - len(ROWS) <= kills * CONCURRENCY * BATCH
    assert content(tmp_path / output) == content(tmp_path / f"whole_{output}")


@pytest.mark.parametrize("output", ["out.parquet", "out", "out.npy"])
def test_killed_while_it_writes(
    output: str, source: Path, http_service: HTTPService, tmp_path: Path
) -> None:
    """Before or after any step on the disk."""
    undisturbed(source, tmp_path / f"whole_{output}")
    chance, kills = random.Random(output), 0
    for steps in (chance.randint(1, 60), chance.randint(20, 120)):
        with run(source, tmp_path / output, http_service.url, str(steps)) as process:
            kills += process.wait(60) == -signal.SIGKILL
    with run(source, tmp_path / output, http_service.url) as process:
        assert process.wait(60) == 0

    times = paid(http_service)
    assert kills > 0
    assert set(times) == {text for _, text in ROWS}
    assert sum(times.values()) - len(ROWS) <= kills * CONCURRENCY * BATCH
    assert content(tmp_path / output) == content(tmp_path / f"whole_{output}")
    left = {path.name for path in (tmp_path / f"{output}.job").iterdir()}
    assert left == {"manifest.json"}
