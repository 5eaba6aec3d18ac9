"""How notebooks are kept: without output, and saying where their vectors come from.

That they run is checked by `make notebooks`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return notebook


def test_the_readme_links_to_each() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")

    assert re.findall(r"\((\w+\.ipynb)\)", readme) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_output(path: Path) -> None:
    """Nor any trace of who ran it where: a diff shows what was written, and no more."""
    notebook = read(path)

    for cell in notebook["cells"]:
        assert not cell.get("outputs"), f"{cell['id']} has output: clear it before you commit"
        assert cell.get("execution_count") is None, f"{cell['id']} has an execution count"
        assert cell["metadata"] == {}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["language_info"] == {"name": "python"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_says_where_the_vectors_come_from(path: Path) -> None:
    first = read(path)["cells"][0]
    text = " ".join("".join(first["source"]).split())

    assert first["cell_type"] == "markdown"
    assert "**Where the vectors come from.**" in text
    assert "emulator" in text
    assert "VOYAGE_API_KEY" in text
    assert "not meaning" in text
