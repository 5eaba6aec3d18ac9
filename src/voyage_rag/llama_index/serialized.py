"""The parameters of a transformation, and the cache key that LlamaIndex derives from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHANGING_VECTORS = (
    "class_name",
    "model_name",
    "model",
    "truncation",
    "output_dtype",
    "output_dimension",
    "empty_text",
    "invalid_text",
    "text_input_type",
    "downscale",
    "chunk_size",
    "chunk_overlap",
    "include_metadata",
    "include_prev_next_rel",
)
"""Parameters that affect nodes and their vectors, besides the address of the service."""


class SerializedComponent(dict[str, Any]):
    """The parameters of a transformation. Its `str()` contains only those that affect the nodes.

    LlamaIndex derives the key of its pipeline cache from `str()` of the parameters, so a change of
    a timeout, rate limit or API key must not change it.
    """

    def __init__(self, parameters: Mapping[str, Any], base_url: str) -> None:
        super().__init__(parameters)
        self._base_url = base_url

    @property
    def changing_vectors(self) -> dict[str, Any]:
        """The parameters that affect the nodes."""
        parameters = {name: self[name] for name in CHANGING_VECTORS if name in self}
        return parameters | {"base_url": self._base_url}

    def __repr__(self) -> str:
        return repr(self.changing_vectors)
