"""What a person is told who did not ask: why it is slow, what their vectors lack."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.core.rate_limits import RateLimits

LOG = logging.getLogger("voyage_rag")
HOUR = 3_600
MOST_NAMED = 10


def slowed(seconds: float, limits: RateLimits, model: str) -> None:
    """Say why it is slow, for how long, and what would make it faster."""
    LOG.warning(
        "the account may send %s to %s, so this takes about %s; a payment method or a higher "
        'tier makes it faster (docs: "Rate Limits")',
        limits,
        model,
        f"{seconds / 60:.0f} minutes" if seconds < HOUR else f"{seconds / HOUR:.1f} hours",
    )


def windowed(documents: Sequence[object]) -> None:
    """Say which documents were embedded in windows."""
    LOG.warning(
        "%s %s longer than the model's window: embedded in windows of neighbouring chunks, so "
        "that a chunk knows those of its own window only",
        "document" if len(documents) == 1 else "documents",
        f"{', '.join(map(repr, documents[:MOST_NAMED]))}"
        f"{' and others' * (len(documents) > MOST_NAMED)} "
        f"{'is' if len(documents) == 1 else 'are'}",
    )


def unrelated() -> None:
    """Say that chunks were embedded without their documents."""
    LOG.warning(
        "texts are embedded without the context of their documents, each by itself; where they are "
        "chunks of documents, use contextualized_embed or embed_chunks; in LangChain "
        "ContextualVectorStore(store, embeddings) or embeddings.for_documents(chunks), in "
        "LlamaIndex the embedding as a transformation after the splitter. What compares sentences, "
        "such as a semantic splitter, needs a text model instead, such as voyage-4"
    )


def media_named(text: str) -> None:
    """Warn that the name of a file was embedded, and not the file."""
    LOG.warning(
        "%r is embedded as a text although it names an image or a video: pass a pathlib.Path, "
        "voyage_rag.Image(...) or voyage_rag.Video(...) to embed the file itself",
        text,
    )
