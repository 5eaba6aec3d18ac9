"""The notebooks are stored with outputs that fit their cells, and the site shows the same.

`make notebooks` checks that they run and print what is stored.
"""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PAGES = FOLDER.parent / "docs" / "notebooks"


def name_of(path: Path) -> str:
    return path.stem


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return notebook


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def test_the_readme_links_to_each() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")

    assert re.findall(r"\((\w+\.ipynb)\)", readme) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_notebook_is_stored_as_it_was_run_from_top_to_bottom(path: Path) -> None:
    cells = code_cells(path)

    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert sum(
        "image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"]
    )
    for cell in cells:
        assert set(cell["metadata"]) <= {"tags"}
    assert set(read(path)["metadata"]["language_info"]) == {"name", "version"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_outputs_name_nothing_of_the_machine_and_warn_of_nothing(path: Path) -> None:
    """Except the notebook on failures, whose warnings are what it shows."""
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    texts = ["".join(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs]

    assert not re.findall(r"/(?:home|root|tmp|work|Users)/\S+|127\.0\.0\.1:\d+", "\n".join(texts))
    if not path.stem.startswith("06"):
        assert not [output["text"] for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_notebook_states_how_to_install_and_where_its_vectors_come_from(path: Path) -> None:
    title = " ".join("".join(read(path)["cells"][0]["source"]).split())
    first = code_cells(path)[0]
    source = "".join(first["source"])

    assert "**Where the vectors come from.**" in title
    assert "emulator" in title
    assert "VOYAGE_API_KEY" in title
    assert "not meaning" in title
    assert "# %pip install" in source
    assert "vectors are not Voyage's" in "".join(first["outputs"][0]["text"])


def test_nothing_is_paid_for_twice_in_the_notebook_that_says_so() -> None:
    """Its numbers may vary, so running it does not compare them."""
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("06")]
    printed = "".join(
        "".join(output.get("text", "")) for cell in code_cells(path) for output in cell["outputs"]
    )

    (amounts,) = re.findall(r"paid in both runs ([\d,]+) tokens; once ([\d,]+)", printed)
    assert amounts[0] == amounts[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_the_site_shows_what_is_stored(path: Path) -> None:
    """If this fails: `python notebooks/render.py`."""
    render = runpy.run_path(str(FOLDER / "render.py"))["render"]
    stored = {page.name: page.read_bytes() for page in PAGES.glob(f"{path.stem}*")}

    assert stored == render(path)
    assert f"notebooks/{path.stem}.md" in (PAGES.parent.parent / "zensical.toml").read_text("utf-8")
