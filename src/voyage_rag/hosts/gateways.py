"""Gateways that serve Voyage models: a table of what each understands.

Sources: the API references of OpenRouter, Vercel's AI Gateway and LiteLLM's proxy, November 2026.
Prompts are put before texts here, as with any OpenAI-compatible server, since gateways disagree
about the field that asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.host import COMPACT
from voyage_rag.hosts.messages import Request
from voyage_rag.hosts.numbers import with_prompt
from voyage_rag.hosts.openai_compatible import OpenAICompatible

BATCH_SIZE = 128


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """What is known of a gateway.

    Attributes:
        title: Its name in messages.
        base_url: Its address, None where everybody runs their own.
        prefix: What it puts before the names of Voyage's models.
        has_rerank: Whether it has a `/rerank` in Cohere's shape (`top_n`, `results`).
    """

    title: str
    base_url: str | None
    prefix: str
    has_rerank: bool


GATEWAYS: Mapping[str, GatewayEntry] = {
    "openrouter": GatewayEntry(
        "OpenRouter", "https://openrouter.ai/api/v1", "mongodb/", has_rerank=True
    ),
    "vercel": GatewayEntry(
        "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1", "voyage/", has_rerank=False
    ),
    "litellm": GatewayEntry("the LiteLLM proxy", None, "voyage/", has_rerank=True),
}


class Gateway(OpenAICompatible):
    """A gateway of the table.

    Args:
        gateway: Its name in `GATEWAYS`.
        api_key: Your key of the gateway.
        base_url: Its address, where everybody runs their own.
        prefix: What it puts before the names of Voyage's models, if that has changed.
        allow_insecure_http: Let key and texts travel over plain http to another machine.

    Raises:
        ConfigurationError: There is no such gateway, or the address or the key cannot work.
    """

    def __init__(
        self,
        gateway: str,
        api_key: object = None,
        *,
        base_url: str | None = None,
        prefix: str | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        entry = GATEWAYS.get(gateway)
        if entry is None:
            raise ConfigurationError(f"no gateway {gateway!r}; there are {', '.join(GATEWAYS)}")
        if base_url is None and entry.base_url is None:
            raise ConfigurationError(f"{entry.title} has no address of its own: pass base_url")
        super().__init__(
            base_url or entry.base_url or "",
            api_key,
            batch_size=BATCH_SIZE,
            allow_insecure_http=allow_insecure_http,
        )
        self.name: str = entry.title
        self._entry = entry
        self._prefix = entry.prefix if prefix is None else prefix

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Refuse an endpoint or a field that the gateway lacks.

        Raises:
            InvalidInputError: It is one of them.
        """
        if endpoint == "/rerank" and self._entry.has_rerank:
            return
        super().require(endpoint, fields)

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """The request document, with the gateway's names of fields and of the model."""
        model = str(fields["model"])
        sent: dict[str, Any] = {"model": model if "/" in model else self._prefix + model}
        if endpoint == "/rerank":
            sent |= {"query": fields["query"], "documents": fields["documents"]}
            optional = {"top_n": fields.get("top_k")}
        else:
            texts = with_prompt(fields["input"], fields.get("input_type"), self.prompts)
            sent |= {"input": texts, "encoding_format": "base64"}
            optional = {"dimensions": fields.get("output_dimension")}
        sent |= {name: value for name, value in optional.items() if value is not None}
        return COMPACT.encode(sent).encode()

    def decode(self, request: Request, document: Any) -> Any:
        """The response in Voyage's shape."""
        if request.path != "/rerank":
            return super().decode(request, document)
        if isinstance(document, dict) and isinstance(document.get("results"), list):
            return {**document, "data": document["results"]}
        return document
