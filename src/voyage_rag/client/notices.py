"""Warnings that the client logs about calls and their results."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence

from voyage_rag.core.rate_limits import RateLimits
from voyage_rag.locks import is_first
from voyage_rag.models import Retirement

LOG = logging.getLogger("voyage_rag")
MINUTE_SECONDS, HOUR_SECONDS = 60, 3_600
MAX_NAMED = 10
MAX_NAME_CHARS = 200

REPORTED: dict[Hashable, object] = {}
"""The warnings that this process has logged and does not repeat."""


def slow(seconds: float, limits: RateLimits, model: str) -> None:
    """Warn that a rate limit slows a call down: by how much, and how to raise the limit."""
    LOG.warning(
        "the account may send %s to %s, so this takes about %s; a payment method or a higher "
        "tier makes it faster (Voyage's documentation, 'Rate Limits')",
        limits,
        model,
        f"{seconds:.0f} s"
        if seconds < 1.5 * MINUTE_SECONDS
        else f"{seconds / MINUTE_SECONDS:.0f} minutes"
        if seconds < HOUR_SECONDS
        else f"{seconds / HOUR_SECONDS:.1f} hours",
    )


def windows(documents: Sequence[object]) -> None:
    """Warn about documents that are embedded in several windows."""
    LOG.warning(
        "%s %s longer than the model's window and embedded in several windows of consecutive "
        "chunks: the vector of a chunk reflects its own window only",
        "document" if len(documents) == 1 else "documents",
        f"{', '.join(map(repr, documents[:MAX_NAMED]))}"
        f"{' and others' * (len(documents) > MAX_NAMED)} "
        f"{'is' if len(documents) == 1 else 'are'}",
    )


def no_documents(reported: dict[Hashable, object]) -> None:
    """Warn, once per client, that texts are embedded without the context of their documents."""
    if not is_first(reported, no_documents):
        return
    LOG.warning(
        "texts are embedded without the context of their documents, each separately; if they are "
        "chunks of documents, use contextualized_embed or embed_chunks, in LangChain "
        "ContextualVectorStore(store, embeddings) or embeddings.for_documents(chunks), and in "
        "LlamaIndex the embedding as a transformation after the splitter. Code that compares "
        "sentences, such as a semantic splitter, needs a text model, such as voyage-4"
    )


def media_name(text: str) -> None:
    """Warn that the name of a media file is embedded as text."""
    LOG.warning(
        "%r is embedded as a text although it names or encodes an image or a video: pass a "
        "pathlib.Path, bytes, voyage_rag.Image(...) or voyage_rag.Video(...) to embed the file "
        "itself",
        text if len(text) <= MAX_NAME_CHARS else f"{text[:MAX_NAME_CHARS]}...",
    )


def omitted_media(positions: Sequence[int]) -> None:
    """Warn about inputs of which the service omits images or videos."""
    LOG.warning(
        "%s have more images or videos than the context of the model holds: the service omits the "
        "last ones; divide these inputs, or pass truncation=False for an error instead",
        ", ".join(f"inputs[{position}]" for position in positions[:MAX_NAMED])
        + " and others" * (len(positions) > MAX_NAMED),
    )


def zero_vector(model: str) -> None:
    """Warn, once per model, about a vector of zeros, which has no cosine similarity."""
    if not is_first(REPORTED, (zero_vector, model)):
        return
    LOG.warning(
        "%r returned a vector of zeros, probably because of an error in the server: searches "
        "rank such vectors first or never find them",
        model,
    )


def packed_bits(dtype: str) -> None:
    """Warn, once per number type, that only few stores can search vectors of packed bits."""
    if not is_first(REPORTED, (packed_bits, dtype)):
        return
    LOG.warning(
        "output_dtype=%r packs eight dimensions into each number. Only stores that compare bits "
        "(by Hamming distance) can search such vectors; in LangChain, also pass integers=True. "
        "Other stores compare the numbers themselves, and find almost random documents: "
        "use int8 for these",
        dtype,
    )


def retirement(model: str, end: Retirement) -> None:
    """Warn, once per model, that a model will be retired soon."""
    if not is_first(REPORTED, (retirement, model)):
        return
    LOG.warning(
        "%r is retired on %s: change to another model (voyage-rag suggests %r; Voyage names no "
        "replacement), and embed documents again, since vectors of different models cannot be "
        "compared",
        model,
        end.retired.isoformat(),
        end.replacement,
    )
