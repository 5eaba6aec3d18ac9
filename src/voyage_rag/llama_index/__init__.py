"""LlamaIndex classes, compatible with those of LlamaIndex's Voyage packages.

- `VoyageEmbedding` embeds texts, images and videos.
- `VoyageContextualEmbedding` embeds nodes in the context of their documents.
- `VoyageAutoChunker` lets the service split and embed documents.
- `VoyageAIRerank` is a node postprocessor.
"""

from typing import TYPE_CHECKING

from voyage_rag.deferred import deferred

try:
    import llama_index.core  # noqa: F401 - to say which extra is missing
except ImportError as error:
    raise ImportError(
        "voyage_rag.llama_index needs llama-index-core: pip install 'voyage-rag[llama-index]'"
    ) from error

if TYPE_CHECKING:
    from voyage_rag.llama_index.auto_chunker import VoyageAutoChunker
    from voyage_rag.llama_index.contextual import VoyageContextualEmbedding
    from voyage_rag.llama_index.embeddings import VoyageEmbedding
    from voyage_rag.llama_index.rerank import VoyageAIRerank

__all__ = ["VoyageAIRerank", "VoyageAutoChunker", "VoyageContextualEmbedding", "VoyageEmbedding"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = deferred(
        __name__, __all__, ["embeddings", "rerank", "contextual", "auto_chunker"]
    )
