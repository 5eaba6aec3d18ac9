"""`make chaos`: faults, cancelled calls, dying connections, load, stores that fail; a report."""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

from chaos import campaign, cancelling, files, keep_alive, load, report, stores
from chaos.campaign import Outcome
from chaos.cancelling import Leaks
from chaos.corpus import passages
from chaos.entry_points import ENTRY_POINTS
from chaos.keep_alive import KeepAliveOutcome
from chaos.load import Load
from chaos.stores import StoreOutcome
from fakes import HTTPService

MODES = ("sync", "asyncio", "trio")
RESULT = Path("build/chaos.json")
STAGES = {
    "faults": "documents under faults",
    "cancel": "cancelled calls",
    "keep-alive": "queries over connections that die",
    "load": "callers under load",
    "stores": "chunked documents in stores that fail",
    "files": "random files",
}


def main() -> int:
    """Run the campaigns that the arguments select, and return 1 if one found an error."""
    asked = _arguments()
    logging.getLogger("voyage_rag").setLevel(logging.ERROR)  # retries are what this is about
    chosen = [name for name in STAGES if getattr(asked, name.replace("-", "_"))] or list(STAGES)
    outcomes = _campaign(asked) if "faults" in chosen else []
    leaks = _cancelled(asked) if "cancel" in chosen else []
    kept = _kept_alive(asked) if "keep-alive" in chosen else []
    loads = _load(asked) if "load" in chosen else []
    filled = _stores(asked) if "stores" in chosen else []
    RESULT.parent.mkdir(exist_ok=True)
    found = files.run(asked.file_cases, asked.seed) if "files" in chosen else None
    if found is not None:
        report.show_files(found)
    reported = report.as_json(vars(asked), outcomes, leaks, kept, loads, filled)
    RESULT.write_text(json.dumps(reported, indent=1), "utf-8")
    report.tell(f"Written to {RESULT}")
    sound = [
        *(not outcome.grievances for outcome in outcomes),
        *(each.none for each in leaks),
        *(each.sound for each in kept),
        *(each.sound for each in loads),
        *(not each.wrong and not each.lost for each in filled),
        *([] if found is None else [not found.grievances]),
    ]
    return 0 if all(sound) else 1


def _campaign(asked: argparse.Namespace) -> list[Outcome]:
    """Run all entry points with one seed after the other until the time is up, at least once."""
    outcomes: list[Outcome] = []
    end, seed = time.monotonic() + asked.seconds, asked.seed
    while not outcomes or time.monotonic() < end:
        texts = passages(asked.documents, seed)
        outcomes += [
            campaign.run(name, entry_point, texts, seed + place, rate=asked.rate)
            for place, (name, entry_point) in enumerate(ENTRY_POINTS.items())
        ]
        seed += len(ENTRY_POINTS)
    report.show_campaign(outcomes)
    return outcomes


def _cancelled(asked: argparse.Namespace) -> list[Leaks]:
    leaks = []
    for mode in MODES:
        service = HTTPService()
        leaks.append(cancelling.run(mode, asked.cancelled, asked.seed, service))
        service.end()
    report.show_leaks(leaks)
    return leaks


def _kept_alive(asked: argparse.Namespace) -> list[KeepAliveOutcome]:
    outcomes = [keep_alive.run(mode, asked.queries, asked.seed) for mode in MODES]
    report.show_keep_alive(outcomes)
    return outcomes


def _load(asked: argparse.Namespace) -> list[Load]:
    with load.emulator_apart() as url:
        loads = [load.run(mode, asked.load_seconds, url, asked.callers) for mode in MODES]
    report.show_load(loads)
    return loads


def _stores(asked: argparse.Namespace) -> list[StoreOutcome]:
    outcomes = [run(asked.steps, asked.seed) for run in stores.RUNS]
    report.show_stores(outcomes)
    return outcomes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="makes the same things go wrong")
    parser.add_argument(
        "--documents", type=int, default=1_000, help="of each entry point and round"
    )
    parser.add_argument("--rate", type=float, default=campaign.RATE, help="of requests that fail")
    parser.add_argument("--seconds", type=float, default=60, help="begin rounds for so long")
    parser.add_argument("--cancelled", type=int, default=10_000, help="calls on each mode")
    parser.add_argument("--queries", type=int, default=10_000, help="on each mode")
    parser.add_argument("--callers", type=int, default=load.CALLERS, help="at once")
    parser.add_argument("--load-seconds", type=float, default=120, help="on each mode")
    parser.add_argument("--steps", type=int, default=2_000, help="of each framework's store")
    parser.add_argument("--file-cases", type=int, default=1_000, help="random files")
    for name, reported in STAGES.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"only {reported}")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
