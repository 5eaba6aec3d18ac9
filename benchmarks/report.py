"""What was measured, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Work
from benchmarks.verdicts import Verdict

MILLION = 1_000_000
CONSOLE = Console(width=150, highlight=False)

COLUMNS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "documents": (
        ("wall s", "wall_s", ".2f"),
        ("CPU s", "cpu_s", ".2f"),
        ("peak MB", "memory_mb", ",.0f"),
        ("requests", "requests", ",.0f"),
        ("texts each", "request_size", ",.0f"),
        ("429", "refused", ",.0f"),
        ("connections", "connections", ",.0f"),
        ("in flight", "most_at_once", ",.0f"),
        ("server busy s", "busy_seconds", ".2f"),
    ),
    "query": (
        ("p10 ms", "p10_ms", ".3f"),
        ("p50 ms", "p50_ms", ".3f"),
        ("p90 ms", "p90_ms", ".3f"),
        ("connections", "connections", ",.0f"),
    ),
    "streamed": (
        ("wall s", "wall_s", ".2f"),
        ("CPU s", "cpu_s", ".2f"),
        ("memory MB", "memory_mb", ",.0f"),
        ("growth MB", "growth_mb", ".1f"),
        ("requests", "requests", ",.0f"),
        ("server busy s", "busy_seconds", ".2f"),
    ),
}


def show_comparison(work: Work, outcome: Mapping[str, Mapping[str, Any]]) -> None:
    """One row per entry; medians."""
    columns = COLUMNS[work.task]
    title = f"{work.name}: {work.count:,} {'calls' if work.task == 'query' else 'texts'}"
    table = Table("", *(heading for heading, _, _ in columns), title=title, title_justify="left")
    for name, figures in outcome.items():
        cells = [format(figures[key], form) if key in figures else "" for _, key, form in columns]
        failed = f"  ✗ {figures['error'][:60]}" if figures["failed"] else ""
        table.add_row(name + failed, *cells)
    CONSOLE.print(table)


def show_imports(outcome: Mapping[str, float]) -> None:
    """One row per statement."""
    table = Table("", "ms", title="imports", title_justify="left")
    for name, milliseconds in outcome.items():
        table.add_row(name, f"{milliseconds:.0f}")
    CONSOLE.print(table)


def show_verdicts(found: Sequence[Verdict], machine: Mapping[str, Any]) -> None:
    """One row per figure that must be reached."""
    table = Table("must be reached", "figure", "bound", "", "from", title_justify="left")
    for verdict in found:
        sign = "≤" if verdict.at_most else "≥"
        table.add_row(
            verdict.what,
            f"{verdict.figure:.2f}",
            f"{sign} {verdict.bound:g}",
            "[green]yes[/]" if verdict.reached else "[red]NO[/]",
            verdict.outcome,
        )
    table.title = ", ".join(f"{name} {value}" for name, value in machine.items())
    CONSOLE.print(table)
