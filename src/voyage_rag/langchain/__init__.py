"""LangChain classes, drop-in for those of `langchain_voyageai`.

`VoyageAIEmbeddings`, `VoyageAIMultimodalEmbeddings` and `VoyageAIRerank`; `ContextualEmbeddings` is
made by the first of them.
"""

from typing import TYPE_CHECKING

from voyage_rag.deferred import deferred

try:
    import langchain_core  # noqa: F401 - the door: say which extra is missing
except ImportError as error:
    raise ImportError(
        "voyage_rag.langchain needs langchain-core: pip install 'voyage-rag[langchain]'"
    ) from error

if TYPE_CHECKING:
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

if not TYPE_CHECKING:
    __getattr__ = deferred(__name__, __all__, ["embeddings", "rerank", "multimodal", "contextual"])


def __dir__() -> list[str]:
    return __all__
