"""Run one measurement with a new server and a new client process."""

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
from benchmarks.server import ServerBehavior
from benchmarks.server_process import ROOT, running_server

LONGEST = 600.0
OF_THE_SERVER = (
    "requests", "refused", "connections", "most_at_once", "texts", "tokens", "busy_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A client with its options.

    Attributes:
        client: See `benchmarks.clients.MODULES`.
        options: Arguments for its `make` function.
        label: Name in tables, if it differs from the client's.
    """

    client: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.label or self.client


@dataclass(frozen=True)
class Scenario:
    """A task under given conditions.

    Attributes:
        name: Name in tables.
        task: See `benchmarks.tasks.TASKS`.
        count: Number of texts or calls.
        behavior: Behavior of the server.
        authority: PEM file of the certificate authority that clients trust.
    """

    name: str
    task: str
    count: int
    behavior: ServerBehavior = field(default_factory=ServerBehavior)
    authority: str | None = None


def run(scenario: Scenario, entry: Entry) -> dict[str, Any]:
    """Run a scenario once and return its figures."""
    servers_core, clients_core = cores()
    with running_server(replace(scenario.behavior, core=servers_core)) as server:
        arguments = {
            "client": entry.client,
            "options": entry.options,
            "url": server.url,
            "task": scenario.task,
            "count": scenario.count,
            "core": clients_core,
        }
        done = subprocess.run(  # noqa: S603
            [python_of(entry.client), "-m", "benchmarks.child", json.dumps(arguments)],
            cwd=ROOT,
            env=_environment(scenario),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{entry.name} at {scenario.name}: {done.stderr[-2_000:]}")
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return measured | {"server": server.statistics()}


def summary(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure."""
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
    """Return the most frequent number of texts per request."""
    sizes = Counter[int]()
    for measured in runs:
        sizes.update({int(size): count for size, count in measured["server"]["sizes"].items()})
    return sizes.most_common(1)[0][0] if sizes else 0


def _environment(scenario: Scenario) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOYAGE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }
    kept["HF_HUB_OFFLINE"] = "1"
    if scenario.authority is not None:
        kept["SSL_CERT_FILE"] = kept["REQUESTS_CA_BUNDLE"] = scenario.authority
    return kept
