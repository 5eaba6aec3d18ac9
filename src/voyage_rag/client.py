"""`Voyage`: the service's verbs, each with a sync and an async face, one line per face."""

from __future__ import annotations

import logging
import os
import random
import threading
import warnings
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from voyage_rag.core import contextual, embedding, multimodal
from voyage_rag.core.budget import budgets_of
from voyage_rag.core.dialect import dialect_of
from voyage_rag.core.pacing import RateLimits
from voyage_rag.core.reranking import rerank
from voyage_rag.core.retry import RetryPolicy
from voyage_rag.core.terms import Terms
from voyage_rag.io.cache import Cache
from voyage_rag.io.clock import SYSTEM_CLOCK, Clock
from voyage_rag.io.drive import Means
from voyage_rag.io.fan_out import arun, astream, run, stream
from voyage_rag.io.media import READER
from voyage_rag.io.tasks import elsewhere
from voyage_rag.io.tokenizer import Tokenizer
from voyage_rag.io.transport import AsyncHTTPClient, HTTPClient, Transport
from voyage_rag.progress import Advance, progress_bar
from voyage_rag.settings import Settings
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    EmbeddingsObject,
    EmptyText,
    InputType,
    MultimodalEmbeddingsObject,
    RerankingObject,
    Usage,
    Vector,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Iterator, Sequence

    from pydantic import SecretStr

    from voyage_rag.core.wire import Chunking
    from voyage_rag.models import OutputDtype

LOG = logging.getLogger("voyage_rag")
HOUR = 3_600
MOST_NAMED = 10
DEFAULT_EMBED_MODEL = "voyage-2"


class Voyage:
    """A client of the Voyage AI API, for threads and event loops alike.

    One object serves any number of threads, asyncio and trio loops; it connects when first used and
    keeps its connections. It can be pickled: the key is sealed, and works in this process and its
    worker processes (see `voyage_rag.secret`).

    Args:
        api_key: The key; else a key file, else `VOYAGE_API_KEY` (docs: "API Key and Python
            Client").
        max_retries: Further attempts after a 429, 408, 5xx, a lost connection, a timeout or an
            unsound answer. Unless given, 6, and for a 429 as many as `total_timeout` allows.
        timeout: Seconds one attempt may take. 60 unless given.
        base_url: Address of the API; else `VOYAGE_BASE_URL`, else the host the key belongs to. For
            `https://api.aimlapi.com/v1` that gateway's dialect is spoken.
        api_key_path: A file that holds the key; else `VOYAGE_API_KEY_PATH`.
        total_timeout: Seconds one request may take with all its attempts and the waits between
            them; None for no limit.
        concurrency: Requests in flight at once for one call. 16 unless given.
        requests_per_minute: The account's limit per model, never exceeded; discovered if it is
            not given (docs: "Rate Limits").
        tokens_per_minute: The same, of tokens.
        cache: A SQLite file: what it holds is not paid for again, in this run or the next.
        tokenizer: A model's `tokenizer.json` (docs: "Tokenization"), to plan by exact counts; they
            are estimated and learnt without it. Needs `pip install 'voyage-rag[tokenizers]'`.
        allow_insecure_http: Let the key travel over plain http to another machine.
        http_client: Your own `httpx.Client` for sync calls: proxies, TLS, tracing. You close it.
        async_http_client: Your own `httpx.AsyncClient` for async calls, in one event loop.
        clock: The time it lives in; for tests.

    Raises:
        ConfigurationError: No key, or a setting that cannot work; the message names it.
    """

    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        base_url: str | None = None,
        *,
        api_key_path: str | os.PathLike[str] | None = None,
        total_timeout: float | None = 300.0,
        concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        cache: str | os.PathLike[str] | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
        allow_insecure_http: bool = False,
        http_client: HTTPClient | None = None,
        async_http_client: AsyncHTTPClient | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        settings = Settings.resolve(
            api_key,
            api_key_path=api_key_path,
            base_url=base_url,
            allow_insecure_http=allow_insecure_http,
            max_retries=max_retries,
            timeout=timeout,
            total_timeout=total_timeout,
            concurrency=concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            cache=cache,
            tokenizer=tokenizer,
        )
        self._begin(settings, Transport(settings, http_client, async_http_client), clock)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """A client with settings that are already resolved."""
        client = cls.__new__(cls)
        client._begin(settings, Transport(settings), SYSTEM_CLOCK)  # noqa: SLF001 - its own
        return client

    def _begin(self, settings: Settings, transport: Transport, clock: Clock) -> None:
        self.settings = settings
        self._transport = transport
        self._clock = clock
        self._cache = None if settings.cache is None else Cache(settings.cache)
        self._dialect = dialect_of(settings.host)
        self._budgets = budgets_of((settings.host, settings.api_key.fingerprint), clock.now)
        self._policy = RetryPolicy(
            max_retries=settings.max_retries,
            timeout=settings.timeout,
            total_timeout=settings.total_timeout,
            chance=random.random,
            wall_clock=clock.wall,
        )
        self._count_tokens = Tokenizer(settings.tokenizer) if settings.tokenizer else None
        self._limits = RateLimits(settings.requests_per_minute, settings.tokens_per_minute)
        self._usage = Usage()
        self._warned_of_lost_context = False
        self._lock = threading.Lock()

    # ── verbs ─────────────────────────────────────────────────────────────────────────────────────

    def embed(
        self,
        texts: Sequence[str] | str,
        model: str | None = None,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        as_lists: bool = False,
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Embed texts.

        Args:
            texts: What to embed; a lone string is a list of one. An empty list costs nothing.
            model: An embedding model (docs: "Text Embeddings"). Without one Voyage's client takes
                `voyage-2`, and so does this one, with a warning. A contextualized model embeds each
                text as a document of its own, and a multimodal one as an input of text.
            input_type: `query` for what is searched with, `document` for what is searched, None for
                neither prompt. A gateway that does not know the field is not sent it.
            truncation: Cut texts to the model's context; False refuses longer ones.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number (docs: "Flexible Dimensions and Quantization").
            output_dimension: Length of the vectors, where the model offers several.
            batch_size: Most texts in one request; else as many as the limits allow and as keep
                `concurrency` requests busy.
            empty_text: `error` refuses empty strings by position, `zeros` gives them zero vectors.
            as_lists: Make lists of the vectors while others are still on their way, instead of when
                `embeddings` is first asked for: done sooner, in eight times the memory.
            show_progress_bar: Show a tqdm bar that counts texts.

        Returns:
            One vector per text, in order; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: The service could not be had to answer (see `voyage_rag.errors`); the error
                carries what was finished as `partial`.
        """
        with progress_bar(texts, "Embedding", shown=show_progress_bar) as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                empty_text,
            )
            return run(embedding.embed(call, texts, as_lists=as_lists), *self._drivers)

    async def aembed(
        self,
        texts: Sequence[str] | str,
        model: str | None = None,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        as_lists: bool = False,
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Async twin of `embed`."""
        with progress_bar(texts, "Embedding", shown=show_progress_bar) as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                empty_text,
            )
            return await arun(embedding.embed(call, texts, as_lists=as_lists), *self._drivers)

    def embed_iter(
        self,
        texts: Iterable[str],
        model: str | None = None,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        show_progress_bar: bool = False,
    ) -> Iterator[Vector]:
        """Embed any iterable of texts as it comes, in constant memory.

        Arguments are those of `embed`. Requests go out while earlier vectors are consumed, some
        `4 * concurrency` of them ahead at most.

        Yields:
            One `array.array` per text, in order. If a text cannot be embedded, the vectors before
            its request come first, then the error.
        """
        with progress_bar(texts, "Embedding", shown=show_progress_bar) as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                empty_text,
            )
            for part in stream(call.flows(texts, None), *self._drivers):
                yield from part

    async def aembed_iter(
        self,
        texts: Iterable[str],
        model: str | None = None,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        show_progress_bar: bool = False,
    ) -> AsyncGenerator[Vector]:
        """Async twin of `embed_iter`."""
        with progress_bar(texts, "Embedding", shown=show_progress_bar) as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                empty_text,
            )
            async with aclosing(astream(call.flows(texts, None), *self._drivers)) as parts:
                async for part in parts:
                    for vector in part:
                        yield vector

    def contextualized_embed(
        self,
        inputs: Sequence[Sequence[str]] | Sequence[str],
        model: str,
        input_type: InputType | None = None,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        chunk_fn: Callable[[str], list[str]] | None = None,
        enable_auto_chunking: bool = False,
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
        *,
        show_progress_bar: bool = False,
    ) -> ContextualizedEmbeddingsObject:
        """Embed chunks, each with the context of the other chunks of its document.

        Documents are sent whole, many to a request. One longer than the model's window (32,000
        tokens) is embedded in windows of neighbouring chunks: chunk after chunk as long as they
        fit, every chunk in one window, no overlap. A chunk then knows the chunks of its own window;
        a warning names the document, and `windows` of its result says where the cuts are. The same
        document always has the same windows, whatever it is embedded with.

        Args:
            inputs: A list of documents, each the list of its chunks in order, without overlap. A
                flat list of strings is one string per document or query, where `input_type` is
                `query`, or the documents are cut by the service or by `chunk_fn`. An empty list
                costs nothing.
            model: A contextualized model (docs: "Contextualized Chunk Embeddings").
            input_type: `query` for what is searched with, `document` for what is searched, None for
                neither prompt.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, where the model offers several.
            chunk_fn: Cuts each string into chunks before anything is sent, for example the
                `split_text` of a splitter.
            enable_auto_chunking: Let the service cut: one string per document, `input_type`
                `document`. What it made comes back as `chunk_texts`.
            chunk_size: Tokens of a chunk that the service makes, 1 to 32,000; 512 unless given.
            chunk_overlap: Tokens that such chunks share; 0 unless given. Needs `chunk_size`.
            show_progress_bar: Show a tqdm bar that counts documents.

        Returns:
            One result per document, in order, with one vector per chunk; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            InvalidRequestError: A single chunk is longer than the window; it is named.
            VoyageError: The service could not be had to answer (see `voyage_rag.errors`); the error
                carries what was finished as `partial`, a `PartialContextualizedEmbeddings`.
        """
        with progress_bar(inputs, "Embedding", shown=show_progress_bar) as advance:
            call = self._contextual_call(
                advance,
                model,
                input_type,
                output_dtype,
                output_dimension,
                contextual.check_chunking(
                    input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
                ),
            )
            return run(contextual.contextualize(call, inputs, chunk_fn), *self._drivers)

    async def acontextualized_embed(
        self,
        inputs: Sequence[Sequence[str]] | Sequence[str],
        model: str,
        input_type: InputType | None = None,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        chunk_fn: Callable[[str], list[str]] | None = None,
        enable_auto_chunking: bool = False,
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
        *,
        show_progress_bar: bool = False,
    ) -> ContextualizedEmbeddingsObject:
        """Async twin of `contextualized_embed`."""
        with progress_bar(inputs, "Embedding", shown=show_progress_bar) as advance:
            call = self._contextual_call(
                advance,
                model,
                input_type,
                output_dtype,
                output_dimension,
                contextual.check_chunking(
                    input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
                ),
            )
            return await arun(contextual.contextualize(call, inputs, chunk_fn), *self._drivers)

    def embed_chunks(
        self,
        chunks: Sequence[str],
        documents: Sequence[Hashable],
        model: str,
        input_type: InputType | None = "document",
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        empty_text: EmptyText = "error",
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Embed chunks that lie in one list, each with the context of its document.

        The same as `contextualized_embed`, for what frameworks and tables hold.

        Args:
            chunks: The chunks, those of a document in its order; documents may be mixed.
            documents: For each chunk what identifies its document, such as a path or a number. A
                chunk with None is a document of its own.
            model: A contextualized model (docs: "Contextualized Chunk Embeddings").
            input_type: The prompt: `document`, `query` or None.
            output_dtype: As for `embed`.
            output_dimension: Length of the vectors, where the model offers several.
            empty_text: `error` refuses empty chunks by position, `zeros` gives them zero vectors.
            show_progress_bar: Show a tqdm bar that counts chunks.

        Returns:
            One vector per chunk, in the order of the chunks; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: As for `contextualized_embed`; `indices` and `partial` speak of chunks.
        """
        with progress_bar(documents, "Embedding", shown=show_progress_bar) as advance:
            call = self._contextual_call(
                advance, model, input_type, output_dtype, output_dimension, None
            )
            return run(contextual.embed_chunks(call, chunks, documents, empty_text), *self._drivers)

    async def aembed_chunks(
        self,
        chunks: Sequence[str],
        documents: Sequence[Hashable],
        model: str,
        input_type: InputType | None = "document",
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        empty_text: EmptyText = "error",
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Async twin of `embed_chunks`."""
        with progress_bar(documents, "Embedding", shown=show_progress_bar) as advance:
            call = self._contextual_call(
                advance, model, input_type, output_dtype, output_dimension, None
            )
            return await arun(
                contextual.embed_chunks(call, chunks, documents, empty_text), *self._drivers
            )

    def multimodal_embed(
        self,
        inputs: Sequence[object],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        downscale: bool = False,
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Embed texts, images and videos, alone or interleaved.

        Images in PNG, JPEG, WEBP and GIF are sent as they are, and so are videos in MP4. Other
        formats, and images of Pillow's that were changed since they were opened, are encoded anew
        (Pillow: the extra `images`). Files are read when their request is made, so that a folder of
        any size can be embedded. Limits are checked before anything is sent: 20 MB and 16 million
        pixels an image, 20 MB a video, video only for a model that takes it.

        Args:
            inputs: One list per vector, of texts, images and videos in any order; a single one need
                not be in a list. A string is text, unless it is a data URL or an http(s) URL that
                ends as images and videos do. A `pathlib.Path`, bytes or a binary file is an image
                or a video, by its first bytes; so is an image of Pillow's. `Image(...)` and
                `Video(...)` say it of any string. Or dictionaries as in Voyage's API reference:
                `{"content": [{"type": "text", "text": ...}, ...]}`.
            model: A multimodal model (docs: "Multimodal Embeddings").
            input_type: `query` for what is searched with, `document` for what is searched, None for
                neither prompt.
            truncation: Cut inputs to the model's context, leaving out images that are beyond it;
                False refuses longer ones.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, where the model offers several.
            downscale: Reduce images to the 2 million pixels that are counted at most: less to send,
                for the same bill. Needs Pillow.
            show_progress_bar: Show a tqdm bar that counts inputs.

        Returns:
            One vector per input, in order; tokens and pixels billed.

        Raises:
            InvalidInputError: An input cannot be embedded; it is named, and nothing was sent.
            VoyageError: The service could not be had to answer (see `voyage_rag.errors`); the error
                carries what was finished as `partial`.
        """
        with progress_bar(inputs, "Embedding", shown=show_progress_bar) as advance:
            call = self._multimodal_call(
                advance, model, input_type, output_dtype, output_dimension, truncation, downscale
            )
            return run(multimodal.embed(call, inputs), *self._drivers)

    async def amultimodal_embed(
        self,
        inputs: Sequence[object],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        downscale: bool = False,
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Async twin of `multimodal_embed`. Files are read and encoded in threads."""
        with progress_bar(inputs, "Embedding", shown=show_progress_bar) as advance:
            call = self._multimodal_call(
                advance, model, input_type, output_dtype, output_dimension, truncation, downscale
            )
            operation = await elsewhere(partial(multimodal.embed, call, inputs))
            return await arun(operation, *self._drivers)

    def count_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """What multimodal inputs will cost, before anything is sent.

        Args:
            inputs: As for `multimodal_embed`, without URLs, whose size is not known.
            model: A multimodal model.

        Returns:
            `text_tokens`, at an estimate that errs high unless there is a tokenizer;
            `image_pixels` and `video_pixels` as they are counted; `total_tokens`.

        Raises:
            InvalidInputError: An input cannot be embedded, or its size cannot be told.
        """
        call = self._multimodal_call(None, model, None, None, None, True, False)
        usage = multimodal.count(call, inputs)
        return {
            "text_tokens": usage.text_tokens,
            "image_pixels": usage.image_pixels,
            "video_pixels": usage.video_pixels,
            "total_tokens": usage.total_tokens,
        }

    async def acount_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """Async twin of `count_usage`."""
        return await elsewhere(partial(self.count_usage, inputs, model))

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        model: str,
        top_k: int | None = None,
        truncation: bool = True,
    ) -> RerankingObject:
        """Order documents by relevance to a query.

        Args:
            query: What is asked.
            documents: What is ranked. An empty list costs nothing. More than one request may hold
                (1,000 documents, or the model's tokens) are sent in several and merged.
            model: A reranker (docs: "Rerankers").
            top_k: How many to return, None for all.
            truncation: Cut query and documents to the model's limits; False refuses longer ones.

        Returns:
            Results by falling relevance; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: The service could not be had to answer (see `voyage_rag.errors`).
        """
        return run(
            rerank(self._terms(), query, documents, model, top_k, truncation=truncation),
            *self._drivers,
        )

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        model: str,
        top_k: int | None = None,
        truncation: bool = True,
    ) -> RerankingObject:
        """Async twin of `rerank`."""
        return await arun(
            rerank(self._terms(), query, documents, model, top_k, truncation=truncation),
            *self._drivers,
        )

    # ── state ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def usage(self) -> Usage:
        """What this object has spent so far."""
        return self._usage

    def close(self) -> None:
        """Close the idle connections of sync calls. The object stays usable and connects anew."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of sync calls."""
        await self._transport.aclose()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Voyage(base_url={self.settings.base_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._transport.http_client or self._transport.async_http_client:
            raise TypeError("a Voyage with its own http_client cannot be pickled or copied")
        return type(self).of, (self.settings,)

    @property
    def _drivers(self) -> tuple[Means, int]:
        counting = self._count_tokens is not None
        means = Means(self._transport, self._clock, self._cache, plans_in_thread=counting)
        return means, self.settings.concurrency

    def _call(
        self,
        advance: Advance,
        model: str | None,
        input_type: InputType | None,
        truncation: bool,
        output_dtype: OutputDtype | None,
        output_dimension: int | None,
        batch_size: int | None,
        empty_text: EmptyText,
    ) -> embedding.Embedding:
        return embedding.prepare(
            self._terms(advance),
            model or _default_model(),
            input_type,
            output_dimension,
            output_dtype,
            batch_size,
            empty_text,
            truncation=truncation,
        )

    def _contextual_call(
        self,
        advance: Advance,
        model: str,
        input_type: InputType | None,
        output_dtype: OutputDtype | None,
        output_dimension: int | None,
        chunking: Chunking | None,
    ) -> contextual.Contextualizing:
        return contextual.prepare(
            self._terms(advance), model, input_type, output_dtype, output_dimension, chunking
        )

    def _multimodal_call(
        self,
        advance: Advance | None,
        model: str,
        input_type: InputType | None,
        output_dtype: OutputDtype | None,
        output_dimension: int | None,
        truncation: bool,
        downscale: bool,
    ) -> multimodal.Multimodal:
        return multimodal.prepare(
            self._terms(advance),
            model,
            input_type,
            output_dtype,
            output_dimension,
            READER,
            truncation=truncation,
            downscale=downscale,
        )

    def _terms(self, advance: Advance | None = None) -> Terms:
        def answered(inputs: int, usage: Usage) -> None:
            with self._lock:
                self._usage += usage
            if advance is not None:
                advance(inputs, usage.total_tokens)

        def recalled(inputs: int) -> None:
            if advance is not None:
                advance(inputs, 0)

        return Terms(
            host=self.settings.host,
            dialect=self._dialect,
            policy=self._policy,
            budgets=self._budgets,
            limits=self._limits,
            concurrency=self.settings.concurrency,
            count_tokens=self._count_tokens,
            caching=self._cache is not None,
            answered=answered,
            recalled=recalled,
            slowed=_warn_of_slowness,
            windowed=_warn_of_windows,
            unrelated=self._warn_of_lost_context,
        )

    def _warn_of_lost_context(self) -> None:
        if not self._warned_of_lost_context:
            self._warned_of_lost_context = True
            LOG.warning(
                "texts are embedded without the context of their documents, each by itself; where "
                "they are chunks of documents, use contextualized_embed or embed_chunks; in "
                "LangChain embeddings.for_documents(chunks), in LlamaIndex the embedding as a "
                "transformation after the splitter"
            )


def _warn_of_slowness(seconds: float, limits: RateLimits, model: str) -> None:
    LOG.warning(
        "the account may send %s to %s, so this takes about %s; a payment method or a higher "
        'tier makes it faster (docs: "Rate Limits")',
        limits,
        model,
        f"{seconds / 60:.0f} minutes" if seconds < HOUR else f"{seconds / HOUR:.1f} hours",
    )


def _warn_of_windows(documents: Sequence[object]) -> None:
    LOG.warning(
        "%s %s longer than the model's window: embedded in windows of neighbouring chunks, so "
        "that a chunk knows those of its own window only",
        "document" if len(documents) == 1 else "documents",
        f"{', '.join(map(repr, documents[:MOST_NAMED]))}"
        f"{' and others' * (len(documents) > MOST_NAMED)} "
        f"{'is' if len(documents) == 1 else 'are'}",
    )


def _default_model() -> str:
    warnings.warn(
        f"no model given: using {DEFAULT_EMBED_MODEL!r} as Voyage's own client does; name a newer "
        "one, e.g. model='voyage-4'",
        UserWarning,
        stacklevel=4,
    )
    return DEFAULT_EMBED_MODEL
