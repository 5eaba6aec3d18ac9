"""What constructors check before anything else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIRerank

KEY = "pa-of-a-constructor"


@pytest.mark.parametrize("kind", [VoyageAIEmbeddings, VoyageAIRerank])
def test_a_missing_model_is_named(kind: Any) -> None:
    """By pydantic's error, which is a `ValueError`, and without the key."""
    with pytest.raises(ValidationError, match=r"model\n  Field required") as caught:
        kind(api_key=KEY)

    assert KEY not in str(caught.value)
