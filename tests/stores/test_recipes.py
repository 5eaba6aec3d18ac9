"""What docs/stores.md shows runs, and finds the right passage in every store."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import lancedb
import pytest

from pages import ROOT, blocks
from stores import langchain_stores, llama_index_stores
from stores.place import by_driver

if TYPE_CHECKING:
    from voyage_rag.emulator import Emulator

CELLS = {"LangChain": langchain_stores.CELLS, "LlamaIndex": llama_index_stores.CELLS}
PAGE = ROOT / "docs" / "stores.md"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # recipes leave closing to the interpreter
def test_every_recipe_finds_the_passage(
    postgres_uri: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All blocks in one session, as a reader would paste them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-recipes")
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator.url)
    session: dict[str, object] = {"PG_URI": by_driver("psycopg", postgres_uri)}
    expected = "Read and write CSV files."
    checked = 0

    for block in blocks(PAGE, "python"):
        session.pop("found", None)
        exec(compile("\n" * (block.line - 1) + block.code, str(PAGE), "exec"), session)
        if "found" in session:
            assert [document.page_content for document in session["found"]] == [expected]
            checked += 1

    assert [node.text for node in session["nodes"]] == [expected]
    assert f"nearest by bits: {expected}" in capsys.readouterr().out
    assert checked == 5
    bits = lancedb.connect("lance").open_table("passages").schema.field("vector").type
    assert str(bits) == "fixed_size_list<item: uint8>[128]"
    asyncio.run(session["engine"].close())


@pytest.mark.parametrize(("framework", "column"), [("LangChain", 3), ("LlamaIndex", 4)])
def test_the_table_says_what_is_tested(framework: str, column: int) -> None:
    """Every store and dtype of the tests, and no other."""
    section = PAGE.read_text("utf-8").partition("## Number types")[2]
    table = section.partition("\n## ")[0]
    reported, store = set(), ""
    for row in re.findall(r"^\| .*`.*\|$", table, re.MULTILINE)[1:]:
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        store = re.sub(r"(ql)?,.*", "", cells[0].lower()) or store
        if cells[column].startswith("sync, async"):
            reported |= {(store, dtype) for dtype in re.findall(r"`(\w+)`", cells[1])}

    assert {(name.split()[0], dtype) for name, dtype in CELLS[framework]} == reported
