"""The requests of each endpoint (docs: "API Reference")."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from voyage_rag.hosts.messages import Request

if TYPE_CHECKING:
    from voyage_rag.core.options import EmbedOptions
    from voyage_rag.hosts.host import Host

Fields: TypeAlias = dict[str, Any]
"""Fields of a request as the Voyage API names them; None for one that is left out."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the service splits documents, in tokens; None for its defaults."""

    size: int | None = None
    overlap: int | None = None


def make_request(
    host: Host, path: str, fields: Fields, count: int, vectors: int | None, inputs: bytes = b""
) -> Request:
    """The request of an endpoint, as its host wants it.

    Args:
        host: Where the model runs.
        path: The endpoint.
        fields: What to send.
        count: Inputs that it carries.
        vectors: Vectors that its response holds, None where only the service knows.
        inputs: The field `inputs`, encoded already.
    """
    body = host.encode(path, fields)
    if inputs:
        body = b'{"inputs":' + inputs + (b"}" if body == b"{}" else b"," + body[1:])
    return Request(path, body, fields["model"], count, vectors, fields=fields)


def embed_fields(texts: Sequence[str], options: EmbedOptions) -> Fields:
    """The body of `POST /embeddings`."""
    return {"input": list(texts), **options.fields, "encoding_format": "base64"}


def contextual_fields(
    documents: Sequence[Sequence[str]], options: EmbedOptions, chunking: Chunking | None = None
) -> Fields:
    """The body of `POST /contextualizedembeddings`. The endpoint has no truncation."""
    return {
        "inputs": list(map(list, documents)),
        **options.fields,
        "truncation": None,
        "encoding_format": "base64",
        "enable_auto_chunking": None if chunking is None else True,
        "chunk_size": chunking and chunking.size,
        "chunk_overlap": chunking and chunking.overlap,
    }


def multimodal_content(segments: Sequence[tuple[str, str | bytes]]) -> bytes:
    """One input of `POST /multimodalembeddings`, of (type, value) pairs.

    Media are far larger than anything else that is sent, so an input is encoded once, by itself.
    """
    parts = [
        b'{"type":"%b","%b":%b}' % (kind.encode(), kind.encode(), _quoted(value))
        for kind, value in segments
    ]
    return b'{"content":[' + b",".join(parts) + b"]}"


def _quoted(value: str | bytes) -> bytes:
    if isinstance(value, bytes):  # base64, in which nothing is to be escaped
        return b'"' + value + b'"'
    return json.dumps(value, ensure_ascii=False).encode()


def multimodal_fields(options: EmbedOptions) -> Fields:
    """The body of `POST /multimodalembeddings`, without `inputs`.

    The name of `encoding_format` is what Voyage's own clients send; its reference speaks of
    `output_encoding`.
    """
    return {**options.fields, "encoding_format": "base64"}


def multimodal_request(host: Host, contents: Sequence[bytes], options: EmbedOptions) -> Request:
    """The request of `POST /multimodalembeddings`, of inputs that are encoded already."""
    count, inputs = len(contents), b"[" + b",".join(contents) + b"]"
    fields = multimodal_fields(options)
    return make_request(host, "/multimodalembeddings", fields, count, count, inputs)


def rerank_fields(
    query: str, documents: Sequence[str], model: str, top_k: int | None, *, truncation: bool
) -> Fields:
    """The body of `POST /rerank`."""
    return {
        "query": query,
        "documents": list(documents),
        "model": model,
        "top_k": top_k,
        "truncation": truncation,
    }
