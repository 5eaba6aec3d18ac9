"""Requests: which fields each endpoint gets, and how they are encoded."""

from __future__ import annotations

import json

from fakes import embed_options as options
from voyage_rag.core.options import EmbedOptions
from voyage_rag.core.wire.requests import embed_fields, make_request, rerank_fields
from voyage_rag.hosts import Host, select_host
from voyage_rag.secret import APIKey

VOYAGE = select_host(APIKey("pa-test"), None)
AIMLAPI = select_host(APIKey("test"), "https://api.aimlapi.com/v1")


def embed_body(texts: list[str], chosen: EmbedOptions, host: Host) -> bytes:
    """The body of a request to embed."""
    return make_request(host, "/embeddings", embed_fields(texts, chosen), len(texts), 1).body


def test_a_request_asks_for_base64_and_leaves_out_what_is_not_set() -> None:
    """The service rejects unknown fields, so only fields that were set are sent."""
    sent = json.loads(embed_body(["a", "b"], options(), VOYAGE))

    expected = {
        "input": ["a", "b"],
        "model": "voyage-4",
        "truncation": True,
        "encoding_format": "base64",
    }
    assert expected == sent


def test_every_option_is_sent_under_its_name() -> None:
    """What the caller chooses reaches the service."""
    chosen = options(
        input_type="query", truncation=False, output_dimension=256, output_dtype="int8"
    )
    sent = json.loads(embed_body(["a"], chosen, VOYAGE))

    expected = {
        "input": ["a"],
        "model": "voyage-4",
        "input_type": "query",
        "truncation": False,
        "output_dimension": 256,
        "output_dtype": "int8",
        "encoding_format": "base64",
    }
    assert expected == sent


def test_text_is_sent_as_compact_utf8() -> None:
    """Non-ASCII text is not escaped, and JSON contains no spaces."""
    assert '"input":["é 🎈 \\" \\n"]'.encode() in embed_body(['é 🎈 " \n'], options(), VOYAGE)


def test_a_rerank_request_names_query_documents_and_model() -> None:
    """`top_k` is sent only when it is given."""
    fields = [rerank_fields("q", ["a", "b"], "rerank-3", n, truncation=True) for n in (None, 1)]
    sent = [json.loads(make_request(VOYAGE, "/rerank", f, 2, 0).body) for f in fields]

    expected = {"query": "q", "documents": ["a", "b"], "model": "rerank-3", "truncation": True}
    assert [expected, expected | {"top_k": 1}] == sent


def test_a_gateway_is_sent_only_the_fields_it_knows() -> None:
    """api.aimlapi.com accepts input and model. A single text is sent as a string."""
    chosen = options(input_type="query")

    assert json.loads(embed_body(["a"], chosen, AIMLAPI)) == {"input": "a", "model": "voyage-4"}
    assert json.loads(embed_body(["a", "b"], chosen, AIMLAPI))["input"] == ["a", "b"]
