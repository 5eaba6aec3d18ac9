"""Print the results as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bounds import Check
from benchmarks.measure import Scenario

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


def show_comparison(scenario: Scenario, outcome: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the medians of each entry."""
    columns = COLUMNS[scenario.task]
    title = (
        f"{scenario.name}: {scenario.count:,} {'calls' if scenario.task == 'query' else 'texts'}"
    )
    table = Table("", *(heading for heading, _, _ in columns), title=title, title_justify="left")
    for name, figures in outcome.items():
        cells = [format(figures[key], form) if key in figures else "" for _, key, form in columns]
        failed = f"  ✗ {figures['error'][:60]}" if figures["failed"] else ""
        table.add_row(name + failed, *cells)
    CONSOLE.print(table)


def show_imports(outcome: Mapping[str, float]) -> None:
    """Print the time of each import."""
    table = Table("", "ms", title="imports", title_justify="left")
    for name, milliseconds in outcome.items():
        table.add_row(name, f"{milliseconds:.0f}")
    CONSOLE.print(table)


def show_checks(checks: Sequence[Check], machine: Mapping[str, Any]) -> None:
    """Print each figure with its bound."""
    table = Table("must be reached", "figure", "bound", "", "from", title_justify="left")
    for check in checks:
        sign = "≤" if check.at_most else "≥"
        table.add_row(
            check.what,
            f"{check.figure:.2f}",
            f"{sign} {check.bound:g}",
            "[green]yes[/]" if check.reached else "[red]NO[/]",
            check.outcome,
        )
    table.title = ", ".join(f"{name} {value}" for name, value in machine.items())
    CONSOLE.print(table)
