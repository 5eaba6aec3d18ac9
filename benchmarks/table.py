"""`python -m benchmarks.table results/<date>.json`: write the table of docs/speed.md.

It contains the figures of one complete run of `make bench`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import scenarios

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

PAIRS = (
    ("LangChain", "langchain-voyageai"),
    ("LlamaIndex", "llama-index-embeddings-voyageai"),
    ("Voyage", "voyageai"),
)
"""Our classes, each with the package that it replaces."""

IMPORTED = {
    "LangChain": "LangChain's class, in use",
    "LlamaIndex": "LlamaIndex's class, in use",
    "Voyage": "voyage_rag, in use",
}
"""Names of our entries in the table of import times."""

Outcome = Mapping[str, Any]


def main() -> None:
    """Write the table for a results file to the page."""
    outcome = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN + "\n")
    _, after = rest.split(END)
    PAGE.write_text(
        f"{before}{BEGIN}\n{table(outcome, Path(sys.argv[1]).stem)}{END}{after}", "utf-8"
    )


def table(outcome: Outcome, date: str) -> str:
    """Return the table and its caption as Markdown.

    Args:
        outcome: Results of a run.
        date: Of that run.
    """
    names = [name for pair in PAIRS for name in pair]
    ours = {"Voyage": "voyage-rag, client"} | {
        name: f"voyage-rag, {name}" for name in ("LangChain", "LlamaIndex")
    }
    headings = [ours.get(name, name) for name in names]
    lines = [
        f"| task | {' | '.join(headings)} | lower bound |",
        "|---|" + "--:|" * (len(names) + 1),
        *(f"| {what} | {' | '.join(cells)} |" for what, cells in _rows(outcome, names)),
    ]
    machine = outcome["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['python']}"
    caption = (
        "Less is better. The figures are medians of one run of `make bench`, in which all packages "
        "use the same local server. It takes 100 ms and 5 µs per token for a request; for one "
        "query, over TLS, it adds no time. The lower bound is that of raw sockets, and of plain "
        f"httpx for one query. {date}, {where}."
    )
    return "\n".join(lines) + f"\n\n{caption}\n"


def _rows(outcome: Outcome, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    medians, imports = outcome["medians"], outcome["imports_ms"]

    def row(
        what: str, scenario: str, figure: str, form: str, *, ending: str = "", bound: str = ""
    ) -> Iterator[tuple[str, list[str]]]:
        if scenario in medians:
            of = medians[scenario]
            cells = [_cell(of.get(name + ending), figure, form) for name in names]
            bounds = [of[name][figure] for name in of if bound and name.split(", ")[0] == bound]
            if any(cells):
                yield what, [*cells, format(min(bounds), form) if bounds else ""]

    yield from row(
        "20,000 texts, s", scenarios.INDEXING, "wall_s", ".1f", bound=scenarios.LOWER_BOUND
    )
    yield from row("20,000 texts, async, s", scenarios.INDEXING, "wall_s", ".1f", ending=" async")
    yield from row(
        "20,000 texts, processor s", scenarios.INDEXING, "cpu_s", ".1f", bound=scenarios.LOWER_BOUND
    )
    under = "60,000 texts under 12 million tokens a minute, s"
    yield from row(under, scenarios.NOT_GIVEN, "wall_s", ".0f")
    yield from row("the same, async", scenarios.NOT_GIVEN, "wall_s", ".0f", ending=" async")
    yield from row("one query, ms", scenarios.QUERY, "p50_ms", ".2f", bound="bare httpx")
    yield from row("one query, async, ms", scenarios.QUERY, "p50_ms", ".2f", ending=" async")
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
