"""Every example of the README and the guides runs; every link and command works."""

from __future__ import annotations

import io
import logging
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import voyage_rag
from pages import GUIDES, README, ROOT, blocks, command_lines, lay_out
from voyage_rag import batch, bulk, errors, langchain, llama_index, observe
from voyage_rag.cli import main
from voyage_rag.emulator import Emulator
from voyage_rag.observe.otel import uninstrument

PAGES = [page for page in (README, *GUIDES) if blocks(page, "python")]
SHELL = [page for page in (README, *GUIDES) if any(command_lines(page))]
SLOW = {"demo", "emulate"}
"""Commands that are parsed only: one takes a while, the other does not end."""


def name_of(page: Path) -> str:
    return page.stem


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, object]]:
    """A reader's session: the files of the examples, and a service for `Voyage()`."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    with Emulator(batch_speed=10_000) as url, nothing_left_behind():
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-pages")
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        yield {}


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Reset what an example configures for the whole process: logging and instrumentation."""
    root, ours = logging.getLogger(), logging.getLogger("voyage_rag")
    handlers, levels = [*root.handlers], (root.level, ours.level)
    yield
    uninstrument()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # examples leave closing to the interpreter
@pytest.mark.parametrize("page", [page for page in PAGES if page != README], ids=name_of)
def test_the_examples_run_one_after_another(page: Path, session: dict[str, object]) -> None:
    """All Python blocks of a guide in one session, as a reader would paste them."""
    for block in blocks(page, "python"):
        if block.remark == "run":
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(page), "exec"), session)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_examples_of_the_readme_find_the_right_thing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All blocks in one session, as pasted, without a key or a server."""
    monkeypatch.chdir(tmp_path)
    for name in ("VOYAGE_API_KEY", "VOYAGE_BASE_URL"):  # set by the first block; undone at the end
        monkeypatch.setenv(name, "")
    started: dict[str, Any] = {}
    try:
        for block in blocks(README, "python"):
            if not block.remark.startswith("not run"):
                exec(compile(block.code, "README.md", "exec"), started)
    finally:
        started["emulator"].stop()

    printed = capsys.readouterr().out
    assert "3 vectors; best: Read a CSV file." in printed
    assert "LangChain finds: Read a CSV file." in printed
    assert "LlamaIndex finds: Read a CSV file." in printed
    assert "In context: The landlord repairs the roof." in printed
    assert "2 vectors in one space" in printed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_example_is_left_out(page: Path) -> None:
    """A Python block is run, or a comment gives the reason why it is not."""
    silent = [block.line for block in blocks(page, "python") if not block.remark]
    if page == README:
        silent = []  # all of them run, unless they say otherwise

    assert silent == []


@pytest.mark.parametrize("page", SHELL, ids=name_of)
def test_the_commands_work(
    page: Path,
    session: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each `voyage-rag ...` of a shell block. Stdin is a few lines of text."""
    for line, arguments in command_lines(page):
        with (Path.cwd() / "answers.txt").open("rb") as lines:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(lines))
            parsed_only = arguments[:1] and arguments[0] in SLOW
            code = main([*arguments, "--help"] if parsed_only else arguments)
        assert code == 0, f"{line}: {capsys.readouterr().err}"


def test_make_targets_and_benchmarks_exist() -> None:
    """In shell blocks and in running text."""
    others = [ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md", ROOT / "cassettes/README.md"]
    text = "\n".join(page.read_text("utf-8") for page in (README, *GUIDES, *others))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = re.findall(r"(?:^|`)make ((?:[a-z]+ ?)+)", text, re.MULTILINE)
    targets = {target for names in named for target in names.split()}
    modules = set(re.findall(r"python -m benchmarks\.(\w+)", text))

    assert {"demo", "test", "docs", "bench"} <= targets
    assert targets - set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) == set()
    assert "bulk" in modules
    assert {name for name in modules if not (ROOT / f"benchmarks/{name}.py").exists()} == set()


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """Inline or by reference, to files and to headings of the same page."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "code", page.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
    targets += re.findall(r"^\[[^\]]+\]: (?!https?:)(\S+)$", text, re.MULTILINE)
    for target in targets:
        file = target.partition("#")[0]
        assert not file or (page.parent / file).exists(), target
    defined = set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))
    used = set(re.findall(r"\]\[([^\]]+)\]", text))
    assert used <= defined


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/about/*.md")), ids=name_of)
def test_links_of_included_files_lead_somewhere(page: Path) -> None:
    """These pages include files of other folders, whose links need targets of their own."""
    text = page.read_text("utf-8")
    for file, section in re.findall(r'^--8<-- "([^":]+)(:page)?"$', text, re.MULTILINE):
        included = (ROOT / file).read_text("utf-8")
        if section:
            included = included.partition("[start:page]")[2].partition("[end:page]")[0]
        inline = re.findall(r"\]\((?!https?:)([^)\s#]+)\)", included)
        defined = re.findall(r"^\[([^\]]+)\]: (?!https?:)([^\s#]+)", text, re.MULTILINE)
        used = set(re.findall(r"\]\[([^\]]+)\]", re.sub(r"`[^`\n]*`", "", included)))
        assert used <= {name for name, _ in re.findall(r"^\[([^\]]+)\]: (\S+)", text, re.MULTILINE)}
        for target in (*inline, *(target for _, target in defined)):
            assert (page.parent / target).exists(), target


def test_the_site_links_to_what_the_readme_does() -> None:
    """The start page is the README. Each of the two defines its own link targets."""
    of_readme = re.findall(r"^\[([^\]]+)\]: ", README.read_text("utf-8"), re.MULTILINE)
    of_site = re.findall(
        r"^\[([^\]]+)\]: ", (ROOT / "docs/index.md").read_text("utf-8"), re.MULTILINE
    )

    assert of_site == of_readme


def pages_of(nav: Any) -> Iterator[str]:
    """The files that a navigation names."""
    for entry in nav:
        for target in entry.values():
            yield from pages_of(target) if isinstance(target, list) else [target]


def test_the_navigation_has_every_page() -> None:
    """Once, and no other page. The site generator does not check this."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    written = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}

    assert sorted(pages_of(nav)) == sorted(written)


def test_the_reference_has_every_public_name() -> None:
    """Of the package and of its adapters."""
    shown = "".join(page.read_text("utf-8") for page in (ROOT / "docs/reference").glob("*.md"))
    packages = (voyage_rag, langchain, llama_index, batch, bulk, observe)
    public = {name for package in packages for name in package.__all__} - {"__version__"}
    public -= {name for name in vars(errors) if name.endswith("Error")} | {"Timeout"}

    assert "::: voyage_rag.errors" in shown
    assert {name for name in public if not re.search(rf"\b{name}\b", shown)} == set()
