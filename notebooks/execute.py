"""Run the notebooks from top to bottom and compare what they print with the stored outputs.

    python notebooks/execute.py             all of them
    python notebooks/execute.py 01 04       those whose names start with 01 or 04
    python notebooks/execute.py --write     store the new outputs, and render the pages of the site

Each notebook runs in a fresh kernel without a key, so its vectors come from the emulator. Text has
to be the same. Numbers in cells with the tag `numbers-vary`, which depend on timing, may differ.
Figures and stderr have to be present. The texts are Python's own documentation, so under another
version of Python than the stored one only the kinds of outputs are compared.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from render import write_page

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 300
PYTHON = platform.python_version()
KEYS = ("VOYAGE_API_KEY", "VOYAGE_API_KEY_PATH", "VOYAGE_BASE_URL")


async def execute(path: Path) -> nbformat.NotebookNode:
    """Run one notebook in its folder, by the Python that runs this program.

    Raises:
        TimeoutError: It takes longer than `TIMEOUT_SECONDS`.
        CellExecutionError: A cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(HERE)}},
        coalesce_streams=True,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # no messages about ports of this machine
    )
    await asyncio.wait_for(client.async_execute(), TIMEOUT_SECONDS)
    notebook.metadata.language_info = {"name": "python", "version": PYTHON}
    return notebook


def comparable(cell: Any, *, with_text: bool) -> list[str]:
    """The lines of a cell's outputs, without what may differ from run to run."""
    lines = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        kind = output.get("name") or next((name for name in data if "image" in name), "result")
        if kind == "stderr":
            continue  # its place among the other outputs depends on timing
        lines.append(f"[{kind}]")
        text = output.get("text") if kind == "stdout" else data.get("text/plain")
        if not with_text or not text or "image" in kind:
            continue
        if "numbers-vary" in cell["metadata"].get("tags", []):
            text = re.sub(r" +", " ", re.sub(r"[0-9a-f]{32}|[\d.,]*\d", "#", text))
        lines += text.splitlines()
    if any(output.get("name") == "stderr" for output in cell.get("outputs", [])):
        lines.append("[stderr]")
    return lines


def differences(stored: Any, new: Any) -> list[str]:
    """What differs between the outputs of two runs, as a diff for each cell."""
    with_text = stored.metadata.language_info.get("version") == PYTHON
    diff: list[str] = []
    for number, (before, after) in enumerate(zip(stored.cells, new.cells, strict=True)):
        diff += difflib.unified_diff(
            comparable(before, with_text=with_text),
            comparable(after, with_text=with_text),
            f"cell {number}, stored",
            f"cell {number}, now",
            lineterm="",
        )
    return diff


def run(path: Path, *, write: bool) -> str:
    """Run one notebook; return why it failed, or an empty string."""
    try:
        notebook = asyncio.run(execute(path))
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        return str(error)[:4_000] or f"not finished after {TIMEOUT_SECONDS} s"
    if write:
        nbformat.write(notebook, path)
        write_page(path)
        return ""
    diff = differences(nbformat.read(path, as_version=4), notebook)
    if diff:
        diff.append("If the change is intended: make notebooks ARGS=--write")
    return "\n".join(diff)


def main(arguments: list[str]) -> int:
    """Run the notebooks that the arguments select; return how many failed."""
    write = "--write" in arguments
    prefixes = [argument for argument in arguments if argument != "--write"] or [""]
    paths = [path for path in sorted(HERE.glob("*.ipynb")) if path.name.startswith((*prefixes,))]
    if not paths:
        sys.exit(f"no notebook starts with {' or '.join(prefixes)}")
    for name in KEYS:
        os.environ.pop(name, None)
    failed = 0
    for path in paths:
        started = time.perf_counter()
        reason = run(path, write=write)
        failed += bool(reason)
        result = f"failed\n{reason}" if reason else "passed"
        print(f"{path.stem:<30} {time.perf_counter() - started:5.1f} s  {result}", flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
