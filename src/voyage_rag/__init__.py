"""Voyage AI embeddings and rerankers for LangChain, LlamaIndex and plain Python.

`Voyage` is the client. `voyage_rag.langchain` and `voyage_rag.llama_index` contain the classes for
these frameworks. `Client` and `AsyncClient` have the interface of the `voyageai` package, so
existing code needs a different import only.

    >>> from voyage_rag import Voyage
    >>> Voyage().embed(["Hello, world"], model="voyage-4", input_type="document")
    EmbeddingsObject(...)
"""

from typing import TYPE_CHECKING

from voyage_rag._version import __version__
from voyage_rag.deferred import deferred

if TYPE_CHECKING:
    from voyage_rag import error
    from voyage_rag.client import Voyage
    from voyage_rag.drop_in import AsyncClient, Client
    from voyage_rag.errors import (
        APIConnectionError,
        APIError,
        AuthenticationError,
        CacheError,
        ConfigurationError,
        InvalidInputError,
        InvalidRequestError,
        PermissionDeniedError,
        QuotaExhaustedError,
        RateLimitError,
        ServerError,
        ServiceUnavailableError,
        Timeout,
        UnexpectedAnswerError,
        VoyageError,
    )
    from voyage_rag.media import Image, Video
    from voyage_rag.partial import (
        PartialContextualizedEmbeddings,
        PartialEmbeddings,
        PartialRanking,
    )
    from voyage_rag.records import Batch, BatchFault, BatchLine, File, LineFailure
    from voyage_rag.types import (
        ContextualizedEmbeddingsObject,
        ContextualizedEmbeddingsResult,
        EmbeddingsObject,
        MultimodalEmbeddingsObject,
        RerankingObject,
        RerankingResult,
        Vectors,
    )
    from voyage_rag.usage import Usage

__all__ = [
    "APIConnectionError",
    "APIError",
    "AsyncClient",
    "AuthenticationError",
    "Batch",
    "BatchFault",
    "BatchLine",
    "CacheError",
    "Client",
    "ConfigurationError",
    "ContextualizedEmbeddingsObject",
    "ContextualizedEmbeddingsResult",
    "EmbeddingsObject",
    "File",
    "Image",
    "InvalidInputError",
    "InvalidRequestError",
    "LineFailure",
    "MultimodalEmbeddingsObject",
    "PartialContextualizedEmbeddings",
    "PartialEmbeddings",
    "PartialRanking",
    "PermissionDeniedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "RerankingObject",
    "RerankingResult",
    "ServerError",
    "ServiceUnavailableError",
    "Timeout",
    "UnexpectedAnswerError",
    "Usage",
    "Vectors",
    "Video",
    "Voyage",
    "VoyageError",
    "__version__",
    "error",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = deferred(
        __name__,
        __all__,
        ["error", "errors", "types", "usage", "partial", "media", "records", "client", "drop_in"],
    )
