"""The results of the campaigns, for people and as JSON."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from chaos.campaign import Outcome, faults_met
from chaos.cancelling import Leaks
from chaos.files import FileOutcome
from chaos.keep_alive import KeepAliveOutcome
from chaos.load import Load
from chaos.stores import StoreOutcome


def show_campaign(outcomes: Sequence[Outcome]) -> None:
    """Print a line for each entry point, and the faults of all."""
    tell("Under faults (waits between attempts pass at once)")
    tell(f"  {'entry point':22}{'documents':>10}{'requests':>10}{'faults':>8}{'retries':>9}"
         f"{'paid again':>12}{'seconds':>9}  verdict")  # fmt: skip
    for found in outcomes:
        account = found.account
        verdict = "identical" if not found.grievances else f"{len(found.grievances)} GRIEVANCES"
        tell(f"  {found.entry_point:22}{found.documents:>10,}{account.requests:>10,}"
             f"{account.faults.total():>8,}{account.retries:>9,}{account.forced:>12,}"
             f"{found.seconds:>9.1f}  {verdict}")  # fmt: skip
        for grievance in found.grievances[:5]:
            tell(f"      {grievance}")
    tell("  Faults by kind, all entry points")
    for name, count in sorted(faults_met(outcomes).items()):
        tell(f"    {count:>7,}  {name}")


def show_leaks(leaks: Sequence[Leaks]) -> None:
    """Print a line each for sync, asyncio and trio."""
    tell("Cancelled calls, and what is left of them after a second")
    for each in leaks:
        tell(f"  {each.mode:9}{each.calls:>8,} begun,{each.cancelled:>8,} cancelled: "
             f"{each.sockets} sockets, {each.threads} threads, {each.tasks} tasks more "
             f"({each.seconds:.0f} s)")  # fmt: skip


def show_keep_alive(outcomes: Sequence[KeepAliveOutcome]) -> None:
    """Print two lines each for sync, asyncio and trio."""
    tell("Queries over connections that are killed, reset, silenced and put out of step")
    for each in outcomes:
        tell(f"  {each.mode:9}{each.queries:>7,} queries, {each.events.total():,} events of "
             f"{len(each.events)} kinds ({each.seconds:.0f} s): {each.wrong} wrong vectors, "
             f"{len(each.errors)} errors")  # fmt: skip
        tell(f"{'':11}at most {each.connects} new connection for a query; the slowest took "
             f"{each.slowest * 1_000:.0f} ms, and {each.slowest_silent * 1_000:.0f} ms where a "
             "connection was silent")  # fmt: skip
        for error in each.errors[:5]:
            tell(f"      {error}")


def show_load(loads: Sequence[Load]) -> None:
    """Print two lines each for sync, asyncio and trio."""
    tell("Callers that share one Voyage")
    for each in loads:
        pace = f"{each.calls:,} calls ({each.calls / each.seconds:,.0f} a second)"
        tell(f"  {each.mode:9}{each.callers:>5} callers, {each.seconds:.0f} s: {pace}, "
             f"{len(each.errors)} errors")  # fmt: skip
        tell(f"{'':11}memory {each.memory[0]} to {each.memory[-1]} MiB ({each.grown:+.1f} lately), "
             f"sockets at most {max(each.sockets)}; left {each.left_sockets} sockets and "
             f"{each.left_threads} threads")  # fmt: skip
        for error in each.errors[:5]:
            tell(f"      {error}")


def show_stores(outcomes: Sequence[StoreOutcome]) -> None:
    """Print a line for each framework."""
    tell("Chunked documents in stores that fail, crash and are reloaded")
    for each in outcomes:
        tell(f"  {each.store:22}{each.steps:>6,} steps, {each.failed:,} failed: "
             f"{len(each.wrong)} wrong vectors, {len(each.lost)} lost documents "
             f"({each.seconds:.0f} s)")  # fmt: skip
        for found in [*each.wrong[:5], *each.lost[:5]]:
            tell(f"      {found}")


def show_files(found: FileOutcome) -> None:
    """Print what the files were, and what is wrong."""
    tell(f"Random files: {found.cases:,} in {found.seconds:.0f} s, "
         f"{len(found.grievances)} grievances")  # fmt: skip
    for name, count in sorted(found.defects.items()):
        tell(f"    {count:>7,}  {name}")
    for grievance in found.grievances[:20]:
        tell(f"      {grievance}")


def as_json(
    arguments: dict[str, Any],
    outcomes: Sequence[Outcome],
    leaks: Sequence[Leaks],
    kept_alive: Sequence[KeepAliveOutcome],
    loads: Sequence[Load],
    stores: Sequence[StoreOutcome],
) -> dict[str, Any]:
    """Return all results as JSON."""
    return {
        "arguments": arguments,
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "campaign": [
            {
                "entry_point": found.entry_point,
                "documents": found.documents,
                "seconds": found.seconds,
                "requests": found.account.requests,
                "retries": found.account.retries,
                "texts_paid_again_by_force": found.account.forced,
                "tokens": found.account.tokens,
                "faults": dict(found.account.faults),
                "grievances": found.grievances,
            }
            for found in outcomes
        ],
        "cancelled": [asdict(each) for each in leaks],
        "keep_alive": [asdict(each) | {"events": dict(each.events)} for each in kept_alive],
        "load": [asdict(each) | {"grown_mebibytes": each.grown} for each in loads],
        "stores": [asdict(each) for each in stores],
    }


def tell(line: str) -> None:
    """Print a line, and flush."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
