"""Gateways that serve Voyage models, and a table of what each supports.

Sources: the API references of OpenRouter, Vercel's AI Gateway and LiteLLM's proxy, November 2026.
As for any OpenAI-compatible server, the client adds prompts to the texts, because gateways differ
in the field that requests them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.conversion import PROMPTS, with_prompt
from voyage_rag.hosts.host import COMPACT
from voyage_rag.hosts.messages import Request
from voyage_rag.hosts.openai_compatible import EncodingFormat, OpenAICompatible

BATCH_SIZE = 128


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """The properties of a gateway.

    Attributes:
        title: Its name in messages.
        base_url: Its address; None for a self-hosted gateway.
        prefix: The prefix that it adds to the names of Voyage's models.
        has_rerank: Whether it has a `/rerank` endpoint in Cohere's format (`top_n`, `results`).
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
    """A gateway such as OpenRouter, Vercel's AI Gateway or LiteLLM's proxy.

    Args:
        gateway: Name of the gateway in `GATEWAYS`.
        api_key: Your key for the gateway.
        base_url: Address of a self-hosted gateway.
        prefix: The prefix that the gateway adds to the names of Voyage's models, if it has changed.
        prompts: The prompt to put before a text for each `input_type`. Default: Voyage's prompts.
            Pass `{}` for models of other providers, which have none or others.
        encoding_format: How the gateway returns vectors; see `OpenAICompatible`. Pass None if it
            passes the field to a provider that refuses it, such as LiteLLM to Bedrock or Vertex AI.
        allow_insecure_http: Allow sending key and texts over plain HTTP to another machine.

    Raises:
        ConfigurationError: The gateway is unknown, or the address, the key or an option is invalid.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.hosts import Gateway
        >>> voyage = Voyage(host=Gateway("openrouter", "sk-or-1234567890"))
    """

    def __init__(
        self,
        gateway: str,
        api_key: object = None,
        *,
        base_url: str | None = None,
        prefix: str | None = None,
        prompts: Mapping[str, str] = PROMPTS,
        encoding_format: EncodingFormat | None = "base64",
        allow_insecure_http: bool = False,
    ) -> None:
        entry = GATEWAYS.get(gateway)
        if entry is None:
            raise ConfigurationError(
                f"unknown gateway {gateway!r}; the gateways are {', '.join(GATEWAYS)}"
            )
        address = entry.base_url if base_url is None else base_url
        if address is None:
            raise ConfigurationError(f"{entry.title} has no default address: pass base_url")
        super().__init__(
            address,
            api_key,
            batch_size=BATCH_SIZE,
            prompts=prompts,
            encoding_format=encoding_format,
            allow_insecure_http=allow_insecure_http,
        )
        self.name: str = entry.title
        self._entry = entry
        self._prefix = entry.prefix if prefix is None else prefix

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Raise an `InvalidInputError` for an endpoint or value that is not supported."""
        if endpoint == "/rerank" and self._entry.has_rerank:
            return
        super().require(endpoint, fields)

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """Return the request document with the gateway's names of fields and of the model."""
        model = str(fields["model"])
        sent: dict[str, Any] = {"model": model if "/" in model else self._prefix + model}
        if endpoint == "/rerank":
            sent |= {"query": fields["query"], "documents": fields["documents"]}
            optional = {"top_n": fields.get("top_k")}
        else:
            texts = with_prompt(fields["input"], fields.get("input_type"), self.prompts)
            sent["input"] = texts
            optional = {
                "encoding_format": self.encoding_format,
                "dimensions": fields.get("output_dimension"),
            }
        sent |= {name: value for name, value in optional.items() if value is not None}
        return COMPACT.encode(sent).encode()

    def decode(self, request: Request, document: Any) -> Any:
        """Return the response in Voyage's format.

        Some providers ignore `top_n` and rank all documents; the best ones are kept.
        """
        if request.path != "/rerank":
            return super().decode(request, document)
        if isinstance(document, dict) and isinstance(document.get("results"), list):
            results, top_k = document["results"], request.fields.get("top_k")
            if top_k is not None and len(results) > top_k:
                results = best(results, top_k, request.inputs)
            return {**document, "data": results}
        return document


def best(results: list[Any], count: int, documents: int) -> list[Any]:
    """Return the results with the highest scores if all documents are ranked, else all results."""
    try:
        has_all = sorted(one["index"] for one in results) == list(range(documents))
        scores_are_valid = all(isfinite(one["relevance_score"]) for one in results)
    except (KeyError, TypeError):
        return results
    if not (has_all and scores_are_valid):
        return results
    return sorted(results, key=lambda one: -one["relevance_score"])[:count]
