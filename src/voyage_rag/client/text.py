"""Embedding texts: at once, as they come, and into a store."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from voyage_rag.client.session import Session
from voyage_rag.core import embed as embed_flows
from voyage_rag.core.embed import TextPolicies
from voyage_rag.core.text_stream import DeliveredTexts, TextStream
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import EmbeddingsObject, EmptyText, InputType, InvalidText, Vector

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from voyage_rag.core.flow import Advance
    from voyage_rag.core.text_stream import Sink
    from voyage_rag.models import OutputDtype

DEFAULT_EMBED_MODEL = "voyage-2"

MANY = 1_000
"""Texts that take two milliseconds to look at, so that a thread does it and not an event loop."""


class TextVerbs(Session):
    """`embed`, `embed_iter` and `embed_into`."""

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
            empty_text: `error` refuses empty strings by position, `space` embeds a single space in
                their place, `zeros` gives them zero vectors, which stores that compare by L2 or
                cosine may rank first.
            invalid_text: `error` refuses texts with half a character (a lone surrogate), `replace`
                puts U+FFFD in its place. Two halves that follow each other are joined.
            as_lists: Make the lists of `embeddings` while other answers are still on their way, and
                not when they are first asked for: sooner, in eight times the memory.
            show_progress_bar: Show a tqdm bar that counts texts.

        Returns:
            One vector per text, in order; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`);
                the error carries what was finished as `partial`.
        """
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
                as_lists=as_lists,
            )
            return self.driver.run(embed_flows.embed(call, texts))

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
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
                as_lists=as_lists,
            )
            if isinstance(texts, Sequence) and len(texts) > MANY:
                operation = await run_in_thread(partial(embed_flows.embed, call, texts))
            else:
                operation = embed_flows.embed(call, texts)
            return await self.driver.arun(operation)

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
        """Embed any iterable of texts as it comes, in constant memory.

        Arguments are those of `embed`. Requests go out while earlier vectors are consumed, some
        `4 * concurrency` of them ahead at most. A text that repeats one of the 2,048 before it is
        not sent again.

        Yields:
            One `array.array` per text, in order. If a text cannot be embedded, the vectors before
            its request come first, then the error.
        """
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
            )
            stream = TextStream(call, texts)
            for found in self.driver.stream(stream.flows(), call.info("embed", None)):
                yield from stream.vectors(found)
            yield from stream.vectors([])

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
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
            )
            stream = TextStream(call, texts)
            parts = self.driver.astream(stream.flows(), call.info("embed", None))
            async with aclosing(parts):
                async for found in parts:
                    for vector in stream.vectors(found):
                        yield vector
            for vector in stream.vectors([]):
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
        """Embed any iterable of texts, and hand each answer over as soon as it is there.

        For what stores vectors: nothing that was paid for waits in memory. The sink is called once
        for each request, in no particular order, by the thread that received the response (in the
        async variant by a worker thread), so several calls may run at once. The request keeps its
        place among the concurrent ones until the sink returns. Texts that repeat one of the last
        8,192 are not sent again; further calls of the sink deliver those whose vector is known.

        Args:
            sink: Takes positions among the texts, their vectors (each an `array.array`), and what
                they cost. What it raises ends the call.
            texts: What to embed, read as it is needed; in the async variant by a thread.
            model: As for `embed`; the other arguments, too.
            input_type: As for `embed`.
            truncation: As for `embed`.
            output_dtype: As for `embed`.
            output_dimension: As for `embed`.
            batch_size: As for `embed`.
            empty_text: As for `embed`.
            invalid_text: As for `embed`.
            show_progress_bar: As for `embed`.

        Raises:
            InvalidInputError: An argument or a text cannot work.
            VoyageError: The service did not return a usable response. Requests that were in flight
                have been handed over by then.
        """
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
            )
            flows = DeliveredTexts(call, texts, sink).flows()
            for _ in self.driver.stream(flows, call.info("embed", None)):
                pass

    async def aembed_into(
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
        """Async variant of `embed_into`."""
        with progress_bar(texts) if show_progress_bar else NO_PROGRESS as advance:
            call = self._call(
                advance,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                batch_size,
                TextPolicies(empty_text, invalid_text),
            )
            flows, info = DeliveredTexts(call, texts, sink).flows(), call.info("embed", None)
            stream = self.driver.astream(flows, info, plans_in_thread=True)
            async with aclosing(stream) as parts:
                async for _ in parts:
                    pass

    def _call(
        self,
        advance: Advance | None,
        model: str | None,
        input_type: InputType | None,
        truncation: bool,
        output_dtype: OutputDtype | None,
        output_dimension: int | None,
        batch_size: int | None,
        policies: TextPolicies,
        *,
        as_lists: bool = False,
    ) -> embed_flows.TextCall:
        return embed_flows.prepare(
            self.context,
            advance,
            _default_model() if model is None else model,
            input_type,
            output_dimension,
            output_dtype,
            batch_size,
            policies,
            truncation=truncation,
            as_lists=as_lists,
        )


def _default_model() -> str:
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("voyage_rag."):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"no model given: using {DEFAULT_EMBED_MODEL!r} as Voyage's own client does; name a newer "
        "one, e.g. model='voyage-4'",
        UserWarning,
        stacklevel=level,
    )
    return DEFAULT_EMBED_MODEL
