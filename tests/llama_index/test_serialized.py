"""to_dict, to_json and back: no key is stored, and no other tenant's key is taken instead."""

from __future__ import annotations

import gc
import json
import pickle
from typing import Any

import pytest

from fakes import HTTPService
from voyage_rag import ConfigurationError, Voyage
from voyage_rag.llama_index import VoyageAIRerank, VoyageEmbedding

KEY = "pa-a-key-that-must-stay-secret"
OTHER_KEY = "pa-another-key-entirely"

KINDS = [(VoyageEmbedding, "voyage-4"), (VoyageAIRerank, "rerank-3")]

kinds = pytest.mark.parametrize(("kind", "model"), KINDS, ids=["embedding", "reranker"])


def key_of(one: Any) -> str:
    return one.voyage.settings.api_key.get_secret_value()


@kinds
def test_a_serialised_object_is_restored(kind: Any, model: str) -> None:
    """Every parameter comes back, and the key of an object that is still there."""
    original = kind(model, KEY, truncation=False, timeout=9.0, base_url="https://a.host/v1")
    for again in (
        kind.from_dict(original.to_dict()),
        kind.from_json(original.to_json()),
        kind.from_dict(json.loads(json.dumps(original.to_dict()))),
    ):
        assert again.to_dict() == original.to_dict()
        assert again.voyage.settings == original.voyage.settings
    assert original.to_dict()["class_name"] == kind.class_name()


@kinds
def test_no_key_is_stored(kind: Any, model: str) -> None:
    """Only its fingerprint."""
    original = kind(model, KEY)
    assert KEY not in original.to_json()
    assert KEY not in repr(original.to_dict())
    assert original.to_dict()["api_key_fingerprint"]
    assert "voyage_api_key" not in original.to_dict()
    assert "client" not in original.to_dict()


@kinds
def test_another_key_is_never_taken_instead(
    kind: Any, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no object with the key exists any more, the environment must have the same key."""
    held = kind(model, KEY).to_dict()
    gc.collect()
    with pytest.raises(ConfigurationError, match="fingerprint"):
        kind.from_dict(held)
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    with pytest.raises(ConfigurationError, match="fingerprint") as caught:
        kind.from_dict(held)
    assert OTHER_KEY not in str(caught.value)
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    assert key_of(kind.from_dict(held)) == KEY


@kinds
def test_a_key_of_the_environment_stays_one(
    kind: Any, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object without an explicit key uses the environment's, wherever it is loaded."""
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    original = kind(model)
    held = original.to_dict()
    assert pickle.loads(pickle.dumps(original)).to_dict() == held
    monkeypatch.setenv("VOYAGE_API_KEY", OTHER_KEY)
    assert key_of(kind.from_dict(held)) == OTHER_KEY


@kinds
@pytest.mark.parametrize("name", ["voyage_api_key", "api_key"])
def test_a_key_can_be_given_anew(kind: Any, model: str, name: str) -> None:
    """from_dict accepts further arguments, and the object uses that key."""
    again = kind.from_dict(kind(model, KEY).to_dict(), **{name: OTHER_KEY})
    assert key_of(again) == OTHER_KEY
    assert key_of(kind.from_dict(again.to_dict())) == OTHER_KEY


@kinds
def test_a_changed_key_is_the_one_that_counts(kind: Any, model: str) -> None:
    """After a copy with another key, or a key set later, the old one does not come back."""
    original = kind(model, KEY)
    copied = original.model_copy(update={"voyage_api_key": OTHER_KEY})
    assert key_of(kind.from_dict(copied.to_dict())) == OTHER_KEY
    original.voyage_api_key = OTHER_KEY
    assert key_of(kind.from_dict(original.to_dict())) == OTHER_KEY


@kinds
def test_a_shared_client_leaves_its_settings(
    kind: Any, model: str, http_service: HTTPService
) -> None:
    """The key goes to the same host afterwards, with the same limits."""
    original = kind(model, client=Voyage(KEY, base_url=http_service.url, timeout=9))
    again = kind.from_dict(original.to_dict())
    assert again.voyage is not original.voyage
    assert again.voyage.settings == original.voyage.settings
