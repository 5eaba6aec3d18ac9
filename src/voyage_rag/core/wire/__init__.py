"""JSON out and JSON in, a pair of functions per endpoint."""

from voyage_rag.core.wire.answers import (
    contextual_answer,
    detail_of,
    embed_answer,
    multimodal_answer,
    printable,
    rerank_answer,
)
from voyage_rag.core.wire.bodies import (
    contextual_body,
    embed_body,
    multimodal_body,
    multimodal_content,
    rerank_body,
)
from voyage_rag.core.wire.shapes import Chunked, Chunking, Embedded, EmbedOptions, Ranked

__all__ = [
    "Chunked",
    "Chunking",
    "EmbedOptions",
    "Embedded",
    "Ranked",
    "contextual_answer",
    "contextual_body",
    "detail_of",
    "embed_answer",
    "embed_body",
    "multimodal_answer",
    "multimodal_body",
    "multimodal_content",
    "printable",
    "rerank_answer",
    "rerank_body",
]
