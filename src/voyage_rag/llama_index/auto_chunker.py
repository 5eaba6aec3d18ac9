"""Convert documents into embedded nodes: the service splits and embeds them in one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from llama_index.core.callbacks import CallbackManager
from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, TextNode
from pydantic import ConfigDict, SecretStr

from voyage_rag.auto_chunking import check_auto_chunking, chunk_starts
from voyage_rag.connection import Connection
from voyage_rag.construction import constructor
from voyage_rag.llama_index.methods import traced
from voyage_rag.llama_index.nodes import naming_nodes
from voyage_rag.llama_index.serialized import SerializedComponent
from voyage_rag.models import OutputDtype
from voyage_rag.types import ContextualizedEmbeddingsResult


class VoyageAutoChunker(Connection, NodeParser):
    """Lets the service split documents, and returns nodes with their vectors.

    The text of a node is a slice of its document, with `start_char_idx` and `end_char_idx`. Its
    vector comes from the same response, in the context of the whole document. The document is
    embedded without its metadata. A document without words results in no nodes. There is no
    `invalid_text`, because LlamaIndex cannot hash a document with a lone surrogate.

    Accepts the parameters below, those of LlamaIndex's node parsers (`include_metadata`,
    `include_prev_next_rel`, `callback_manager`, `id_func`) and those of
    `voyage_rag.connection.Connection`. An unknown parameter raises an error that suggests the
    closest name.

    Args:
        model: A contextualized model.
        chunk_size: Tokens per chunk, from 1 to 32,000. Default: 512.
        chunk_overlap: Tokens that adjacent chunks share. Requires `chunk_size`.
        output_dtype: Number type of the vectors. Types other than `float` return integers.
        output_dimension: Length of the vectors.
        api_key: The API key, also accepted as `voyage_api_key`. Default: the key file, then
            `VOYAGE_API_KEY`.
        kwargs: The parameters named above.

    Raises:
        ConfigurationError: The model is not a contextualized one, or a number is out of range.

    Setup:
        Run `pip install 'voyage-rag[llama-index]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> from voyage_rag.llama_index import VoyageAutoChunker, VoyageEmbedding
        >>> documents = [Document(text="The tenant pays monthly. The landlord repairs the roof.")]
        >>> index = VectorStoreIndex.from_documents(
        ...     documents,
        ...     transformations=[VoyageAutoChunker(chunk_size=256)],
        ...     embed_model=VoyageEmbedding("voyage-context-4"),  # for queries
        ... )
        >>> len(index.as_retriever(similarity_top_k=1).retrieve("Who repairs the roof?"))
        1
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: str = "voyage-context-4"
    chunk_size: int | None = None
    chunk_overlap: int | None = None
    output_dtype: OutputDtype | None = None
    output_dimension: int | None = None

    @constructor
    def __init__(
        self,
        model: str = "voyage-context-4",
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        api_key: str | SecretStr | None = None,
        **kwargs: Any,
    ) -> None:
        if api_key is not None:
            kwargs["voyage_api_key"] = api_key
        fields: dict[str, Any] = {
            "model": model,
            "chunk_size": chunk_size,
            "chunk_overlap": chunk_overlap,
            "output_dtype": output_dtype,
            "output_dimension": output_dimension,
            "callback_manager": kwargs.pop("callback_manager", None) or CallbackManager([]),
        }
        super().__init__(**fields | kwargs)
        check_auto_chunking(self.model, self.chunk_size, self.chunk_overlap)
        self.connect()

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises this class."""
        return "VoyageAutoChunker"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return every parameter except the key and the function `id_func`."""
        parameters = super().to_dict(**kwargs)
        parameters.pop("id_func", None)
        return SerializedComponent(parameters, self.voyage.settings.base_url)

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's
    ) -> list[BaseNode]:
        written = _with_words(nodes)
        with naming_nodes(written):
            found = self.voyage.contextualized_embed(
                _texts(written), **self._options(show_progress=show_progress)
            )
        return self._nodes(written, found.results)

    @traced
    async def _aparse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's
    ) -> list[BaseNode]:
        written = _with_words(nodes)
        with naming_nodes(written):
            found = await self.voyage.acontextualized_embed(
                _texts(written), **self._options(show_progress=show_progress)
            )
        return self._nodes(written, found.results)

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]
    ) -> list[BaseNode]:
        """Add relationships and metadata, and keep the positions that the service returned."""
        known = [
            (node, node.start_char_idx, node.end_char_idx)
            for node in nodes
            if isinstance(node, TextNode)
        ]
        nodes = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, start, end in known:
            node.start_char_idx, node.end_char_idx = start, end
        return nodes

    def _options(self, *, show_progress: bool) -> dict[str, Any]:
        return {
            "model": self.model,
            "input_type": "document",
            "output_dtype": self.output_dtype,
            "output_dimension": self.output_dimension,
            "show_progress_bar": show_progress,
            **check_auto_chunking(self.model, self.chunk_size, self.chunk_overlap),
        }

    def _nodes(
        self, documents: Sequence[BaseNode], results: Sequence[ContextualizedEmbeddingsResult]
    ) -> list[BaseNode]:
        nodes: list[BaseNode] = []
        for document, result in zip(documents, results, strict=True):
            chunks = result.chunk_texts or []
            starts = chunk_starts(
                document.get_content(), chunks, overlapping=bool(self.chunk_overlap)
            )
            made = build_nodes_from_splits(chunks, document, id_func=self.id_func)
            for node, embedding, start in zip(made, result.embeddings, starts, strict=True):
                node.embedding = [*embedding]
                if start is not None:
                    node.start_char_idx, node.end_char_idx = start, start + len(node.text)
            nodes += made
        return nodes


def _with_words(nodes: Sequence[BaseNode]) -> list[BaseNode]:
    return [node for node in nodes if node.get_content().strip()]


def _texts(nodes: Sequence[BaseNode]) -> list[str]:
    return [node.get_content() for node in nodes]
