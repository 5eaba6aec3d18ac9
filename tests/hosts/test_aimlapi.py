"""A gateway that serves less of the API is sent what it knows."""

from __future__ import annotations

import pytest

from fakes import MODEL, FakeService, voyage_over
from voyage_rag.errors import InvalidInputError
from voyage_rag.hosts import AIMLAPI, VoyageAPI, select_host
from voyage_rag.secret import APIKey

GATEWAY = "https://api.aimlapi.com/v1"


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        (None, VoyageAPI),
        ("https://ai.mongodb.com/v1", VoyageAPI),
        ("http://127.0.0.1:8000/v1", VoyageAPI),
        (GATEWAY, AIMLAPI),
        ("https://API.aimlapi.com/v1", AIMLAPI),
        ("https://api.aimlapi.com.evil.example", VoyageAPI),
    ],
)
def test_an_address_selects_the_host(base_url: str | None, host: type) -> None:
    """Every address is taken to serve the whole API but that of the gateway."""
    assert host is type(select_host(APIKey("pa-test"), base_url))


def test_the_gateway_is_sent_what_it_knows() -> None:
    """Input and model only, whatever the caller asks for."""
    service = FakeService()
    voyage_over(service, base_url=GATEWAY).embed(["a", "b"], MODEL, "query")

    assert service.bodies == [{"input": ["a", "b"], "model": MODEL}]


def test_a_long_text_goes_to_the_gateway_alone() -> None:
    """A list may contain texts of 800 characters, a single string 8,000. The order is kept."""
    service = FakeService()
    texts = ["a", "b" * 801, "c" * 800, "d" * 8_000]
    result = voyage_over(service, base_url=GATEWAY, concurrency=1).embed(texts, MODEL)

    assert [body["input"] for body in service.bodies] == ["a", "b" * 801, "c" * 800, "d" * 8_000]
    assert [vector[1] for vector in result.embeddings] == [1.0, 801.0, 800.0, 8_000.0]


def test_the_gateway_is_sent_128_texts_at_most() -> None:
    """A longer list is cut, even where the caller asks for larger batches."""
    service = FakeService()
    voyage_over(service, base_url=GATEWAY).embed(
        list(map(str, range(300))), MODEL, batch_size=1_000
    )

    assert sorted(len(body["input"]) for body in service.bodies) == [44, 128, 128]


@pytest.mark.parametrize(
    ("verb", "arguments", "expected_message"),
    [
        ("embed", (["ok", "x" * 8_001], MODEL), "texts[1] has 8001 characters"),
        ("embed", (["a"], MODEL, None, False), "does not support truncation=False"),
        (
            "embed",
            (["a"], MODEL, None, True, "float", 256),
            "does not support output_dimension=256",
        ),
        ("rerank", ("q", ["a"], "rerank-3"), "use the Voyage API for /rerank"),
    ],
)
def test_what_the_gateway_cannot_do_is_refused(
    verb: str, arguments: tuple, expected_message: str
) -> None:
    """Before anything is sent, with the reason."""
    service = FakeService()

    with pytest.raises(InvalidInputError) as caught:
        getattr(voyage_over(service, base_url=GATEWAY), verb)(*arguments)

    assert expected_message in caught.value.message
    assert service.attempts == []
