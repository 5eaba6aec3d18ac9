"""AIMLAPI, a gateway that serves older Voyage models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from voyage_rag.hosts.voyage import VoyageAPI

HOSTNAME = "api.aimlapi.com"


class AIMLAPI(VoyageAPI):
    """The gateway api.aimlapi.com.

    Source: aimlapi/api-docs, page "voyage-2". Its schema has `input`, `model` and an `input_type`
    whose only value, "document", is the default; usage may be null. A list may contain texts of 800
    characters, a single string 8,000. The maximum length of a list is not documented; 128 was
    Voyage's own limit for these models.

    Args:
        api_key: The key for AIMLAPI.
        base_url: Base URL. Default: `https://api.aimlapi.com/v1`.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.hosts import AIMLAPI
        >>> voyage = Voyage(host=AIMLAPI("1234567890"))
    """

    name = HOSTNAME
    default_base_url: ClassVar[str | None] = f"https://{HOSTNAME}/v1"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset({"input", "model"})
    ignored_fields: ClassVar[frozenset[str]] = frozenset({"encoding_format", "input_type"})
    request_inputs = 128
    list_text_chars: int | None = 800
    text_chars: int | None = 8_000

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """Return the request document. A single text is sent as a string, which may be longer."""
        texts = fields["input"]
        alone = texts[0] if len(texts) == 1 else texts
        return super().encode(endpoint, {**fields, "input": alone})
