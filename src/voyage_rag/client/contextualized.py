"""Embed chunks together with the other chunks of their documents."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from voyage_rag.client.session import Session, run_in_thread_if_many
from voyage_rag.core import contextual
from voyage_rag.core.documents import check_chunking
from voyage_rag.core.embed import TextPolicies
from voyage_rag.models import OutputDtype
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    EmbeddingsObject,
    EmptyText,
    InputType,
    InvalidText,
)

MANY_DOCUMENTS = 50
"""A thread checks and splits more documents than these, which may have 1,000 chunks."""


class ContextualizedVerbs(Session):
    """`contextualized_embed` and `embed_chunks`."""

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> ContextualizedEmbeddingsObject:
        """Embed chunks, each in the context of its document.

        A request contains whole documents. A document that exceeds the model's window (32,000
        tokens) is divided into consecutive windows of whole chunks without overlap. The vector of a
        chunk then reflects the chunks in its own window only; a warning names the document, and
        `windows` in its result gives the number of chunks per window. The windows of a document
        depend on that document only.

        Args:
            inputs: A list of documents. Each document is the list of its chunks, in order and
                without overlap. Pass a flat list of strings for queries (`input_type="query"`), and
                for documents that the service or `chunk_fn` splits. An empty list costs nothing.
            model: A contextualized model, such as `voyage-context-4`.
            input_type: `query` for search queries, `document` for the texts to search, or None for
                no prompt.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, if the model supports several.
            chunk_fn: A function that splits a string into chunks, such as the `split_text` method
                of a text splitter.
            enable_auto_chunking: Let the service split the documents. Requires one string per
                document and `input_type="document"`. The results contain the chunks as
                `chunk_texts`.
            chunk_size: Tokens per chunk for chunking by the service, from 1 to 32,000. Default:
                512.
            chunk_overlap: Tokens that adjacent chunks share for chunking by the service. Requires
                `chunk_size`. Default: 0.
            invalid_text: As for `embed`.
            show_progress_bar: Show a tqdm bar that counts documents.

        Returns:
            One result per document, in order, with one vector per chunk, and the tokens billed.

        Raises:
            InvalidInputError: An argument is invalid. Nothing was sent.
            InvalidRequestError: A single chunk exceeds the window. The message names it.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`). The
                attribute `partial` of the error contains the finished documents as a
                `PartialContextualizedEmbeddings`.
        """
        chunking = check_chunking(
            input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
        )
        call = contextual.prepare(
            self.context, model, input_type, output_dtype, output_dimension, chunking
        )
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as call.progress:
            return self.driver.run(contextual.contextualize(call, inputs, chunk_fn, invalid_text))

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> ContextualizedEmbeddingsObject:
        """Async variant of `contextualized_embed`. A thread splits large numbers of documents."""
        chunking = check_chunking(
            input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
        )
        call = contextual.prepare(
            self.context, model, input_type, output_dtype, output_dimension, chunking
        )
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as call.progress:
            operation_of = partial(contextual.contextualize, call, inputs, chunk_fn, invalid_text)
            operation = await run_in_thread_if_many(operation_of, inputs, MANY_DOCUMENTS)
            return await self.driver.arun(operation)

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Embed a flat list of chunks, each in the context of its document.

        This is `contextualized_embed` for chunks from frameworks and tables.

        Args:
            chunks: The chunks. Those of one document must be in order; documents may be
                interleaved.
            documents: For each chunk, an identifier of its document, such as a path or a number. A
                chunk with None is embedded as a separate document.
            model: A contextualized model, such as `voyage-context-4`.
            input_type: The prompt: `document`, `query` or None.
            output_dtype: As for `embed`.
            output_dimension: Length of the vectors, if the model supports several.
            empty_text: How to treat empty chunks. `error` raises an error with their positions,
                `space` embeds a single space as a separate document, `zeros` returns zero vectors.
            invalid_text: As for `embed`.
            show_progress_bar: Show a tqdm bar that counts chunks.

        Returns:
            One vector per chunk, in order, and the tokens billed.

        Raises:
            InvalidInputError: An argument is invalid. Nothing was sent.
            VoyageError: As for `contextualized_embed`; `indices` and `partial` refer to chunks.
        """
        call = contextual.prepare(self.context, model, input_type, output_dtype, output_dimension)
        with progress_bar(documents) if show_progress_bar else NO_PROGRESS as call.progress:
            policies = TextPolicies(empty_text, invalid_text)
            return self.driver.run(contextual.embed_chunks(call, chunks, documents, policies))

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
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> EmbeddingsObject:
        """Async variant of `embed_chunks`."""
        call = contextual.prepare(self.context, model, input_type, output_dtype, output_dimension)
        with progress_bar(documents) if show_progress_bar else NO_PROGRESS as call.progress:
            policies = TextPolicies(empty_text, invalid_text)
            operation_of = partial(contextual.embed_chunks, call, chunks, documents, policies)
            return await self.driver.arun(await run_in_thread_if_many(operation_of, chunks))
