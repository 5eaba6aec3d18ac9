"""Render a stored notebook, with its outputs and figures, as a page of the documentation.

    python notebooks/render.py     all of them, into docs/notebooks

Needs the standard library only. A test checks that the pages match the notebooks.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGES = HERE.parent / "docs" / "notebooks"


def render(path: Path) -> dict[str, bytes]:
    """The files of a notebook's page by their names: Markdown, and a PNG for each figure."""
    files: dict[str, bytes] = {}
    notebook = json.loads(path.read_text("utf-8"))
    parts = []
    heading = ""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = next(iter(re.findall(r"^#+ (.+)$", source, re.MULTILINE)), heading)
            parts.append(source)
            continue
        parts.append(_fenced("python", source))
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{len(files) + 1}.png"
                files[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Plot: {heading}]({name}){{ .plot }}")
            else:
                text = "".join(output.get("text") or data.get("text/plain", ""))
                parts.append(_fenced("text", text))
    parts.append(f"This page is rendered from `notebooks/{path.name}`.")
    files[f"{path.stem}.md"] = ("\n\n".join(parts) + "\n").encode()
    return files


def _fenced(language: str, text: Any) -> str:
    return f"```{language}\n{text.strip(chr(10)).rstrip()}\n```"


def write_page(path: Path) -> None:
    """Write the page of one notebook, in place of its former files."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for former in PAGES.glob(f"{path.stem}*"):
        former.unlink()
    for name, content in render(path).items():
        (PAGES / name).write_bytes(content)


if __name__ == "__main__":
    for notebook_path in sorted(HERE.glob("*.ipynb")):
        write_page(notebook_path)
