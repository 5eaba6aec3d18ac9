"""`python -m benchmarks.features`: show what each client does when something goes wrong.

Each cell is one call in a new process, in the client's own environment, against an emulator with a
fixed fault. These are the cells of the comparison that a program can check; docs/comparison.md
states how the others were checked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.clients import ASYNC
from benchmarks.environments import python_of
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.faults import DROPPED, MISSING, REORDERED, status

CLIENT_NAMES = (
    "Voyage",
    "LangChain",
    "LlamaIndex",
    "langchain-voyageai",
    "llama-index-embeddings-voyageai",
    "voyageai",
)
RESULTS = Path(__file__).parent / "results" / "features.json"
MANY = 6_000
SECONDS = 120
RETRY_AFTER = 3
TOLERANCE = 0.001


def main() -> None:
    """Probe all clients, print a table, and write it to a file."""
    outcome: dict[str, dict[str, str]] = {}
    for what, probe in PROBES.items():
        outcome[what] = {name: probe(name) for name in CLIENT_NAMES}
        sys.stdout.write(f"\n{what}\n")
        for name, result in outcome[what].items():
            sys.stdout.write(f"  {name:<32} {result}\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(outcome, indent=1) + "\n", "utf-8")


def run_probe(name: str, url: str, texts: int, **arguments: Any) -> Mapping[str, Any]:
    """Let a client embed a number of texts in a new process."""
    with tempfile.TemporaryDirectory() as home:  # without a tokenizer from an earlier run
        arguments |= {"client": name, "url": url, "texts": texts}
        done = subprocess.run(  # noqa: S603
            [python_of(name), "-m", "benchmarks.probe", json.dumps(arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={**os.environ, "HF_HOME": home, "HF_HUB_OFFLINE": "1"},
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    outcome: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def retries(name: str) -> str:
    """A 429, a 500, a 503 without a body and a lost connection, each once."""
    faults = {"429": status(429), "500": status(500), "503": status(503, "empty"), "lost": DROPPED}
    survived = []
    for what, fault in faults.items():
        with Emulator(faults=[fault]) as url:
            if "vectors" in run_probe(name, url, 1):
                survived.append(what)
    return "yes" if len(survived) == len(faults) else ", ".join(survived) or "no"


def obeys_retry_after(name: str) -> str:
    """A 429 with `Retry-After: 3`: measure the time until the retry."""
    emulator = Emulator(faults=[status(429, retry_after=RETRY_AFTER)])
    with emulator as url:
        run_probe(name, url, 1)
    if len(emulator.requests) == 1:
        return "no, gives up"
    first, second = (request.at for request in emulator.requests[:2])
    return "yes" if second - first >= RETRY_AFTER else f"no, after {second - first:.1f} s"


def embeds_without_the_hub(name: str) -> str:
    """No tokenizer is installed or can be downloaded."""
    with Emulator() as url:
        outcome = run_probe(name, url, 1, own_tokenizer=True)
    return "yes" if "vectors" in outcome else f"no: {outcome['error']}"


def in_flight(name: str) -> str:
    """Count the requests in flight at once while embedding 6,000 texts."""
    emulator = Emulator(latency=0.5)
    with emulator as url:
        run_probe(name, url, MANY)
    times = [(request.at, request.answered_at or request.at) for request in emulator.requests]
    most = max(sum(begun <= at < ended for begun, ended in times) for at, _ in times)
    return f"{most} of {len(times)}"


def in_flight_async(name: str) -> str:
    """Count them for async code."""
    return "" if name == "voyageai" else in_flight(name + ASYNC)


def keeps_what_was_paid_for(name: str) -> str:
    """The third of several requests fails permanently; see what the error contains."""
    with Emulator(faults=[None, None, status(400)]) as url:
        outcome = run_probe(name, url, MANY)
    return f"yes, {outcome['kept']:,} vectors" if outcome.get("kept") else "no"


def checks_the_vectors(name: str) -> str:
    """Two vectors for three texts; three in another order."""
    with Emulator() as url:
        right = run_probe(name, url, 3)["rows"]
    with Emulator(faults=[MISSING]) as url:
        short = run_probe(name, url, 3)
    with Emulator(faults=[REORDERED]) as url:
        turned = run_probe(name, url, 3).get("rows", [])
    counted = short.get("vectors", 3) == 3  # noqa: PLR2004 - refused, or arguments for again
    ordered = all(
        abs(a - b) < TOLERANCE
        for row, other in zip(right, turned, strict=True)
        for a, b in zip(row, other, strict=True)
    )
    return "yes" if counted and ordered else f"counts: {counted}, orders: {ordered}"


PROBES: Mapping[str, Callable[[str], str]] = {
    "retries by itself": retries,
    "obeys Retry-After": obeys_retry_after,
    "embeds without the hub": embeds_without_the_hub,
    "requests in flight": in_flight,
    "requests in flight, async": in_flight_async,
    "keeps what was paid for": keeps_what_was_paid_for,
    "checks count and order": checks_the_vectors,
}


if __name__ == "__main__":
    main()
