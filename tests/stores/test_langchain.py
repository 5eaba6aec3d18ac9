"""LangChain's stores with our embeddings: add, search, filter, delete, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document

from stores.corpus import BEST, NEXT, OTHER_TOPIC, PASSAGES, QUERY, numbers_in
from stores.langchain_stores import CELLS, NEED_INTEGERS
from stores.place import Place
from voyage_rag.langchain import VoyageAIEmbeddings

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

pytestmark = [
    pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True),
]

DOCUMENTS = [
    Document(id=passage.id, page_content=passage.text, metadata={"topic": passage.topic})
    for passage in PASSAGES
]


@pytest.mark.parametrize(("store", "dtype"), CELLS)
def test_a_store_is_filled_searched_filtered_and_emptied(
    store: str, dtype: Any, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """The right passage comes first, the right one of a topic, and none that was deleted."""
    embeddings = VoyageAIEmbeddings(
        model="voyage-4",
        output_dtype=dtype,
        integers=(store, dtype) in NEED_INTEGERS,
        api_key="pa-key",
        base_url=emulator.url,
    )
    cell = CELLS[store, dtype]

    async def program() -> None:
        async with cell.opened(place, embeddings, numbers_in(1_024, dtype)) as opened:

            async def best(**filtered: Any) -> str:
                found = await runner.ask(opened, "similarity_search", QUERY, k=3, **filtered)
                assert len(found) == 3
                return found[0].page_content

            await runner.ask(opened, "add_documents", DOCUMENTS, ids=[one.id for one in PASSAGES])
            assert await best() == BEST.text
            assert await best(**cell.only(OTHER_TOPIC)) == NEXT.text
            await runner.ask(opened, "delete", [BEST.id])
            assert await best() == NEXT.text
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
    embeddings.voyage.close()
    asked = [request.body for request in emulator.requests]
    assert {body.get("output_dtype", "float") for body in asked} == {dtype}
    assert [body["input_type"] for body in asked][-4:] == ["document", "query", "query", "query"]
