"""Embed texts: in one call, as a stream, and into a store."""

import inspect
import warnings
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeAlias

from voyage_rag.client.session import Session, run_in_thread_if_many
from voyage_rag.core import embed as embed_flows
from voyage_rag.core.embed import TextCall, TextPolicies
from voyage_rag.core.text_stream import AsyncSink, InOrder, Sink, TextStream
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.models import OutputDtype
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import EmbeddingsObject, EmptyText, InputType, InvalidText, Vector

TextOptions: TypeAlias = tuple[InputType | None, bool, OutputDtype | None, int | None, int | None]
"""Input type, truncation, number type, dimension and batch size."""

DEFAULT_EMBED_MODEL = "voyage-2"


class TextVerbs(Session):
    """`embed`, `embed_iter`, `embed_into` and `count_tokens`."""

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
        invalid_text: InvalidText = "error",
        as_lists: bool = False,
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Embed texts.

        Args:
            texts: The texts. A single string is treated as a list of one. An empty list costs
                nothing.
            model: An embedding model, such as `voyage-4`. The default is `voyage-2`, as in
                the `voyageai` package, with a warning. A contextualized model embeds each text as a
                separate document; a multimodal model embeds it as a text input.
            input_type: `query` for search queries, `document` for the texts to search, or None for
                no prompt. The field is not sent to gateways that do not support it.
            truncation: Truncate texts to the model's context. False raises an error for longer
                texts.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, if the model supports several.
            batch_size: Maximum number of texts per request. By default, requests are as large as
                the limits allow and numerous enough to use `concurrency`.
            empty_text: How to treat empty strings. `error` raises an error with their positions,
                `space` embeds a single space instead, `zeros` returns zero vectors, which stores
                may rank first by L2 or cosine distance.
            invalid_text: How to treat texts with a lone surrogate. `error` raises an error,
                `replace` sends U+FFFD instead. Surrogates that form a pair are joined.
            as_lists: Build the lists of `embeddings` while other requests are in flight instead of
                on first access. This is faster, but takes eight times the memory.
            show_progress_bar: Show a tqdm bar that counts texts.

        Returns:
            One vector per text, in order, and the tokens billed.

        Raises:
            InvalidInputError: An argument is invalid. Nothing was sent.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`). The
                attribute `partial` of the error contains the finished vectors.
        """
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            return self.driver.run(embed_flows.embed(call, texts, as_lists=as_lists))

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
        invalid_text: InvalidText = "error",
        as_lists: bool = False,
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Async variant of `embed`."""
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            operation_of = partial(embed_flows.embed, call, texts, as_lists=as_lists)
            return await self.driver.arun(await run_in_thread_if_many(operation_of, texts))

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> Iterator[Vector]:
        """Embed texts from any iterable as a stream, in constant memory.

        The arguments are those of `embed`. Requests are sent while the caller consumes earlier
        vectors, up to about `4 * concurrency` requests ahead. A text that repeats one of the
        previous 4,096 different ones is not sent again.

        Yields:
            One `array.array` per text, in order. If a text cannot be embedded, the vectors before
            its request are yielded first, and then the error is raised.
        """
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            flows, in_order = TextStream(call, texts).flows(), InOrder()
            for vectors, _ in self.driver.stream(flows, call.info("embed", None)):
                yield from in_order.next(vectors)

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> AsyncGenerator[Vector]:
        """Async variant of `embed_iter`."""
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            flows, in_order = TextStream(call, texts).flows(), InOrder()
            parts = self.driver.astream(flows, call.info("embed", None))
            async with aclosing(parts):
                async for vectors, _ in parts:
                    for vector in in_order.next(vectors):
                        yield vector

    def embed_into(
        self,
        sink: Sink,
        texts: Iterable[str],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> None:
        """Embed texts from any iterable, and pass each response to a function on arrival.

        Use this to write vectors to a store: vectors that were paid for do not wait in memory. The
        sink is called once per request, in no particular order, by the thread that received the
        response, so several calls may run concurrently. The async variant calls a function in a
        worker thread, and awaits a coroutine function in the event loop. A request counts
        towards `concurrency` until the sink returns. A text that repeats one of the previous 4,096
        is not sent again; further calls of the sink deliver vectors that are already known.

        The sink receives the positions of texts, their vectors (one `array.array` each), and their
        usage. An exception that it raises ends the call. The texts are read as needed (in the async
        variant by a worker thread). The other arguments are those of `embed`.

        Raises:
            InvalidInputError: An argument or a text is invalid.
            VoyageError: The service did not return a usable response. The sink has received the
                responses to all requests that were in flight.
        """
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            flows = TextStream(call, texts).flows_into(sink)
            for _ in self.driver.stream(flows, call.info("embed", None)):
                pass

    async def aembed_into(
        self,
        sink: AsyncSink,
        texts: Iterable[str],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        batch_size: int | None = None,
        empty_text: EmptyText = "error",
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> None:
        """Async variant of `embed_into`."""
        given = input_type, truncation, output_dtype, output_dimension, batch_size
        call = self._call(model, given, TextPolicies(empty_text, invalid_text))
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as call.progress:
            flows = TextStream(call, texts).flows_into(sink, awaits=True)
            stream = self.driver.astream(flows, call.info("embed", None), plans_in_thread=True)
            async with aclosing(stream) as parts:
                async for _ in parts:
                    pass

    def count_tokens(self, texts: Sequence[str] | str, model: str | None = None) -> int:
        """Count the tokens of texts without sending them.

        Args:
            texts: The texts. A single string is treated as a list of one.
            model: The model that will read them. An estimate takes into account the tokens that the
                service has already billed for it.

        Returns:
            The sum, without prompts: exact with a `tokenizer`, otherwise a conservative estimate.

        Raises:
            InvalidInputError: An argument is invalid.
        """
        name = DEFAULT_EMBED_MODEL if model is None else model
        return embed_flows.count(self.context, texts, name)

    async def acount_tokens(self, texts: Sequence[str] | str, model: str | None = None) -> int:
        """Async variant of `count_tokens`."""
        return await run_in_thread(partial(self.count_tokens, texts, model))

    def _call(self, model: str | None, given: TextOptions, policies: TextPolicies) -> TextCall:
        name = _default_model() if model is None else model
        return embed_flows.prepare(self.context, name, *given, policies)


def _default_model() -> str:
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("voyage_rag."):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"no model given: using {DEFAULT_EMBED_MODEL!r}, as the voyageai package does; pass a "
        "newer one, such as model='voyage-4'",
        UserWarning,
        stacklevel=level,
    )
    return DEFAULT_EMBED_MODEL
