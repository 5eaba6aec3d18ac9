"""One measurement: a fresh server, a fresh client process, and the figures of both."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from benchmarks.environments import python_of
from benchmarks.machine import cores
from benchmarks.server import Manner
from benchmarks.serving import ROOT, served

LONGEST = 600.0
OF_THE_SERVER = (
    "requests", "refused", "connections", "most_at_once", "texts", "tokens", "busy_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One contestant with its options.

    Attributes:
        contestant: See `benchmarks.contestants.MODULES`.
        options: What its maker takes.
        label: What to call it.
    """

    contestant: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.label or self.contestant


@dataclass(frozen=True)
class Work:
    """What the entries of one comparison have to do.

    Attributes:
        name: What to call it.
        task: See `benchmarks.tasks.TASKS`.
        count: Texts, or calls.
        manner: How the server behaves.
        authority: A PEM file of the authority that clients should trust.
    """

    name: str
    task: str
    count: int
    manner: Manner = field(default_factory=Manner)
    authority: str | None = None


def run(work: Work, entry: Entry) -> dict[str, Any]:
    """Measure once."""
    servers_core, clients_core = cores()
    with served(replace(work.manner, core=servers_core)) as server:
        asked = {
            "contestant": entry.contestant,
            "options": entry.options,
            "url": server.url,
            "task": work.task,
            "count": work.count,
            "core": clients_core,
        }
        done = subprocess.run(  # noqa: S603
            [python_of(entry.contestant), "-m", "benchmarks.child", json.dumps(asked)],
            cwd=ROOT,
            env=_environment(work),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{entry.name} at {work.name}: {done.stderr[-2_000:]}")
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return measured | {"server": server.statistics()}


def summary(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The median of every figure; of the server's, those that matter."""
    runs = list(runs)
    good = [run for run in runs if "error" not in run]
    outcome: dict[str, Any] = {"runs": len(runs), "failed": len(runs) - len(good)}
    if len(good) < len(runs):
        outcome["error"] = next(run["error"] for run in runs if "error" in run)
    for name in good[0] if good else ():
        if isinstance(good[0][name], float):
            outcome[name] = median(run[name] for run in good)
    for name in OF_THE_SERVER:
        outcome[name] = median(run["server"][name] for run in runs)
    outcome["request_size"] = request_size(runs)
    return outcome


def request_size(runs: Iterable[dict[str, Any]]) -> int:
    """The size that most requests had."""
    sizes = Counter[int]()
    for measured in runs:
        sizes.update({int(size): count for size, count in measured["server"]["sizes"].items()})
    return sizes.most_common(1)[0][0] if sizes else 0


def _environment(work: Work) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOYAGE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }
    kept["HF_HUB_OFFLINE"] = "1"
    if work.authority is not None:
        kept["SSL_CERT_FILE"] = kept["REQUESTS_CA_BUNDLE"] = work.authority
    return kept
