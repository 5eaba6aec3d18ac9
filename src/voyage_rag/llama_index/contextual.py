"""An embedding class that never embeds a chunk without the context of its document."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from pydantic import SecretStr

from voyage_rag.construction import constructor
from voyage_rag.errors import ConfigurationError, InvalidInputError
from voyage_rag.llama_index.embeddings import VoyageEmbedding
from voyage_rag.llama_index.nodes import are_of_one_document
from voyage_rag.models import kind_of

REMEDY = (
    "texts alone do not identify the document they are chunks of: run this as a transformation of "
    "nodes, after the splitter, as in IngestionPipeline(transformations=[splitter, embedding]) or "
    "VectorStoreIndex.from_documents(documents, transformations=[splitter, embedding], "
    "embed_model=embedding). Components that compare sentences or embed their own texts, such as "
    "SemanticSplitterNodeParser and PropertyGraphIndex, need a text model instead: "
    "VoyageEmbedding('voyage-4')"
)


class VoyageContextualEmbedding(VoyageEmbedding):
    """A `VoyageEmbedding` that never embeds a chunk without its document.

    As a transformation, it groups nodes by their source document (`ref_doc_id`) and embeds those of
    one document together, in order. Queries and single texts are embedded as usual. When an index
    inserts one document (`insert`, `update_ref_doc`, `refresh_ref_docs`), its chunks provide
    context for each other without the transformation; for a hierarchical parser, those of the same
    size do. Any other list of several texts raises an error with the remedy, because an index
    passes such a list for nodes that were not transformed; `VoyageEmbedding` embeds each of these
    texts separately.

    LlamaIndex deletes the old version of a document before it embeds the new one. To keep it if the
    service fails, pass a `cache` to the embedding, and embed first:

        embedding(splitter(documents))
        index.refresh_ref_docs(documents)  # uses the cached vectors

    Accepts the parameters of `VoyageEmbedding`.

    Raises:
        ConfigurationError: The model is not a contextualized one.

    Setup:
        Run `pip install 'voyage-rag[llama-index]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> from llama_index.core.node_parser import SentenceSplitter
        >>> from voyage_rag.llama_index import VoyageContextualEmbedding
        >>> embedding = VoyageContextualEmbedding()
        >>> index = VectorStoreIndex.from_documents(
        ...     [Document(text="The landlord repairs the roof.")],
        ...     transformations=[SentenceSplitter(), embedding],
        ...     embed_model=embedding,
        ... )
        >>> index.as_retriever().retrieve("Who repairs the roof?")[0].text
        'The landlord repairs the roof.'
    """

    @constructor
    def __init__(
        self,
        model_name: str = "voyage-context-4",
        voyage_api_key: str | SecretStr | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(model_name, str) or kind_of(model_name) != "contextualized":
            raise ConfigurationError(
                f"{model_name!r} does not embed chunks in context: use voyage-context-4, or "
                "VoyageEmbedding"
            )
        super().__init__(model_name, voyage_api_key, **kwargs)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises this class."""
        return "VoyageContextualEmbedding"

    def _get_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        _refuse_texts_without_nodes(texts)
        return super()._get_text_embeddings(texts, show_progress)

    async def _aget_text_embeddings(
        self, texts: list[str], show_progress: bool = False
    ) -> list[Embedding]:
        _refuse_texts_without_nodes(texts)
        return await super()._aget_text_embeddings(texts, show_progress)


def _refuse_texts_without_nodes(texts: list[str]) -> None:
    if len(texts) > 1 and not are_of_one_document():
        raise InvalidInputError(REMEDY)
