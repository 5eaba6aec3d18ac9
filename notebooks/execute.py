"""Run the notebooks from top to bottom, each in a fresh kernel, and write them as HTML.

    python notebooks/execute.py             all of them
    python notebooks/execute.py 01 04       those whose names begin so

The notebooks stay as they are, without output; what they show is in build/notebooks.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

HERE = Path(__file__).parent
SHOWN = HERE.parent / "build" / "notebooks"
LIMIT = 120
"""Seconds one notebook may take."""


async def execute(path: Path) -> nbformat.NotebookNode:
    """Run one notebook in its folder, by the Python that runs this program.

    Raises:
        TimeoutError: It takes longer than it may.
        CellExecutionError: A cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(HERE)}},
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # no word about ports of this machine
    )
    await asyncio.wait_for(client.async_execute(), LIMIT)
    return notebook


def main(beginnings: list[str]) -> int:
    """Run the notebooks that were asked for; return how many failed."""
    paths = [path for path in sorted(HERE.glob("*.ipynb")) if path.name.startswith((*beginnings,))]
    if not paths:
        sys.exit(f"no notebook begins with {' or '.join(beginnings)}")
    SHOWN.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in paths:
        began = time.perf_counter()
        try:
            notebook = asyncio.run(execute(path))
        except (CellExecutionError, DeadKernelError, TimeoutError) as error:
            failed += 1
            reason = str(error)[:4_000] or f"not done in {LIMIT} s"
            print(f"{path.stem:<30} failed: {reason}", flush=True)
            continue
        seconds = time.perf_counter() - began
        page = SHOWN / f"{path.stem}.html"
        page.write_text(HTMLExporter().from_notebook_node(notebook)[0], "utf-8")
        print(f"{path.stem:<30} {seconds:5.1f} s  {page.relative_to(HERE.parent)}", flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [""]))
