"""A demo that searches the docstrings of Python's standard library.

`run_demo` is the entry point. The other modules require both frameworks, the emulator and rich.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from voyage_rag.demo.options import DemoError, check_options

if TYPE_CHECKING:
    from rich.console import Console

    from voyage_rag.demo.options import DemoOptions
    from voyage_rag.demo.report import DemoReport

__all__ = ["DemoError", "run_demo"]

REQUIRED_PACKAGES = frozenset(
    {"langchain_core", "llama_index", "numpy", "orjson", "rich", "starlette", "tqdm", "uvicorn"}
)
"""Packages that `voyage-rag[all]` installs and the demo imports."""


def run_demo(options: DemoOptions, out: Console, err: Console) -> DemoReport:
    """Run the demo.

    Args:
        options: Options of the command line.
        out: Console for the results.
        err: Console for the announcement and the progress when `out` is for JSON.

    Raises:
        DemoError: A package is missing, options are wrong, or there is nothing to search.
        VoyageError: The service, or the emulator, responded with an error.
    """
    check_options(options)
    from voyage_rag.demo.show import busy, show_introduction  # noqa: PLC0415 - imports rich

    began = time.perf_counter()
    if not options.as_json:
        show_introduction(out, options)
    try:
        with busy(err if options.as_json else out, "Loading LangChain and LlamaIndex"):
            from voyage_rag.demo.run import run  # noqa: PLC0415 - imports both frameworks
    except ImportError as error:
        missing = _missing_package(error) or _missing_package(error.__cause__)
        if missing not in REQUIRED_PACKAGES:
            raise
        raise DemoError(f"the demo needs {missing}: pip install 'voyage-rag[all]'") from error
    return run(options, out, err, began)


def _missing_package(error: BaseException | None) -> str:
    return ((error.name if isinstance(error, ImportError) else None) or "").split(".")[0]
