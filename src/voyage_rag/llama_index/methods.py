"""The methods that LlamaIndex's base class calls, and the events that its handlers receive.

Handlers and callbacks receive balanced starts and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base import global_stack_trace_ids
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.span import active_span_id

from voyage_rag.checks import texts_of
from voyage_rag.errors import VoyageError
from voyage_rag.llama_index.media import MediaEmbedding
from voyage_rag.types import InputType

dispatcher = get_dispatcher(__name__)

Method = TypeVar("Method", bound=Callable[..., Any])

UPDATES = {"update_ref_doc", "aupdate_ref_doc"}
"""Traces in which an index has deleted a document and inserts its new version."""

DELETED = (
    "; LlamaIndex has deleted the old version of the document: call the same method again to "
    "insert the new one"
)


def traced(method: Method) -> Method:
    """Report each call of a method as a span, to which its events belong.

    LlamaIndex does this only for abstract methods, which its async variants are not.
    """
    return cast("Method", dispatcher.span(method))


_is_in_batches: ContextVar[bool] = ContextVar("is in batches", default=False)
_started: ContextVar[tuple[str | None] | None] = ContextVar("started", default=None)
"""The span in which LlamaIndex's base class has emitted a start, until the embedding begins."""


@contextmanager
def batch_events(model: BaseEmbedding, batches: Sequence[list[str]]) -> Iterator[list[Any]]:
    """Emit the start and the end of batches of texts that are embedded concurrently.

    Yields:
        A list to which the caller adds their embeddings in order.
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
    """Emit the end of a failed embedding, because LlamaIndex's base class does not.

    Nothing is emitted within `batch_events`, which emits the end itself, or without a start:
    LlamaIndex's `SentenceEmbeddingOptimizer` embeds without one.
    """
    started = _started.get()
    _started.set(None)
    try:
        yield
    except BaseException:
        if started and not _is_in_batches.get():
            _end(texts, [], span_id=started[0] or active_span_id.get())
        raise


@contextmanager
def _ends_on_failure(batches: Sequence[list[str]]) -> Iterator[None]:
    token = _is_in_batches.set(True)
    try:
        yield
    except BaseException as error:
        for texts in batches:
            _end(texts, [])
        if isinstance(error, VoyageError) and not UPDATES.isdisjoint(global_stack_trace_ids.get()):
            error.message += DELETED
        raise
    finally:
        _is_in_batches.reset(token)


def _end(texts: list[str], embeddings: list[Any], **span: Any) -> None:
    # without validation, which would copy every number
    dispatcher.event(EmbeddingEndEvent.model_construct(chunks=texts, embeddings=embeddings, **span))


class EmbeddingMethods(MediaEmbedding):
    """Methods that embed texts and queries under LlamaIndex's names.

    Attributes:
        text_input_type: The prompt for texts. Default: `document`. None for no prompt.
    """

    text_input_type: InputType | None = "document"

    if TYPE_CHECKING:  # for abstract methods, LlamaIndex reports each call as a span

        def _embed(
            self, texts: list[str], input_type: InputType | None, show_progress: bool = False
        ) -> list[Embedding]: ...

        async def _aembed(
            self, texts: list[str], input_type: InputType | None, show_progress: bool = False
        ) -> list[Embedding]: ...

        def _embed_query(self, query: str) -> Embedding: ...

        async def _aembed_query(self, query: str) -> Embedding: ...

        def _warn_of_media(self, texts: Sequence[str]) -> None: ...

    def to_payload(self) -> dict[str, Any]:
        """Return the fields that LlamaIndex reports at the start of an embedding."""
        _started.set((active_span_id.get(),))  # LlamaIndex embeds in a child span
        return super().to_payload()

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Embed texts: one vector per text, in order.

        All texts are planned together, with up to `concurrency` concurrent requests. With an
        `embeddings_cache` or a `rate_limiter`, LlamaIndex divides the texts and embeds
        `embed_batch_size` at a time.

        Args:
            texts: The texts.
            show_progress: Show a tqdm bar that counts texts.
            kwargs: Ignored, as in LlamaIndex.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`. Its `partial` contains the finished vectors.
        """
        texts = texts if type(texts) is list else list(texts_of("texts", texts))
        self._warn_of_media(texts)
        if self._is_divided_by_llama_index(texts):
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(self._get_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Async variant of `get_text_embedding_batch`.

        With `num_workers`, LlamaIndex divides the texts, too, and embeds batches concurrently.
        """
        texts = texts if type(texts) is list else list(texts_of("texts", texts))
        self._warn_of_media(texts)
        if self._is_divided_by_llama_index(texts) or self.num_workers:
            return await super().aget_text_embedding_batch(texts, show_progress, **kwargs)
        with batch_events(self, self._batches(texts)) as embeddings:
            embeddings.extend(await self._aget_text_embeddings(texts, **_shown(show_progress)))
        return embeddings

    def get_general_text_embedding(
        self, text: str, input_type: InputType | None = None
    ) -> Embedding:
        """Embed a text with any prompt.

        Args:
            text: The text.
            input_type: The prompt: `document`, `query` or None.

        Raises:
            VoyageError: See `voyage_rag.Voyage.embed`.
        """
        return self._embed([text], input_type)[0]

    async def aget_general_text_embedding(
        self, text: str, input_type: InputType | None = None
    ) -> Embedding:
        """Async variant of `get_general_text_embedding`."""
        return (await self._aembed([text], input_type))[0]

    def _get_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return self._embed_query(query)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        with end_on_failure([query]):
            return await self._aembed_query(query)

    def _get_text_embedding(self, text: str) -> Embedding:
        with end_on_failure([text]):
            return self._embed([text], self.text_input_type)[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        with end_on_failure([text]):
            return (await self._aembed([text], self.text_input_type))[0]

    def _get_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        with end_on_failure(texts):
            return self._embed(texts, self.text_input_type, show_progress)

    async def _aget_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        with end_on_failure(texts):
            return await self._aembed(texts, self.text_input_type, show_progress)

    def _is_divided_by_llama_index(self, texts: list[str]) -> bool:
        """Whether the base class must divide the texts, for its cache or rate limiter."""
        return not texts or self.embeddings_cache is not None or self.rate_limiter is not None

    def _batches(self, texts: list[str]) -> list[list[str]]:
        size = self.embed_batch_size
        return [texts[start : start + size] for start in range(0, len(texts), size)]


def _shown(show_progress: bool) -> dict[str, bool]:
    """Return the arguments for a method that a subclass may define with `texts` alone."""
    return {"show_progress": True} if show_progress else {}
