"""What constructors check before anything else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from voyage_rag import ConfigurationError
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIRerank
from voyage_rag.llama_index import VoyageAIRerank as LlamaIndexRerank
from voyage_rag.llama_index import VoyageEmbedding

KEY = "pa-of-a-constructor"


@pytest.mark.parametrize("kind", [VoyageAIEmbeddings, VoyageAIRerank])
def test_a_missing_model_is_named(kind: Any) -> None:
    """By pydantic's error, which is a `ValueError`, and without the key."""
    with pytest.raises(ValidationError, match=r"model\n  Field required") as caught:
        kind(api_key=KEY)

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda **keys: VoyageAIEmbeddings(model="voyage-4", **keys),
        lambda **keys: VoyageAIRerank(model="rerank-3", **keys),
        lambda **keys: VoyageEmbedding("voyage-4", **keys),
        lambda **keys: LlamaIndexRerank("rerank-3", **keys),
    ],
)
def test_two_different_keys_are_refused(make: Any) -> None:
    """Otherwise it would be unclear which of two accounts is billed."""
    with pytest.raises(ConfigurationError, match="different keys") as caught:
        make(api_key=KEY, voyage_api_key="pa-of-another-account")
    assert KEY not in str(caught.value)
