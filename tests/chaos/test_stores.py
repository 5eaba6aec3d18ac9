"""The campaign for stores, with few steps; `make chaos` takes 2,000."""

from __future__ import annotations

from typing import Any

import pytest

from chaos import stores
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.llama_index.nodes import NodeBatch


@pytest.mark.parametrize("run", stores.RUNS)
def test_no_vector_is_wrong_and_no_document_is_lost(run: Any) -> None:
    outcome = run(80, 3)
    assert (outcome.wrong, outcome.lost) == ([], [])
    assert outcome.failed > 5


def test_the_campaign_notices_vectors_of_other_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = VoyageAIEmbeddings.as_numbers

    def swapped(self: Any, vectors: Any) -> list[list[float]]:
        return exact(self, vectors)[::-1]

    monkeypatch.setattr(VoyageAIEmbeddings, "as_numbers", swapped)
    assert stores.run_langchain(10, 3).wrong


def test_the_campaign_notices_nodes_without_their_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NodeBatch, "documents", property(lambda self: [None] * len(self.nodes)))
    monkeypatch.setattr("voyage_rag.llama_index.embeddings.are_of_one_document", lambda: False)
    monkeypatch.setattr("voyage_rag.llama_index.contextual.are_of_one_document", lambda: True)
    assert stores.run_llama_index(10, 3).wrong
