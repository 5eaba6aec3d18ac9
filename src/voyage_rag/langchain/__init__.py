"""LangChain classes, compatible with those of `langchain_voyageai`.

- `VoyageAIEmbeddings` embeds documents and queries.
- `VoyageAIMultimodalEmbeddings` embeds texts, images and videos.
- `VoyageAIRerank` is a document compressor.
- `ContextualVectorStore` adds chunks in the context of their documents to any vector store.
  `ContextualEmbeddings` does the same for code that accepts embeddings only.
- `register` makes `init_embeddings("voyageai:voyage-4")` return an object of this package.
"""

from typing import TYPE_CHECKING

from voyage_rag.deferred import deferred

try:
    import langchain_core  # noqa: F401 - to say which extra is missing
except ImportError as error:
    raise ImportError(
        "voyage_rag.langchain needs langchain-core: pip install 'voyage-rag[langchain]'"
    ) from error

if TYPE_CHECKING:
    from voyage_rag.langchain.contextual import ContextualEmbeddings
    from voyage_rag.langchain.embeddings import VoyageAIEmbeddings
    from voyage_rag.langchain.multimodal import VoyageAIMultimodalEmbeddings
    from voyage_rag.langchain.registration import register
    from voyage_rag.langchain.rerank import VoyageAIRerank
    from voyage_rag.langchain.vectorstore import ContextualVectorStore

__all__ = [
    "ContextualEmbeddings",
    "ContextualVectorStore",
    "VoyageAIEmbeddings",
    "VoyageAIMultimodalEmbeddings",
    "VoyageAIRerank",
    "register",
]

if not TYPE_CHECKING:
    MODULES = ["embeddings", "rerank", "multimodal", "contextual", "vectorstore", "registration"]
    __getattr__, __dir__ = deferred(__name__, __all__, MODULES)
