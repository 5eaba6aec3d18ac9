"""LangChain classes, drop-in for those of `langchain_voyageai`.

`VoyageAIEmbeddings`, `VoyageAIMultimodalEmbeddings` and `VoyageAIRerank`; `ContextualEmbeddings` is
made by the first of them.
"""

try:
    import langchain_core  # noqa: F401 - the door: say which extra is missing
except ImportError as error:
    raise ImportError(
        "voyage_rag.langchain needs langchain-core: pip install 'voyage-rag[langchain]'"
    ) from error

from voyage_rag.langchain.contextual import ContextualEmbeddings
from voyage_rag.langchain.embeddings import VoyageAIEmbeddings
from voyage_rag.langchain.multimodal import VoyageAIMultimodalEmbeddings
from voyage_rag.langchain.rerank import VoyageAIRerank

__all__ = [
    "ContextualEmbeddings",
    "VoyageAIEmbeddings",
    "VoyageAIMultimodalEmbeddings",
    "VoyageAIRerank",
]
