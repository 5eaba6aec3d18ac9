"""Nodes in a transformation: their texts, their documents, and what LlamaIndex is told of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import BaseNode, ImageNode, MediaResource, MetadataMode, Node

from voyage_rag.types import Image, Video

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

    @property
    def contents(self) -> list[list[object]]:
        """The same for a multimodal model, with their images and videos."""
        return [content_of(node, text) for node, text in zip(self.nodes, self.texts, strict=True)]

    def embedded(self, embeddings: list[Any]) -> Sequence[BaseNode]:
        """The nodes, with these vectors."""
        self.embeddings = embeddings
        for node, embedding in zip(self.nodes, embeddings, strict=True):
            node.embedding = embedding
        return self.nodes


def documents_of(nodes: Sequence[BaseNode]) -> list[str | None]:
    """For each node the id of its source document, None where it has none."""
    return [node.ref_doc_id for node in nodes]


def has_media(node: BaseNode) -> bool:
    """Whether a node holds an image or a video."""
    return bool(_media_of(node))


def content_of(node: BaseNode, text: str) -> list[object]:
    """What a multimodal model embeds of a node: its text, if it has some, and its media."""
    words = [{"type": "text", "text": text}] if _own_text(node) or not has_media(node) else []
    return [*words, *_media_of(node)]


def _own_text(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.NONE)


def _media_of(node: BaseNode) -> list[Image | Video]:
    if isinstance(node, ImageNode):
        if node.image is not None:
            return [Image(base64.b64decode(node.image))]
        source = node.image_path or node.image_url
        return [Image(source)] if source else []
    if not isinstance(node, Node):
        return []
    media: list[Image | Video] = []
    if (image := _source_of(node.image_resource)) is not None:
        media.append(Image(image))
    if (video := _source_of(node.video_resource)) is not None:
        media.append(Video(video))
    return media


def _source_of(resource: MediaResource | None) -> object:
    if resource is None:
        return None
    if resource.data is not None:  # which LlamaIndex keeps in base64
        return base64.b64decode(resource.data)
    return resource.path or (str(resource.url) if resource.url else None)


@contextmanager
def embedding_event(model: BaseEmbedding, nodes: Sequence[BaseNode]) -> Iterator[Chunks]:
    """Emit LlamaIndex of nodes that are embedded together, as its own base class would."""
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    chunks = Chunks(nodes, texts, [])
    with batch_events(model, [texts]) as embeddings:
        yield chunks
        embeddings.extend(chunks.embeddings)


@contextmanager
def batch_events(model: BaseEmbedding, batches: Sequence[list[str]]) -> Iterator[list[Any]]:
    """Emit LlamaIndex of batches of texts that are embedded at the same time.

    Yields:
        A list, to which their embeddings are to be added in order.
    """
    described = model.to_payload()
    started: dict[str, Any] = {EventPayload.SERIALIZED: described}
    embeddings: list[Any] = []
    with _ends_on_failure(batches), ExitStack() as stack:
        events = []
        for _ in batches:
            dispatcher.event(EmbeddingStartEvent(model_dict=described))
            begun = model.callback_manager.event(CBEventType.EMBEDDING, payload=started)
            events.append(stack.enter_context(begun))
        yield embeddings
        start = 0
        for event, texts in zip(events, batches, strict=True):
            its = embeddings[start : start + len(texts)]
            start += len(texts)
            event.on_end(payload={EventPayload.CHUNKS: texts, EventPayload.EMBEDDINGS: its})
            _end(texts, its)


@contextmanager
def end_on_failure(texts: list[str]) -> Iterator[None]:
    """Emit LlamaIndex of the end of an embedding that fails, since its base class does not.

    Within `batch_events` nothing is told, since that knows what was begun.
    """
    try:
        yield
    except BaseException:
        if not _batches_are_told.get():
            _end(texts, [], span_id=_started_in.get() or active_span_id.get())
        raise


_started_in: ContextVar[str | None] = ContextVar("started in", default=None)


def starting() -> None:
    """Note the span in which an embedding starts: LlamaIndex embeds in another one within it."""
    _started_in.set(active_span_id.get())


_batches_are_told: ContextVar[bool] = ContextVar("batches are told", default=False)


@contextmanager
def _ends_on_failure(batches: Sequence[list[str]]) -> Iterator[None]:
    token = _batches_are_told.set(True)
    try:
        yield
    except BaseException:
        for texts in batches:
            _end(texts, [])
        raise
    finally:
        _batches_are_told.reset(token)


def _end(texts: list[str], embeddings: list[Any], **span: Any) -> None:
    # validation would copy every number
    dispatcher.event(EmbeddingEndEvent.model_construct(chunks=texts, embeddings=embeddings, **span))
