"""Embedding chunks, each with the context of its document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voyage_rag.client.session import Session
from voyage_rag.core import contextual
from voyage_rag.core.documents import check_chunking
from voyage_rag.core.embed import TextPolicies
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import (
    ContextualizedEmbeddingsObject,
    EmbeddingsObject,
    EmptyText,
    InputType,
    InvalidText,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from voyage_rag.models import OutputDtype


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
            invalid_text: As for `embed`.
            show_progress_bar: Show a tqdm bar that counts documents.

        Returns:
            One result per document, in order, with one vector per chunk; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            InvalidRequestError: A single chunk is longer than the window; it is named.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`);
                the error carries what was finished as `partial`, a
                `PartialContextualizedEmbeddings`.
        """
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as advance:
            call = contextual.prepare(
                self.context,
                advance,
                model,
                input_type,
                output_dtype,
                output_dimension,
                check_chunking(
                    input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
                ),
            )
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
        """Async variant of `contextualized_embed`."""
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as advance:
            call = contextual.prepare(
                self.context,
                advance,
                model,
                input_type,
                output_dtype,
                output_dimension,
                check_chunking(
                    input_type, chunk_fn, enable_auto_chunking, chunk_size, chunk_overlap
                ),
            )
            return await self.driver.arun(
                contextual.contextualize(call, inputs, chunk_fn, invalid_text)
            )

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
            empty_text: `error` refuses empty chunks by position, `space` embeds a single space in
                their place, as a document of its own, `zeros` gives them zero vectors.
            invalid_text: As for `embed`.
            show_progress_bar: Show a tqdm bar that counts chunks.

        Returns:
            One vector per chunk, in the order of the chunks; tokens billed.

        Raises:
            InvalidInputError: An argument cannot work; nothing was sent.
            VoyageError: As for `contextualized_embed`; `indices` and `partial` speak of chunks.
        """
        with progress_bar(documents) if show_progress_bar else NO_PROGRESS as advance:
            call = contextual.prepare(
                self.context, advance, model, input_type, output_dtype, output_dimension, None
            )
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
        with progress_bar(documents) if show_progress_bar else NO_PROGRESS as advance:
            call = contextual.prepare(
                self.context, advance, model, input_type, output_dtype, output_dimension, None
            )
            policies = TextPolicies(empty_text, invalid_text)
            operation = contextual.embed_chunks(call, chunks, documents, policies)
            return await self.driver.arun(operation)
