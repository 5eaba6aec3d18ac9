"""`python -m benchmarks`: measure, show, and write down."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from benchmarks import machine, report, works
from benchmarks.environments import REQUIREMENTS, versions_of
from benchmarks.imports import import_times
from benchmarks.measure import Entry, request_size, run, summary
from benchmarks.serving import HOST
from benchmarks.verdicts import verdicts
from benchmarks.works import Comparison, comparisons

RESULTS = Path(__file__).parent / "results"
IMPORTS = "imports"
TIMES_IMPORTED = 7
RUNS_HELP = "measurements per figure; a third where a limit sets the pace, and of memory"


def main() -> int:
    """Measure what the arguments ask for; 1 if a figure was not reached."""
    asked = _arguments()
    facts = machine.facts()
    summaries, runs = _measured(asked)
    imports: dict[str, float] = {}
    if asked.only in IMPORTS:
        imports = import_times(3 if asked.quick else TIMES_IMPORTED, peers=asked.peers)
        report.show_imports(imports)
    found = list(verdicts(summaries, imports))
    report.show_verdicts(found, facts)
    measured = {entry for outcome in summaries.values() for entry in outcome}
    environments = ["voyage-rag", *(name for name in REQUIREMENTS if name in measured)]
    _write(
        asked,
        {
            "machine": facts,
            "arguments": vars(asked),
            "verdicts": [verdict.as_dict() for verdict in found],
            "imports_ms": imports,
            "medians": summaries,
            "runs": runs,
            "versions": {name: versions_of(name) for name in environments},
        },
    )
    return 0 if all(verdict.reached for verdict in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help=RUNS_HELP)
    parser.add_argument("--quick", action="store_true", help="one run, less of everything")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="ours alone")
    parser.add_argument("--only", default="", metavar="PART", help=f"of: {', '.join(PARTS)}")
    asked = parser.parse_args()
    if asked.quick:
        asked.runs = 1
    return asked


PARTS = (
    works.INDEXING, works.GIVEN, works.SMOOTHED, works.NOT_GIVEN, works.NAMED, works.QUERY,
    works.KEPT, works.STREAMED, IMPORTS,
)  # fmt: skip


def _measured(asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    summaries: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        _write_certificates(Path(place))
        for comparison in comparisons(
            asked.runs, quick=asked.quick, peers=asked.peers, certificates=Path(place)
        ):
            name = comparison.work.name
            if asked.only in name:
                runs[name] = _compared(comparison)
                summaries[name] = {entry: summary(some) for entry, some in runs[name].items()}
                report.show_comparison(comparison.work, summaries[name])
    return summaries, runs


def _compared(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """All runs of all entries, in turn, so that a slow minute hits everybody alike."""
    work, entries = comparison.work, list(comparison.entries)
    if work.name == works.INDEXING:
        same = works.floor(request_size([run(work, Entry("LangChain"))]))
        if same not in entries:
            entries.insert(0, same)
    runs: dict[str, list[dict[str, Any]]] = {entry.name: [] for entry in entries}
    for turn in range(comparison.runs):
        for entry in entries:
            sys.stderr.write(f"{work.name}: {entry.name}, run {turn + 1}\n")
            runs[entry.name].append(run(work, entry))
    return runs


def _write_certificates(place: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(place / "authority.pem")
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(place / "server.pem")


def _write(asked: argparse.Namespace, outcome: dict[str, Any]) -> None:
    """A whole run is kept under its date; a part of one, as the last of its kind."""
    RESULTS.mkdir(exist_ok=True)
    whole = asked.peers and not asked.quick and not asked.only
    path = RESULTS / (f"{datetime.now(UTC):%Y-%m-%d}.json" if whole else "last.json")
    path.write_text(json.dumps(outcome, indent=1) + "\n", "utf-8")
    sys.stderr.write(f"written to {path}\n")


if __name__ == "__main__":
    sys.exit(main())
