"""Nodes in a transformation: their texts, their documents, and what LlamaIndex is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.schema import BaseNode, MetadataMode

dispatcher = get_dispatcher(__name__)


@dataclass(slots=True)
class Chunks:
    """Nodes that are being embedded.

    Attributes:
        nodes: The nodes.
        texts: What is embedded of them: their text, with the metadata they want embedded.
        embeddings: What became of them, once they are.
    """

    nodes: Sequence[BaseNode]
    texts: list[str]
    embeddings: list[Any]

    def embedded(self, embeddings: list[Any]) -> Sequence[BaseNode]:
        """The nodes, with these vectors."""
        self.embeddings = embeddings
        for node, embedding in zip(self.nodes, embeddings, strict=True):
            node.embedding = embedding
        return self.nodes


def documents_of(nodes: Sequence[BaseNode]) -> list[str | None]:
    """For each node the id of its source document, None where it has none."""
    return [node.ref_doc_id for node in nodes]


@contextmanager
def embedding_event(model: BaseEmbedding, nodes: Sequence[BaseNode]) -> Iterator[Chunks]:
    """Tell LlamaIndex of nodes that are embedded together, as its own base class would."""
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    chunks = Chunks(nodes, texts, [])
    described = model.to_payload()
    dispatcher.event(EmbeddingStartEvent(model_dict=described))
    payload: dict[str, Any] = {EventPayload.SERIALIZED: described}
    with model.callback_manager.event(CBEventType.EMBEDDING, payload=payload) as event:
        yield chunks
        event.on_end(
            payload={EventPayload.CHUNKS: texts, EventPayload.EMBEDDINGS: chunks.embeddings}
        )
    dispatcher.event(EmbeddingEndEvent(chunks=texts, embeddings=chunks.embeddings))
