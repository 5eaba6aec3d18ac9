"""What the README shows runs, and what it says of the project is so."""

from __future__ import annotations

import re
import subprocess
import sys

from pages import README as PAGE
from pages import ROOT, blocks
from voyage_rag import _version

README = PAGE.read_text("utf-8")


def section(title: str) -> str:
    """What stands under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def code_lines(title: str) -> list[int]:
    """How many lines of code each Python block under a heading has, blank ones left out."""
    written = re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)
    return [sum(bool(line.strip()) for line in block.splitlines()) for block in written]


def test_the_first_examples_are_short() -> None:
    """Eight lines without a key, six in each framework."""
    assert code_lines("Eight lines without a key") == [7]
    assert [*code_lines("LangChain"), *code_lines("LlamaIndex")] == [5, 6]


def test_indexing_pictures_or_long_documents_takes_under_15_lines() -> None:
    """In either framework."""
    lengths = code_lines("Long documents, whose chunks need their context")
    lengths += code_lines("Pictures and text in one space")

    assert len(lengths) == 4
    assert max(lengths) < 15


def test_the_make_targets_it_names_exist() -> None:
    """And do not only look like it."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"`make ([a-z]+)", README))
    assert {"demo", "test", "lint", "bench"} <= targets
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
    assert re.findall(r"\]\((?!https://)", shown) == []
    assert shown.count("```python") == len(blocks(PAGE, "python"))


def test_the_changelog_is_about_this_version() -> None:
    """Its first entry is the version of the package."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    first = re.search(r"^## (\S+)", changelog, re.MULTILINE)

    assert first is not None
    assert _version.__version__ == first[1]


def test_make_alone_explains_itself() -> None:
    """Every target that a person would call is listed with what it does."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for target in ("demo", "test", "lint", "record", "docs"):
        assert re.search(rf"^{target}\s+\S", shown, re.MULTILINE), target
