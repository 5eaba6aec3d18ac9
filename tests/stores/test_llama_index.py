"""LlamaIndex's stores with our embeddings: add, search, filter, delete, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from stores.corpus import BEST, NEXT, OTHER_TOPIC, PASSAGES, QUERY, numbers_in
from stores.llama_index_stores import CELLS
from stores.place import Place
from voyage_rag.llama_index import VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

pytestmark = [
    pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True),
    # LlamaIndex's LanceDB class calls it.
    pytest.mark.filterwarnings("ignore:table_names.. is deprecated:DeprecationWarning"),
]

ONLY = MetadataFilters(filters=[MetadataFilter(key="topic", value=OTHER_TOPIC)])


def nodes() -> list[TextNode]:
    """One node per passage, each of a document of its own."""
    return [
        TextNode(
            id_=passage.id,
            text=passage.text,
            metadata={"topic": passage.topic},
            excluded_embed_metadata_keys=["topic"],
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"of {passage.id}")},
        )
        for passage in PASSAGES
    ]


@pytest.mark.parametrize(("store", "dtype"), CELLS)
def test_a_store_is_filled_searched_filtered_and_emptied(
    store: str, dtype: Any, runner: Runner, place: Place, emulator: Emulator
) -> None:
    """The right passage comes first, the right one of a topic, and none that was deleted."""
    embedding = VoyageEmbedding(
        "voyage-4", output_dtype=dtype, api_key="pa-key", base_url=emulator.url
    )
    cell = CELLS[store, dtype]

    async def program() -> None:
        async with cell.opened(place, numbers_in(1_024, dtype)) as opened:
            context = StorageContext.from_defaults(vector_store=opened)
            index = VectorStoreIndex([], storage_context=context, embed_model=embedding)

            async def best(**filtered: Any) -> str:
                retriever = index.as_retriever(similarity_top_k=3, **filtered)
                found = await runner.ask(retriever, "retrieve", QUERY)
                assert len(found) == 3
                return found[0].text

            await runner.ask(index, "insert_nodes", nodes())
            assert await best() == BEST.text
            if cell.filters:
                assert await best(filters=ONLY) == NEXT.text
            else:
                with pytest.raises(ValueError, match="filters not implemented"):
                    await best(filters=ONLY)
            if cell.deletes == "document":
                await runner.ask(index, "delete_ref_doc", f"of {BEST.id}")
            elif cell.deletes == "node":
                await runner.ask(index, "delete_nodes", [BEST.id])
            else:
                with pytest.raises(ValueError, match="No field named"):
                    await runner.ask(index, "delete_ref_doc", f"of {BEST.id}")
                opened.table.delete(f"doc_id = 'of {BEST.id}'")
            assert await best() == NEXT.text
        await runner.ask(embedding.voyage, "close")

    runner.run(program)
    embedding.voyage.close()
    asked = [request.body for request in emulator.requests]
    assert {body.get("output_dtype", "float") for body in asked} == {dtype}
    assert [body["input_type"] for body in asked] == ["document", "query", "query", "query"]
