"""What constructors check before anything else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import pytest
from pydantic import Field, SecretStr, ValidationError

from voyage_rag import ConfigurationError
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings, VoyageAIRerank
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


def test_a_subclass_may_declare_other_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in any pydantic model: the constructor's own defaults do not override them."""
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)

    class Mine(VoyageAIEmbeddings):
        model: str = "voyage-4-lite"
        output_dimension: int | None = 256

    class Pictures(VoyageAIMultimodalEmbeddings):
        model: str = Field(default_factory=lambda: "voyage-multimodal-3")
        downscale: bool = True

    class Best(VoyageAIRerank):
        model: str = "rerank-3"
        top_k: int | None = 3

    class Nodes(VoyageEmbedding):
        model_name: str = "voyage-4-lite"
        output_dimension: int | None = 256
        embed_batch_size: int = 10

    class BestNodes(LlamaIndexRerank):
        model: str = "rerank-3"
        top_n: int | None = 3

    make: Any
    for make in (Mine, Nodes):
        one, other = make(), make(output_dimension=512)
        assert (one.dimensions, other.dimensions) == (256, 512)
        assert one.model_dump()["output_dimension"] == 256
        assert deepcopy(one).dimensions == 256
    assert cast("Any", Mine)().model == cast("Any", Nodes)().model_name == "voyage-4-lite"
    assert Nodes("voyage-4").model_name == "voyage-4"
    assert cast("Any", Nodes)().embed_batch_size == 10
    pictures = Pictures()
    assert (pictures.model, pictures.downscale) == ("voyage-multimodal-3", True)
    assert Pictures(downscale=False).downscale is False
    assert cast("Any", Best)().top_k == cast("Any", BestNodes)().top_n == 3


@pytest.mark.parametrize("kind", [VoyageAIEmbeddings, VoyageEmbedding])
def test_a_subclass_may_declare_where_the_key_comes_from(kind: Any) -> None:
    """Such as a vault, as with LangChain's `secret_from_env`. Nothing shows the key."""

    class Mine(kind):  # type: ignore[misc]
        voyage_api_key: Any = Field(default_factory=lambda: SecretStr(KEY))

    one = Mine("voyage-4")
    assert one.voyage.settings.api_key.get_secret_value() == KEY
    assert KEY not in repr(one) + str(one.model_dump()) + one.model_dump_json()
    other = Mine("voyage-4", voyage_api_key="pa-other")
    assert other.voyage.settings.api_key.get_secret_value() == "pa-other"
