"""Azure: a deployment of AI Foundry, and the managed application."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes import KEY, MODEL, HTTPService, ok
from voyage_rag import ConfigurationError, InvalidInputError, Voyage
from voyage_rag.hosts import AzureApplication, AzureFoundry


def test_foundry_has_the_voyage_api_at_an_address_of_its_own(
    http_service: HTTPService, runner: Any
) -> None:
    """With a key and the model; named as on its card or as the API names it."""
    host = AzureFoundry(http_service.url.removesuffix("/v1"), KEY)
    voyage = Voyage(host=host)
    runner.call(voyage, "embed", ["a"], "voyage-4-large-embedding-model")
    runner.call(voyage, "rerank", "q", ["a"], "rerank-of-tests")

    first, second = http_service.received
    assert [first.path, second.path] == ["/embeddings", "/rerank"]
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(first.body)["model"] == "voyage-4-large"
    assert json.loads(first.body)["encoding_format"] == "base64"
    assert KEY not in repr(host)


def test_the_application_has_neither_key_nor_model(http_service: HTTPService, runner: Any) -> None:
    """Numbers may be strings."""
    answer = {"data": [{"index": 0, "embedding": ["1", "0.5"]}], "usage": {"total_tokens": 1}}
    http_service.always = lambda body: ok(answer)
    voyage = Voyage(host=AzureApplication(http_service.url.removesuffix("/v1")))

    assert runner.call(voyage, "embed", ["a"], MODEL, "query").embeddings == [[1.0, 0.5]]
    sent = http_service.received[0]
    assert sent.path == "/embeddings"
    assert "authorization" not in sent.headers
    assert "model" not in json.loads(sent.body)
    with pytest.raises(InvalidInputError, match="use the Voyage API for /rerank"):
        voyage.rerank("q", ["a"], "rerank-3")


def test_plain_http_has_to_be_allowed() -> None:
    """Inside a virtual network it is usual; nothing is assumed."""
    with pytest.raises(ConfigurationError, match="send texts unencrypted"):
        AzureApplication("http://10.0.0.4")

    assert AzureApplication("http://10.0.0.4", allow_insecure_http=True).port == 80


@pytest.mark.parametrize("address", ["https://h.example/embeddings", "https://h.example/score/"])
def test_an_address_with_an_endpoint_is_refused(address: str) -> None:
    """With the part that is too much."""
    with pytest.raises(ConfigurationError, match="ends in"):
        AzureFoundry(address, KEY)
    with pytest.raises(ConfigurationError, match="ends in '/v1'"):
        AzureApplication("https://h.example/v1/")
