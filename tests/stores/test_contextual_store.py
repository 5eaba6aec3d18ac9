"""`ContextualVectorStore` around real stores: each chunk has the vector of its own document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from stores import langchain_stores
from stores.place import Place
from voyage_rag.langchain import ContextualVectorStore, VoyageAIEmbeddings

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

MODEL = "voyage-context-4"
SAME = "Introduction"
TEXTS = {
    "soup": [SAME, "Fry the onions in butter.", "Add water and salt."],
    "lease": [SAME, "The rent is due monthly.", "Repairs are the owner's."],
}
TEXT = "Cats sleep in the sun. " * 40 + "Dogs run through the snow. " * 40
CAN_SPLIT = [name for name in langchain_stores.ALL if name != "lancedb"]

pytestmark = [
    pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True),
    pytest.mark.filterwarnings("ignore:table_names.. is deprecated:DeprecationWarning"),
]


def chunks(**texts: list[str]) -> list[Document]:
    return [
        Document(text, metadata={"source": name, "topic": name})
        for name, its in texts.items()
        for text in its
    ]


@pytest.fixture
def embeddings(emulator: Emulator) -> Any:
    made = VoyageAIEmbeddings(model=MODEL, api_key="pa-key", base_url=emulator.url)
    yield made
    made.voyage.close()


@pytest.mark.parametrize("store", langchain_stores.ALL)
def test_a_search_by_a_chunks_own_vector_finds_that_chunk(
    store: str, runner: Runner, place: Place, embeddings: VoyageAIEmbeddings
) -> None:
    """Also of a chunk whose words stand in both documents."""
    vectors = embeddings.voyage.contextualized_embed(
        list(TEXTS.values()), MODEL, "document"
    ).results

    async def program() -> None:
        async with langchain_stores.ALL[store].opened(place, embeddings, 1_024) as inner:
            opened = ContextualVectorStore(inner, embeddings)
            await runner.ask(opened, "add_documents", chunks(**TEXTS))
            for name, result in zip(TEXTS, vectors, strict=True):
                for text, vector in zip(TEXTS[name], result.embeddings, strict=True):
                    found = await runner.ask(opened, "similarity_search_by_vector", vector, k=1)
                    assert [one.page_content for one in found] == [text]
                    assert found[0].metadata["topic"] == name
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)


@pytest.mark.parametrize("store", langchain_stores.ALL)
def test_index_adds_changes_and_deletes(
    store: str, runner: Runner, place: Place, embeddings: VoyageAIEmbeddings
) -> None:
    """LangChain's indexing, in batches that cut documents."""
    records = InMemoryRecordManager("tests")
    records.create_schema()
    options: dict[str, Any] = {"cleanup": "full", "source_id_key": "source", "batch_size": 2}
    changed = TEXTS | {"soup": [SAME, "Fry the garlic in oil.", "Add water and salt."]}
    [_, lease] = embeddings.voyage.contextualized_embed(
        list(changed.values()), MODEL, "document"
    ).results

    async def program() -> None:
        async with langchain_stores.ALL[store].opened(place, embeddings, 1_024) as inner:
            opened = ContextualVectorStore(inner, embeddings)
            for texts in ({"soup": TEXTS["soup"]}, TEXTS, changed):
                given = opened.include(chunks(**texts))
                if runner.is_sync:
                    index(given, records, opened, key_encoder=by_place, **options)
                else:
                    await aindex(given, records, opened, key_encoder=by_place, **options)
            found = await runner.ask(opened, "similarity_search", "garlic, onions", k=10)
            assert len(found) == 6
            assert "Fry the garlic in oil." in [one.page_content for one in found]
            first = lease.embeddings[0]
            found = await runner.ask(opened, "similarity_search_by_vector", first, k=1)
            assert (found[0].page_content, found[0].metadata["topic"]) == (SAME, "lease")
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)


def by_place(document: Document) -> str:
    """A UUID, which every store takes for an id."""
    from uuid import NAMESPACE_URL, uuid5

    return str(uuid5(NAMESPACE_URL, f"{sorted(document.metadata.items())}{document.page_content}"))


@pytest.mark.parametrize("store", CAN_SPLIT)
def test_the_service_splits_what_a_store_holds(
    store: str, runner: Runner, place: Place, embeddings: VoyageAIEmbeddings
) -> None:
    """Added, replaced by a shorter text, found, and deleted by the document's id."""

    async def program() -> None:
        async with langchain_stores.ALL[store].opened(place, embeddings, 1_024) as inner:
            opened = ContextualVectorStore(inner, embeddings, auto_chunk=True, chunk_size=32)

            async def kept() -> list[Document]:
                return await runner.ask(opened, "similarity_search", "snow", k=100)

            for text in (TEXT * 2, TEXT, "Only cats."):
                document = Document(text, metadata={"source": "pets", "topic": "pets"})
                await runner.ask(opened, "add_documents", [document], ids=["pets"])
                held = await kept()
                held.sort(key=lambda one: one.metadata["start_index"])
                assert "".join(one.page_content for one in held) == text
            await runner.ask(opened, "delete", ["pets"])
            assert await kept() == []
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
