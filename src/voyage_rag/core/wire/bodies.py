"""JSON out: the body of a request, per endpoint (docs: "API Reference")."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voyage_rag.core.wire.shapes import Chunking, EmbedOptions

if TYPE_CHECKING:
    from voyage_rag.core.dialect import Dialect

COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def embed_body(texts: Sequence[str], options: EmbedOptions, dialect: Dialect) -> bytes:
    """The request of `POST /embeddings`."""
    alone = len(texts) == 1 and dialect.longest_in_list is not None
    fields = {
        "input": texts[0] if alone else list(texts),
        "model": options.model,
        "input_type": options.input_type,
        "truncation": options.truncation,
        "output_dimension": options.output_dimension,
        "output_dtype": options.output_dtype,
        "encoding_format": "base64",
    }
    return _encode(fields, dialect)


def contextual_body(
    documents: Sequence[Sequence[str]],
    options: EmbedOptions,
    dialect: Dialect,
    chunking: Chunking | None = None,
) -> bytes:
    """The request of `POST /contextualizedembeddings`. The endpoint has no truncation."""
    fields = {
        "inputs": list(map(list, documents)),
        "model": options.model,
        "input_type": options.input_type,
        "output_dimension": options.output_dimension,
        "output_dtype": options.output_dtype,
        "encoding_format": "base64",
        "enable_auto_chunking": None if chunking is None else True,
        "chunk_size": chunking and chunking.size,
        "chunk_overlap": chunking and chunking.overlap,
    }
    return _encode(fields, dialect)


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


def multimodal_body(contents: Sequence[bytes], options: EmbedOptions, dialect: Dialect) -> bytes:
    """The request of `POST /multimodalembeddings`, of inputs that are encoded already.

    The name of `encoding_format` is what Voyage's own clients send; its reference speaks of
    `output_encoding`.
    """
    fields = {
        "model": options.model,
        "input_type": options.input_type,
        "truncation": options.truncation,
        "output_dimension": options.output_dimension,
        "output_dtype": options.output_dtype,
        "encoding_format": "base64",
    }
    return b'{"inputs":[' + b",".join(contents) + b"]," + _encode(fields, dialect)[1:]


def rerank_body(
    query: str,
    documents: Sequence[str],
    model: str,
    top_k: int | None,
    *,
    truncation: bool,
    dialect: Dialect,
) -> bytes:
    """The request of `POST /rerank`."""
    fields = {
        "query": query,
        "documents": list(documents),
        "model": model,
        "top_k": top_k,
        "truncation": truncation,
    }
    return _encode(fields, dialect)


def _encode(fields: dict[str, Any], dialect: Dialect) -> bytes:
    sent = {name: value for name, value in fields.items() if value is not None}
    known = {name: value for name, value in sent.items() if dialect.knows(name)}
    return COMPACT.encode(known).encode()
