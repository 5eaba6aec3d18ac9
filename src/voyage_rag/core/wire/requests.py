"""The requests of each endpoint (docs: "API Reference")."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from voyage_rag.core.options import EmbedOptions
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request

Fields: TypeAlias = dict[str, Any]
"""Fields of a request, named as in the Voyage API. None omits a field."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the service splits documents, in tokens. None uses its defaults."""

    size: int | None = None
    overlap: int | None = None


def make_request(
    host: Host, path: str, fields: Fields, count: int, vectors: int | None, inputs: bytes = b""
) -> Request:
    """Return the request of an endpoint in the format of the host.

    `vectors` is the number of vectors in the response, or None if only the service knows it;
    `inputs` is the field of this name, if it is already encoded.
    """
    body = host.encode(path, fields)
    if inputs:
        body = b'{"inputs":' + inputs + (b"}" if body == b"{}" else b"," + body[1:])
    return Request(path, body, fields["model"], count, vectors, fields=fields)


def embed_fields(texts: Sequence[str], options: EmbedOptions) -> Fields:
    """Return the fields of `POST /embeddings`."""
    return {"input": list(texts), **options.fields, "encoding_format": "base64"}


def contextual_fields(
    documents: Sequence[Sequence[str]], options: EmbedOptions, chunking: Chunking | None = None
) -> Fields:
    """Return the fields of `POST /contextualizedembeddings`, which does not support truncation."""
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
    """Return one input of `POST /multimodalembeddings` from (type, value) pairs.

    Media are far larger than everything else in a request, so each input is encoded once,
    separately.
    """
    parts = [
        b'{"type":"%b","%b":%b}' % (kind.encode(), kind.encode(), _quoted(value))
        for kind, value in segments
    ]
    return b'{"content":[' + b",".join(parts) + b"]}"


def _quoted(value: str | bytes) -> bytes:
    if isinstance(value, bytes):  # base64, which needs no escapes
        return b'"' + value + b'"'
    return json.dumps(value, ensure_ascii=False).encode()


def multimodal_request(host: Host, contents: Sequence[bytes], options: EmbedOptions) -> Request:
    """Return the request of `POST /multimodalembeddings` for encoded inputs.

    Voyage's own clients send `encoding_format`; the API reference names it `output_encoding`.
    """
    count, inputs = len(contents), b"[" + b",".join(contents) + b"]"
    fields = {**options.fields, "encoding_format": "base64"}
    return make_request(host, "/multimodalembeddings", fields, count, count, inputs)


def rerank_fields(
    query: str, documents: Sequence[str], model: str, top_k: int | None, *, truncation: bool
) -> Fields:
    """Return the fields of `POST /rerank`."""
    return {
        "query": query,
        "documents": list(documents),
        "model": model,
        "top_k": top_k,
        "truncation": truncation,
    }
