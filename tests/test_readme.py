"""The code in the README runs, and its statements about the project are true."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from pages import README as PAGE
from pages import ROOT, blocks
from voyage_rag import _version

README = PAGE.read_text("utf-8")


COMPARISON = (ROOT / "docs/comparison.md").read_text("utf-8")
EVENTS = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
MOST_WORDS = 900


def section(page: str, title: str) -> str:
    """Return the text under a heading."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_it_is_short() -> None:
    """A newcomer can read it in a few minutes."""
    assert len(README.split()) <= MOST_WORDS


def test_its_examples_are_short() -> None:
    """Each fits on a screen."""
    lengths = [
        sum(bool(line.strip()) for line in block.code.splitlines())
        for block in blocks(PAGE, "python")
    ]

    assert len(lengths) >= 5
    assert max(lengths) <= 12


def table(text: str) -> dict[str, list[str]]:
    """The cells of the first table in a text, by row."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: cells for name, *cells in rows}


def test_each_feature_says_how_it_was_checked() -> None:
    """Every row has its evidence, and the named tests exist."""
    reported = table(section(COMPARISON, "Features"))
    checked = table(section(COMPARISON, "How each cell was checked"))

    assert [*checked] == [*reported]
    for _, ours in checked.values():
        for file, _, test in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", ours):
            assert f"def {test}(" in (ROOT / file).read_text("utf-8") or not test, test


SEEN_AS = {
    "embeds without reaching the Hugging Face Hub": "embeds without the hub",
    "retries by itself: 429, 5xx, lost connections": "retries by itself",
    "obeys `Retry-After`": "obeys Retry-After",
    "a failure keeps what was paid for": "keeps what was paid for",
    "refuses too few vectors, puts others in order": "checks count and order",
}
"""Rows of the table by what `benchmarks/features.py` calls them."""


def test_what_a_program_can_check_is_as_it_was_seen() -> None:
    """Of us and of the others."""
    reported = table(section(COMPARISON, "Features"))
    seen = json.loads((ROOT / "benchmarks/results/features.json").read_text("utf-8"))
    others = ("langchain-voyageai", "llama-index-embeddings-voyageai", "voyageai")
    for row, probe in SEEN_AS.items():
        ours = [
            seen[probe][name].startswith("yes") for name in ("Voyage", "LangChain", "LlamaIndex")
        ]
        theirs = [seen[probe][name].startswith("yes") for name in others]
        assert [cell == "yes" for cell in reported[row]] == [all(ours), *theirs], row
    at_once = {name: flight.split()[0] for name, flight in seen["requests in flight"].items()}
    assert {at_once[name] for name in others} == {"1"}
    assert at_once["Voyage"] == "16"
    assert reported["requests in flight at once"] == ["16, or as set", "1", "1; async: all", "1"]


def test_the_make_targets_it_names_exist() -> None:
    """They are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"`make ([a-z]+)", README))
    assert "test" in targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_an_index_page_shows_no_dead_link_and_no_mark_of_ours() -> None:
    """Package indexes have the README alone: no files to link to, no pictures."""
    shown = subprocess.run(
        [sys.executable, "-m", "hatch_fancy_pypi_readme"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "<!--" not in shown
    assert re.findall(r"\]\[", shown) == []
    assert "not on PyPI" not in shown
    assert "\nRun `pip install 'voyage-rag[all]'`, with Python 3.11 or newer.\n" in shown
    assert re.findall(r"\]\((?!https://)", shown) == []
    assert shown.count("```python") == len(blocks(PAGE, "python"))


def test_the_changelog_is_about_this_version() -> None:
    """Its first entry is the version of the package."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)

    assert first is not None
    assert _version.__version__ == first[1]


def test_make_alone_explains_itself() -> None:
    """Every target for users is listed with its description."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for target in ("demo", "test", "lint", "record", "docs"):
        assert re.search(rf"^{target}\s+\S", shown, re.MULTILINE), target


def test_what_happens_when_names_the_tests_that_say_so() -> None:
    """A test for every line, and it exists."""
    lines = table(section(EVENTS, "What happens when"))

    assert len(lines) >= 20
    for occasion, (_, said_by) in lines.items():
        file, _, test = said_by.strip("`").partition("::")
        assert re.search(
            rf"^def {test}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE
        ), occasion
