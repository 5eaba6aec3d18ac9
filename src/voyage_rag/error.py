"""The names of `voyageai.error`, so that `except voyageai.error.RateLimitError` stays as it is.

`voyage_rag.errors` has the tree of what is raised; here are the vendor's names for it.
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
"""The vendor's for a 422."""

VideoProcessingError = InvalidInputError
"""The vendor's for a video that cannot be read."""


class TryAgain(VoyageError):  # noqa: N818 - the vendor's name
    """Raised by nobody, neither here nor there."""


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
