"""LangChain's contract, `list[list[float]]`, in every store: number types, and empty texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from langchain_core.documents import Document

from stores import langchain_stores
from stores.corpus import BEST, PASSAGES, QUERY, numbers_in
from stores.place import Place
from voyage_rag import InvalidInputError
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.models import OutputDtype
from voyage_rag.types import EmptyText

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

DTYPES = get_args(OutputDtype)
EMPTY = [policy for policy in get_args(EmptyText) if policy != "error"]

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore:table_names.. is deprecated:DeprecationWarning"),
]


def embeddings_of(emulator: Emulator, **options: Any) -> VoyageAIEmbeddings:
    return VoyageAIEmbeddings(
        model="voyage-4", api_key="pa-key", base_url=emulator.url, output_dimension=1_024, **options
    )


def documents(*more: str) -> list[Document]:
    return [
        *(Document(one.text, metadata={"topic": one.topic}, id=one.id) for one in PASSAGES[:4]),
        *(Document(text, metadata={"topic": "none"}, id=PASSAGES[-1].id) for text in more),
    ]


@both
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("store", langchain_stores.ALL)
def test_every_number_type_is_stored_and_searched(
    store: str, dtype: Any, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """As floats; what is nearest by the store's distance is up to the type."""
    embeddings = embeddings_of(emulator, output_dtype=dtype)
    kind = langchain_stores.ALL[store]

    async def program() -> None:
        async with kind.opened(place, embeddings, numbers_in(1_024, dtype)) as opened:
            await runner.ask(opened, "add_documents", documents())
            found = await runner.ask(opened, "similarity_search", QUERY, k=4)
            assert {one.page_content for one in found} == {one.text for one in PASSAGES[:4]}
            if not dtype.endswith("binary"):
                assert found[0].page_content == BEST.text
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
    embeddings.voyage.close()


@both
@pytest.mark.parametrize("policy", EMPTY)
@pytest.mark.parametrize("store", langchain_stores.ALL)
def test_an_empty_text_is_stored_beside_others(
    store: str, policy: Any, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """With `space` it is never found first; a vector of zeros is, in some stores."""
    embeddings = embeddings_of(emulator, empty_text=policy)
    kind = langchain_stores.ALL[store]

    async def program() -> None:
        async with kind.opened(place, embeddings, 1_024) as opened:
            await runner.ask(opened, "add_documents", documents(""))
            found = await runner.ask(opened, "similarity_search", QUERY, k=5)
            if policy == "space":
                assert found[0].page_content == BEST.text
            assert BEST.text in [one.page_content for one in found]
        await runner.ask(embeddings.voyage, "close")

    runner.run(program)
    embeddings.voyage.close()


def test_an_empty_text_is_refused_by_position(place: Place, emulator: Emulator) -> None:
    embeddings = embeddings_of(emulator)
    from langchain_core.vectorstores import InMemoryVectorStore

    with pytest.raises(InvalidInputError, match=r"texts\[4\] is empty"):
        InMemoryVectorStore(embeddings).add_documents(documents(""))
    assert emulator.requests == []


@both
@pytest.mark.parametrize("dtype", DTYPES)
def test_langgraph_keeps_every_number_type(
    dtype: Any, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """Its PostgreSQL store casts lists to `vector`, and PostgreSQL does not cast small integers."""
    pytest.importorskip("langgraph.store.postgres")
    from langgraph.store.postgres import AsyncPostgresStore, PostgresStore

    embeddings = embeddings_of(emulator, output_dtype=dtype)
    index: Any = {"dims": numbers_in(1_024, dtype), "embed": embeddings, "fields": ["text"]}

    async def program() -> None:
        address = f"{place.postgres}&options=-csearch_path%3D{place.schema},public"
        if runner.is_sync:
            with PostgresStore.from_conn_string(address, index=index) as store:
                store.setup()
                for one in PASSAGES[:4]:
                    store.put(("all",), one.id, {"text": one.text})
                found = store.search(("all",), query=QUERY)
        else:
            async with AsyncPostgresStore.from_conn_string(address, index=index) as store:
                await store.setup()
                for one in PASSAGES[:4]:
                    await store.aput(("all",), one.id, {"text": one.text})
                found = await store.asearch(("all",), query=QUERY)
            await embeddings.voyage.aclose()
        assert {one.key for one in found} == {one.id for one in PASSAGES[:4]}
        if not dtype.endswith("binary"):
            assert found[0].key == BEST.id

    runner.run(program)
    embeddings.voyage.close()


@pytest.mark.parametrize("dtype", DTYPES)
def test_mongodb_gets_doubles(
    dtype: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BSON distinguishes whole numbers and doubles, and its vector search refuses the former."""
    pytest.importorskip("langchain_mongodb")
    import bson
    from langchain_mongodb import MongoDBAtlasVectorSearch
    from pymongo import MongoClient
    from pymongo.collection import Collection

    written: list[bytes] = []

    def bulk_write(_: Any, operations: list[Any], **__: Any) -> Any:
        written.extend(bson.encode(dict(one._doc)) for one in operations)
        return type("Result", (), {"upserted_ids": dict(enumerate(range(len(operations))))})

    monkeypatch.setattr(Collection, "bulk_write", bulk_write)
    embeddings = embeddings_of(emulator, output_dtype=dtype)
    with MongoClient("mongodb://127.0.0.1:9", connect=False) as client:
        collection: Any = client["tests"]["passages"]
        store = MongoDBAtlasVectorSearch(collection, embeddings, auto_create_index=False)
        store.add_documents(documents())
    assert len(written) == 4
    vectors = [bson.decode(raw)["embedding"] for raw in written]
    vectors.append(bson.decode(bson.encode({"q": embeddings.embed_query(QUERY)}))["q"])
    assert {len(vector) for vector in vectors} == {numbers_in(1_024, dtype)}
    assert {type(number) for vector in vectors for number in vector} == {float}
    embeddings.voyage.close()
