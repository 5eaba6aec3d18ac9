"""Encode requests and decode responses, with a pair of functions per endpoint."""

from voyage_rag.core.wire.requests import (
    Chunking,
    Fields,
    contextual_fields,
    embed_fields,
    make_request,
    multimodal_content,
    multimodal_request,
    rerank_fields,
)
from voyage_rag.core.wire.responses import (
    Body,
    Chunked,
    Decoded,
    contextual_answer,
    embed_answer,
    multimodal_answer,
    parse,
    parse_object,
    rerank_answer,
)

__all__ = [
    "Body",
    "Chunked",
    "Chunking",
    "Decoded",
    "Fields",
    "contextual_answer",
    "contextual_fields",
    "embed_answer",
    "embed_fields",
    "make_request",
    "multimodal_answer",
    "multimodal_content",
    "multimodal_request",
    "parse",
    "parse_object",
    "rerank_answer",
    "rerank_fields",
]
