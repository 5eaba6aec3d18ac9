"""LangChain classes, drop-in for those of `langchain_voyageai`.

`VoyageAIEmbeddings`, `VoyageAIMultimodalEmbeddings` and `VoyageAIRerank`; and for chunks with the
context of their documents `ContextualVectorStore`, and `ContextualEmbeddings`, which the first of
them makes. `register` makes `init_embeddings("voyageai:voyage-4")` work.
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
    __getattr__ = deferred(__name__, __all__, MODULES)


def __dir__() -> list[str]:
    return __all__
