"""What LlamaIndex's handlers and callbacks get of an embedding: balanced starts and ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.span import active_span_id

dispatcher = get_dispatcher(__name__)

_is_in_batches: ContextVar[bool] = ContextVar("is in batches", default=False)
_started: ContextVar[tuple[str | None] | None] = ContextVar("started", default=None)
"""The span in which LlamaIndex's base class has emitted a start, until that embedding begins."""


@contextmanager
def batch_events(model: BaseEmbedding, batches: Sequence[list[str]]) -> Iterator[list[Any]]:
    """Emit the start and the end of batches of texts that are embedded at the same time.

    Yields:
        A list, to which their embeddings are to be added in order.
    """
    described = model.to_payload()
    _started.set(None)
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
    """Emit the end of an embedding that fails, since LlamaIndex's base class does not.

    Nothing is emitted within `batch_events`, which does so itself, nor where nothing was started:
    LlamaIndex's `SentenceEmbeddingOptimizer` embeds without a start.
    """
    started = _started.get()
    _started.set(None)
    try:
        yield
    except BaseException:
        if started and not _is_in_batches.get():
            _end(texts, [], span_id=started[0] or active_span_id.get())
        raise


def starting() -> None:
    """Note the span in which an embedding starts: LlamaIndex embeds in another one within it."""
    _started.set((active_span_id.get(),))


@contextmanager
def _ends_on_failure(batches: Sequence[list[str]]) -> Iterator[None]:
    token = _is_in_batches.set(True)
    try:
        yield
    except BaseException:
        for texts in batches:
            _end(texts, [])
        raise
    finally:
        _is_in_batches.reset(token)


def _end(texts: list[str], embeddings: list[Any], **span: Any) -> None:
    # validation would copy every number
    dispatcher.event(EmbeddingEndEvent.model_construct(chunks=texts, embeddings=embeddings, **span))
