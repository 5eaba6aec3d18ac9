"""`python -m benchmarks.table results/<date>.json`: write the table of docs/speed.md.

It says what a whole run of `make bench` measured, and nothing that it did not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import works

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

PAIRS = (
    ("LangChain", "langchain-voyageai"),
    ("LlamaIndex", "llama-index-embeddings-voyageai"),
    ("Voyage", "voyageai"),
)
"""Who stands next to whom: ours, then the package it replaces."""

IMPORTED = {
    "LangChain": "LangChain's class, in use",
    "LlamaIndex": "LlamaIndex's class, in use",
    "Voyage": "voyage_rag, in use",
}
"""What importing ours is called where imports are timed."""

Outcome = Mapping[str, Any]


def main() -> None:
    """Put the table of the file named into the page."""
    outcome = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN + "\n")
    _, after = rest.split(END)
    PAGE.write_text(
        f"{before}{BEGIN}\n{table(outcome, Path(sys.argv[1]).stem)}{END}{after}", "utf-8"
    )


def table(outcome: Outcome, date: str) -> str:
    """The table and what it needs to be understood, as markdown.

    Args:
        outcome: What a run has written down.
        date: Of that run.
    """
    names = [name for pair in PAIRS for name in pair]
    headings = [
        f"{'our ' if name in IMPORTED else ''}{'client' if name == 'Voyage' else name}"
        for name in names
    ]
    lines = [
        f"| task | {' | '.join(headings)} | floor |",
        "|---|" + "--:|" * (len(names) + 1),
        *(f"| {what} | {' | '.join(cells)} |" for what, cells in _rows(outcome, names)),
    ]
    machine = outcome["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['python']}"
    caption = (
        "Medians of `make bench`, side by side in one run against one local server that takes "
        "100 ms and 5 µs per token for a request; for one query, over TLS, it adds nothing. Less "
        f"is better. Floor: raw sockets, and bare httpx for one query. {date}, {where}. "
        "[The benchmarks](about/benchmarks.md) describe the tasks."
    )
    return "\n".join(lines) + f"\n\n{caption}\n"


def _rows(outcome: Outcome, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    medians, imports = outcome["medians"], outcome["imports_ms"]

    def row(
        what: str, work: str, figure: str, form: str, *, ending: str = "", floor: str = ""
    ) -> Iterator[tuple[str, list[str]]]:
        if work in medians:
            of = medians[work]
            cells = [_cell(of.get(name + ending), figure, form) for name in names]
            floors = [of[name][figure] for name in of if floor and name.split(", ")[0] == floor]
            if any(cells):
                yield what, [*cells, format(min(floors), form) if floors else ""]

    yield from row("20,000 texts, s", works.INDEXING, "wall_s", ".1f", floor=works.FLOOR)
    yield from row("20,000 texts, async, s", works.INDEXING, "wall_s", ".1f", ending=" async")
    yield from row("20,000 texts, processor s", works.INDEXING, "cpu_s", ".1f", floor=works.FLOOR)
    under = "60,000 texts under 12 million tokens a minute, s"
    yield from row(under, works.NOT_GIVEN, "wall_s", ".0f")
    yield from row("the same, async", works.NOT_GIVEN, "wall_s", ".0f", ending=" async")
    yield from row("one query, ms", works.QUERY, "p50_ms", ".2f", floor="bare httpx")
    yield from row("one query, async, ms", works.QUERY, "p50_ms", ".2f", ending=" async")
    if imports:
        taken = [imports.get(IMPORTED.get(name, name)) for name in names]
        cells = ["" if value is None else f"{value:.0f}" for value in taken]
        yield "import, ms", [*cells, ""]


def _cell(figures: Outcome | None, figure: str, form: str) -> str:
    if figures is None:
        return ""
    if figures["failed"]:
        return "fails"
    return format(figures[figure], form)


if __name__ == "__main__":
    main()
