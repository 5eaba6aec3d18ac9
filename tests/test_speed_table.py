"""The table of docs/speed.md is made from the measurements."""

from __future__ import annotations

from typing import Any

import pytest

from pages import ROOT


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes it, which is no part of the package."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import table

    return table


def figures(**measured: float) -> dict[str, Any]:
    return {"failed": 0, **measured}


def test_a_run_becomes_a_table(benchmarks: Any) -> None:
    """Ours next to theirs, the best lower bound, and a failure instead of a figure."""
    outcome = {
        "machine": {"processor": "a processor", "cores": 2, "python": "CPython 3.11"},
        "imports_ms": {"LangChain's class, in use": 200.4, "langchain-voyageai": 1000.0},
        "medians": {
            "indexing": {
                "raw sockets, 64 per request": figures(wall_s=2.5, cpu_s=1.5),
                "raw sockets, 250 per request": figures(wall_s=2.1, cpu_s=1.7),
                "LangChain": figures(wall_s=2.44, cpu_s=2.0),
                "langchain-voyageai": figures(wall_s=15.0, cpu_s=4.2),
            },
            "limits not given": {
                "LangChain": figures(wall_s=20.0),
                "llama-index-embeddings-voyageai async": {"failed": 3, "error": "429"},
            },
        },
    }

    lines = benchmarks.table(outcome, "2026-11-21").splitlines()

    rows = [line[1:-1].split("|") for line in lines if line.startswith("|")]
    cells = {name.strip(): [cell.strip() for cell in row] for name, *row in rows}
    assert cells["20,000 texts, s"] == ["2.4", "15.0", "", "", "", "", "2.1"]
    assert cells["20,000 texts, processor s"][-1] == "1.5"
    assert cells["60,000 texts under 12 million tokens a minute, s"][0] == "20"
    assert cells["import, ms"][:2] == ["200", "1000"]
    assert cells["the same, async"][3] == "fails"
    assert "2026-11-21, a processor, 2 cores, CPython 3.11" in lines[-1]


def test_the_position_is_marked(benchmarks: Any) -> None:
    """Once, in order."""
    text = (ROOT / "docs" / "speed.md").read_text("utf-8")

    assert text.count(benchmarks.BEGIN) == text.count(benchmarks.END) == 1
    assert text.index(benchmarks.BEGIN) < text.index(benchmarks.END)
