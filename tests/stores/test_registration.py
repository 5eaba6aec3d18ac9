"""`init_embeddings` and LangGraph's stores know models of Voyage by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings, register

if TYPE_CHECKING:
    from voyage_rag.emulator import Emulator

pytest.importorskip("langchain.embeddings")


@pytest.fixture(autouse=True)
def _registered(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-key")
    monkeypatch.setenv("VOYAGE_BASE_URL", emulator.url)
    register()
    register()


def test_init_embeddings_makes_our_classes() -> None:
    from langchain.embeddings import init_embeddings

    plain: Any = init_embeddings("voyageai:voyage-4", output_dimension=256)
    assert (type(plain), plain.model) == (VoyageAIEmbeddings, "voyage-4")
    assert len(plain.embed_query("a")) == 256
    named: Any = init_embeddings("voyage-4-lite", provider="voyageai")
    assert (type(named), named.model) == (VoyageAIEmbeddings, "voyage-4-lite")
    assert isinstance(
        init_embeddings("VoyageAI: voyage-multimodal-3.5"), VoyageAIMultimodalEmbeddings
    )
    plain.voyage.close()


def test_other_providers_are_as_before() -> None:
    from langchain.embeddings import init_embeddings

    with pytest.raises(ValueError, match="Provider 'nobody' is not supported"):
        init_embeddings("nobody:model")
    with pytest.raises(ValueError, match="Must specify"):
        init_embeddings("voyage-4")


def test_langgraph_searches_by_a_name() -> None:
    memory = pytest.importorskip("langgraph.store.memory")
    store = memory.InMemoryStore(index={"dims": 1_024, "embed": "voyageai:voyage-4"})
    store.put(("notes",), "cat", {"text": "The cat sleeps on the sofa."})
    store.put(("notes",), "tax", {"text": "Taxes are due in May."})
    found = store.search(("notes",), query="Where does the cat sleep?")
    assert found[0].key == "cat"
