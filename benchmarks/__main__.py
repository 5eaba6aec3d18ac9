"""`python -m benchmarks`: measure, print tables, and write the results to a file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from benchmarks import machine, report, scenarios
from benchmarks.bounds import checks_of
from benchmarks.environments import REQUIREMENTS, versions_of
from benchmarks.imports import import_times
from benchmarks.measure import Entry, request_size, run, summary
from benchmarks.scenarios import Comparison, comparisons
from benchmarks.server_process import HOST

RESULTS = Path(__file__).parent / "results"
IMPORTS = "imports"
TIMES_IMPORTED = 7
RUNS_HELP = "measurements per figure; a third where a limit sets the pace, and of memory"


def main() -> int:
    """Run the selected benchmarks and return 1 if a bound was missed."""
    arguments = _arguments()
    facts = machine.facts()
    summaries, runs = _measured(arguments)
    imports: dict[str, float] = {}
    if arguments.only in IMPORTS:
        imports = import_times(3 if arguments.quick else TIMES_IMPORTED, peers=arguments.peers)
        report.show_imports(imports)
    checks = list(checks_of(summaries, imports))
    report.show_checks(checks, facts)
    measured = {entry for outcome in summaries.values() for entry in outcome}
    environments = ["voyage-rag", *(name for name in REQUIREMENTS if name in measured)]
    _write(
        arguments,
        {
            "machine": facts,
            "arguments": vars(arguments),
            "verdicts": [check.as_dict() for check in checks],
            "imports_ms": imports,
            "medians": summaries,
            "runs": runs,
            "versions": {name: versions_of(name) for name in environments},
        },
    )
    return 0 if all(check.reached for check in checks) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help=RUNS_HELP)
    parser.add_argument("--quick", action="store_true", help="one run, less of everything")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="ours alone")
    parser.add_argument("--only", default="", metavar="PART", help=f"of: {', '.join(PARTS)}")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.runs = 1
    return arguments


PARTS = (
    scenarios.INDEXING,
    scenarios.GIVEN,
    scenarios.SMOOTHED,
    scenarios.NOT_GIVEN,
    scenarios.NAMED,
    scenarios.QUERY,
    scenarios.KEPT,
    scenarios.STREAMED,
    IMPORTS,
)


def _measured(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    summaries: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        _write_certificates(Path(folder))
        for comparison in comparisons(
            arguments.runs, quick=arguments.quick, peers=arguments.peers, certificates=Path(folder)
        ):
            name = comparison.scenario.name
            if arguments.only in name:
                runs[name] = _compared(comparison)
                summaries[name] = {entry: summary(some) for entry, some in runs[name].items()}
                report.show_comparison(comparison.scenario, summaries[name])
    return summaries, runs


def _compared(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """Run all entries in turn, so that a slow minute of the machine affects all of them."""
    scenario, entries = comparison.scenario, list(comparison.entries)
    if scenario.name == scenarios.INDEXING:
        same = scenarios.lower_bound(request_size([run(scenario, Entry("LangChain"))]))
        if same not in entries:
            entries.insert(0, same)
    runs: dict[str, list[dict[str, Any]]] = {entry.name: [] for entry in entries}
    for turn in range(comparison.runs):
        for entry in entries:
            sys.stderr.write(f"{scenario.name}: {entry.name}, run {turn + 1}\n")
            runs[entry.name].append(run(scenario, entry))
    return runs


def _write_certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


def _write(arguments: argparse.Namespace, outcome: dict[str, Any]) -> None:
    """Write a complete run under its date, and a partial one to `last.json`."""
    RESULTS.mkdir(exist_ok=True)
    whole = arguments.peers and not arguments.quick and not arguments.only
    path = RESULTS / (f"{datetime.now(UTC):%Y-%m-%d}.json" if whole else "last.json")
    path.write_text(json.dumps(outcome, indent=1) + "\n", "utf-8")
    sys.stderr.write(f"written to {path}\n")


if __name__ == "__main__":
    sys.exit(main())
