"""What the README shows runs, and what it names exists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pictures import png
from voyage_rag import _version
from voyage_rag.emulator import Emulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TEXTS = {
    "soup.txt": "Peel the onions. Fry them in butter. Add water and salt",
    "lease.txt": "The tenant pays rent monthly. The landlord repairs the roof",
}
BLOCKS = re.findall(r"<!-- run -->\n```python\n(.*?)```", README, re.DOTALL)


def lay_out(folder: Path) -> None:
    """The pictures and documents that the examples index."""
    for name, texts in {"pictures": {}, "texts": TEXTS}.items():
        (folder / name).mkdir()
        for file, text in texts.items():
            (folder / name / file).write_text(text, "utf-8")
    for colour in ("red", "green", "blue"):
        (folder / "pictures" / f"{colour}.png").write_bytes(png(colour))


@pytest.fixture
def emulator() -> Iterator[str]:
    """The service of the examples."""
    with Emulator() as url:
        yield url


def test_every_python_block_is_run() -> None:
    """No example is left out of the test below."""
    assert README.count("```python") == len(BLOCKS) > 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # examples leave closing to the interpreter
def test_the_examples_run_one_after_another(
    emulator: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All blocks in one session, as a reader would paste them; they find the right document."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-readme")
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator)
    session: dict[str, object] = {}

    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), session)

    printed = capsys.readouterr().out
    assert "3 vectors; best: Read and write CSV files." in printed
    assert "Read and write CSV files." in str(session["best"])
    assert "LangChain finds red.png" in printed
    assert "LlamaIndex finds red.png" in printed
    assert "soup.txt" in str(session["found"])


def test_indexing_pictures_or_long_documents_takes_under_15_lines() -> None:
    """In either framework."""
    told = README[README.index("## Long documents") : README.index("## Voyage's own client")]
    blocks = re.findall(r"```python\n(.*?)```", told, re.DOTALL)

    assert len(blocks) == 4
    assert max(len(block.splitlines()) for block in blocks) < 15


def test_the_files_and_commands_it_names_exist() -> None:
    """Links to files lead somewhere; make targets are in the Makefile."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


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

    for target in ("demo", "test", "lint", "record"):
        assert re.search(rf"^{target}\s+\S", shown, re.MULTILINE), target
