"""The pages for the documentation of LangChain and LlamaIndex run, and print what they show."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import ROOT, blocks
from voyage_rag.emulator import Emulator

UPSTREAM = ROOT / "docs" / "upstream"
PAGES = sorted([*UPSTREAM.rglob("*.mdx"), *UPSTREAM.rglob("*.ipynb")])


def name_of(page: Path) -> str:
    return page.stem


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """Each piece of code, with the output that the page shows below it."""
    if page.suffix == ".ipynb":
        for cell in json.loads(page.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                shown = "".join("".join(output["text"]) for output in cell["outputs"])
                yield "".join(cell["source"]), shown
        return
    outputs = blocks(page, "text")
    codes = blocks(page, "python")
    for code, following in zip(codes, [*codes[1:], None], strict=True):
        end = following.line if following else float("inf")
        yield code.code, "".join(o.code for o in outputs if code.line < o.line < end)


def evaluate(tree: ast.Module | ast.Expression, mode: str, session: dict[str, object]) -> object:
    """Run code, which may contain `await` outside of functions, as in a notebook."""
    compiled = compile(tree, "upstream", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(compiled, session)
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def run(code: str, session: dict[str, object]) -> str:
    """What a notebook would show: what is printed, and the value of the last line."""
    body = ast.parse(code).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        evaluate(ast.Module(body, []), "exec", session)
        if isinstance(last, ast.Expr):
            value = evaluate(ast.Expression(last.value), "eval", session)
            if value is not None:
                printed.write(f"{value!r}\n")
    return printed.getvalue()


def test_there_is_a_page_for_embeddings_and_for_the_reranker_of_each() -> None:
    assert [page.relative_to(UPSTREAM).parts[:2] for page in PAGES] == [
        ("langchain", "document_transformers"),
        ("langchain", "embeddings"),
        ("llama_index", "embeddings"),
        ("llama_index", "node_postprocessor"),
    ]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # examples leave closing to the interpreter
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_prints_what_it_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session: dict[str, object] = {}
    with Emulator() as url:
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-upstream")
        monkeypatch.setenv("VOYAGE_BASE_URL", url)
        for code, shown in steps(page):
            if not code.startswith(("pip ", "%pip ")):
                assert run(code, session) == shown
