"""The names of `voyageai.error`, so that `except voyageai.error.RateLimitError` works unchanged.

`voyage_rag.errors` defines the classes.
"""

from voyage_rag.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    InvalidInputError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    Timeout,
    VoyageError,
)

MalformedRequestError = InvalidRequestError
"""The name in `voyageai` for a 422 response."""

VideoProcessingError = InvalidInputError
"""The name in `voyageai` for a video that cannot be read."""


class TryAgain(VoyageError):  # noqa: N818 - the vendor's name
    """Exists for compatibility. Neither package raises it."""


__all__ = [
    "APIConnectionError",
    "APIError",
    "AuthenticationError",
    "InvalidRequestError",
    "MalformedRequestError",
    "RateLimitError",
    "ServerError",
    "ServiceUnavailableError",
    "Timeout",
    "TryAgain",
    "VideoProcessingError",
    "VoyageError",
]
