"""Importing an adapter whose framework is not installed."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

BLOCKED = dedent("""
    import sys

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {missing!r}:
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

    sys.meta_path.insert(0, Missing())
""")


def run(code: str, *missing: str) -> subprocess.CompletedProcess[str]:
    """Run a program where these packages cannot be imported."""
    program = BLOCKED.format(missing=set(missing)) + dedent(code)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("adapter", "missing", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index", "llama-index"),
    ],
)
def test_a_missing_framework_is_named_with_its_extra(
    adapter: str, missing: str, extra: str
) -> None:
    """The message contains the command that fixes it."""
    ended = run(f"import voyage_rag.{adapter}", missing)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError:")
    assert f"pip install 'voyage-rag[{extra}]'" in last


@pytest.mark.parametrize(
    ("adapter", "other"), [("langchain", "llama_index"), ("llama_index", "langchain_core")]
)
def test_one_framework_does_not_need_the_other(adapter: str, other: str) -> None:
    """No package of the vendor is loaded either."""
    ended = run(
        f"""
        import voyage_rag.{adapter} as adapter
        print(sorted(adapter.__all__))
        """,
        other,
        "voyageai",
        "starlette",
        "typer",
    )
    assert ended.returncode == 0, ended.stderr
    assert "VoyageAIRerank" in ended.stdout


def test_the_client_needs_no_framework() -> None:
    """Neither numpy nor tqdm is loaded."""
    ended = run(
        "import voyage_rag; voyage_rag.Voyage('pa-key')",
        "langchain_core",
        "llama_index",
        "numpy",
        "tqdm",
    )
    assert ended.returncode == 0, ended.stderr


def test_a_bar_without_tqdm_names_the_package() -> None:
    """Only if a bar is requested, and before anything is sent."""
    ended = run(
        """
        import voyage_rag
        voyage_rag.Voyage("pa-key").embed(["a"], "voyage-4", show_progress_bar=True)
        """,
        "tqdm",
    )
    assert ended.returncode == 1
    assert "pip install tqdm" in ended.stderr.splitlines()[-1]
