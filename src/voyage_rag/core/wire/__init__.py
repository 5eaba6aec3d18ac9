"""JSON out and JSON in, a pair of functions per endpoint."""

from voyage_rag.core.wire.answers import (
    Body,
    contextual_answer,
    embed_answer,
    multimodal_answer,
    parse,
    rerank_answer,
)
from voyage_rag.core.wire.bodies import (
    Fields,
    contextual_fields,
    embed_fields,
    make_request,
    multimodal_content,
    multimodal_request,
    rerank_fields,
)
from voyage_rag.core.wire.shapes import Chunked, Chunking, Embedded, EmbedOptions, Ranked

__all__ = [
    "Body",
    "Chunked",
    "Chunking",
    "EmbedOptions",
    "Embedded",
    "Fields",
    "Ranked",
    "contextual_answer",
    "contextual_fields",
    "embed_answer",
    "embed_fields",
    "make_request",
    "multimodal_answer",
    "multimodal_content",
    "multimodal_request",
    "parse",
    "rerank_answer",
    "rerank_fields",
]
