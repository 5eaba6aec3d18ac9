"""LlamaIndex classes: `VoyageEmbedding`, `VoyageContextualEmbedding` and `VoyageAIRerank`.

Drop-in for `llama_index.embeddings.voyageai` and `llama_index.postprocessor.voyageai_rerank`.
"""

try:
    import llama_index.core  # noqa: F401 - the door: say which extra is missing
except ImportError as error:
    raise ImportError(
        "voyage_rag.llama_index needs llama-index-core: pip install 'voyage-rag[llama-index]'"
    ) from error

from voyage_rag.llama_index.contextual import VoyageContextualEmbedding
from voyage_rag.llama_index.embeddings import VoyageEmbedding
from voyage_rag.llama_index.rerank import VoyageAIRerank

__all__ = ["VoyageAIRerank", "VoyageContextualEmbedding", "VoyageEmbedding"]
