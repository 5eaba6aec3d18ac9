"""A demo over text that every machine with Python has: the standard library's docstrings.

`run_demo` is the door. What lies behind it needs both frameworks, the emulator and rich.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from voyage_rag.demo.errors import DemoError

if TYPE_CHECKING:
    from rich.console import Console

    from voyage_rag.demo.options import Options
    from voyage_rag.demo.report import Report

__all__ = ["DemoError", "run_demo"]

REQUIRED = frozenset(
    {"langchain_core", "llama_index", "numpy", "orjson", "rich", "starlette", "tqdm", "uvicorn"}
)
"""The packages that `voyage-rag[all]` brings and the demo imports."""


def run_demo(options: Options, out: Console, err: Console) -> Report:
    """Run the demo (see `voyage_rag.demo.run.run`, and `voyage_rag.demo.pictures` for images).

    Raises:
        DemoError: A package is missing, or there is nothing to search or to ask.
        VoyageError: The service, or the emulator, would not answer.
    """
    from voyage_rag.demo.show import busy  # noqa: PLC0415 - imports rich

    began = time.perf_counter()
    screen = err if options.as_json else out
    try:
        with busy(screen, "Loading LangChain and LlamaIndex"):
            from voyage_rag.demo.pictures import run_pictures  # noqa: PLC0415
            from voyage_rag.demo.run import run  # noqa: PLC0415 - imports both frameworks
    except ImportError as error:
        missing = _missing(error) or _missing(error.__cause__)
        if missing not in REQUIRED:
            raise
        raise DemoError(f"the demo needs {missing}: pip install 'voyage-rag[all]'") from error
    return (run_pictures if options.images else run)(options, out, err, began)


def _missing(error: BaseException | None) -> str:
    return ((error.name if isinstance(error, ImportError) else None) or "").split(".")[0]
