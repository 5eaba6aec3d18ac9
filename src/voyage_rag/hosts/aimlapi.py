"""AIMLAPI, a gateway that serves older Voyage models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from voyage_rag.hosts.voyage import VoyageAPI

HOSTNAME = "api.aimlapi.com"


class AIMLAPI(VoyageAPI):
    """The gateway api.aimlapi.com.

    Source: aimlapi/api-docs, page "voyage-2". Its schema knows `input`, `model` and an `input_type`
    whose only value, "document", is the default; usage may be null. A list may hold texts of 800
    characters, a single string 8,000. How long a list may be is not documented; 128 was Voyage's
    own limit for these models.
    """

    name = HOSTNAME
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset({"input", "model"})
    ignored_fields: ClassVar[frozenset[str]] = frozenset({"encoding_format", "input_type"})
    request_inputs = 128
    list_text_chars: int | None = 800
    text_chars: int | None = 8_000

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """The request document, with a text that is alone as a string, which may be longer."""
        texts = fields["input"]
        alone = texts[0] if len(texts) == 1 else texts
        return super().encode(endpoint, {**fields, "input": alone})
