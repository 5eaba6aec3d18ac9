"""`python -m benchmarks.plot`: draw docs/speed.svg, the time to index 20,000 texts by package.

It reads the newest complete run in `results/`, or the file named. The picture has no background and
takes light or dark colours from the reader's settings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import scenarios
from benchmarks.table import PAIRS

RESULTS = Path(__file__).parent / "results"
PLOT = Path(__file__).parents[1] / "docs" / "speed.svg"

OURS = {
    "LangChain": "voyage-rag, LangChain",
    "LlamaIndex": "voyage-rag, LlamaIndex",
    "Voyage": "voyage-rag, client",
}
"""Labels of our entries; the other packages are shown by their names."""

LABEL_WIDTH, BAR_WIDTH, VALUE_WIDTH = 262, 330, 58
BAR_HEIGHT, ROW_HEIGHT, PAIR_GAP, TOP = 18, 24, 12, 34

STYLE = """
    text { fill: #1f2328 }
    .ours { fill: #0b6bcb }
    .other { fill: #8c959f }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .ours { fill: #4da3ff }
      .other { fill: #6e7681 }
    }
  """


def main() -> None:
    """Draw the newest complete run, or the one of the file named."""
    named = [Path(name) for name in sys.argv[1:2]]
    paths = named or sorted(RESULTS.glob("[0-9]*.json"), reverse=True)
    names = {name for pair in PAIRS for name in pair}
    runs = (json.loads(path.read_text("utf-8"))["medians"] for path in paths)
    indexing = (run.get(scenarios.INDEXING, {}) for run in runs)
    medians = next(run for run in indexing if names <= run.keys())
    PLOT.write_text(plot(medians), "utf-8")


def plot(medians: Mapping[str, Mapping[str, Any]]) -> str:
    """An SVG with one bar per package.

    Args:
        medians: The figures of each entry, with the seconds under `wall_s`.
    """
    seconds = {name: medians[name]["wall_s"] for pair in PAIRS for name in pair}
    scale = BAR_WIDTH / max(seconds.values())
    lines, top = [], float(TOP)
    for pair in PAIRS:
        for name in pair:
            length, middle = seconds[name] * scale, top + BAR_HEIGHT / 2 + 4.5
            label, kind = OURS.get(name, name), "ours" if name in OURS else "other"
            size = f'width="{length:.1f}" height="{BAR_HEIGHT}"'
            value = f'x="{LABEL_WIDTH + length + 6:.1f}" y="{middle}"'
            lines += [
                f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{label}</text>',
                f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{top}" {size} rx="2"/>',
                f"<text {value}>{seconds[name]:.1f} s</text>",
            ]
            top += ROW_HEIGHT
        top += PAIR_GAP
    width, body = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH, "\n  ".join(lines)
    summary = "; ".join(f"{OURS.get(name, name)} {it:.1f} s" for name, it in seconds.items())
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" role="img"
     aria-labelledby="title" font-size="14"
     font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">
  <title id="title">Time to index 20,000 texts: {summary}</title>
  <style>{STYLE}</style>
  <text x="0" y="18" font-weight="600">Time to index 20,000 texts (less is better)</text>
  {body}
</svg>
"""


if __name__ == "__main__":
    main()
