"""Azure: models deployed from Azure AI Foundry, and the managed application.

Sources: the models' cards in Azure AI Foundry, and the guides "Azure" in Voyage's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.conversion import parse_strings
from voyage_rag.hosts.failures import ErrorDetail
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.secret import as_key, hidden

MODEL_STATUS_HEADER = "ms-azureml-model-error-statuscode"
"""The header in which Azure's online endpoints return the model's status (docs: "Troubleshoot")."""

CARD_SUFFIXES = ("-embedding-model", "-reranker-model", "-model")


class AzureFoundry(Host):
    """A deployment in Azure AI Foundry (managed compute): the Voyage API at your own address.

    Args:
        endpoint: Address of the endpoint, to which `/embeddings` is appended.
        api_key: The key of the endpoint.
        allow_insecure_http: Allow sending the key over plain HTTP to another machine.

    Raises:
        ConfigurationError: The address or the key is invalid.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.hosts import AzureFoundry
        >>> with Emulator(dialect="azure-foundry") as url:  # use the address of your endpoint
        ...     voyage = Voyage(host=AzureFoundry(url, "endpoint-key"))
        ...     voyage.embed(["Hello, world"], model="voyage-4").vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    name = "Azure AI Foundry"
    endpoints: ClassVar[frozenset[str] | None] = frozenset(
        {"/embeddings", "/contextualizedembeddings", "/multimodalembeddings", "/rerank"}
    )
    remedies: ClassVar[Mapping[int, str]] = {
        401: "check the endpoint's key",
        403: "check the endpoint's key, and that this network may reach it",
        404: "check the endpoint's address, and that it serves this kind of model",
        424: "the model failed to respond: look at the deployment's logs",
    }

    def __init__(
        self, endpoint: str, api_key: object, *, allow_insecure_http: bool = False
    ) -> None:
        api_key = hidden(api_key)
        for suffix in ("/embeddings", "/score"):
            if isinstance(endpoint, str) and endpoint.rstrip("/").endswith(suffix):
                raise ConfigurationError(f"endpoint ends in {suffix!r}: pass it without this part")
        super().__init__(endpoint, as_key(api_key), allow_insecure_http=allow_insecure_http)

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """Return the request document. The model can also be given by the name on its card."""
        model = str(fields.get("model", ""))
        for suffix in CARD_SUFFIXES:
            model = model.removesuffix(suffix)
        return super().encode(endpoint, {**fields, "model": model})

    def error(self, response: Response) -> ErrorDetail:
        """Parse an error response. For an error of the model, a header contains its status."""
        original = response.headers.get(MODEL_STATUS_HEADER, "")
        if original.isdecimal() and original.isascii():
            response = replace(response, status=int(original[:3]))
        return super().error(response)


class AzureApplication(Host):
    """The managed application: one model in your virtual network, without a key.

    Args:
        address: Address of the application, without `/v1`.
        allow_insecure_http: Allow sending texts over plain HTTP, for example within a virtual
            network.

    Raises:
        ConfigurationError: The address is invalid, or uses plain HTTP without permission.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.hosts import AzureApplication
        >>> with Emulator(dialect="azure-application") as url:  # use your application's address
        ...     voyage = Voyage(host=AzureApplication(url))
        ...     voyage.embed(["Hello, world"], model="voyage-4").vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    name = "the Azure application"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset(
        {"input", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"}
    )
    remedies: ClassVar[Mapping[int, str]] = {
        404: "check the address, and that the application serves this kind of model",
        503: "the model is still being loaded: try again in a few minutes",
    }

    def __init__(self, address: str, *, allow_insecure_http: bool = False) -> None:
        if isinstance(address, str) and address.rstrip("/").endswith("/v1"):
            raise ConfigurationError("address ends in '/v1': pass it without this part")
        super().__init__(address, allow_insecure_http=allow_insecure_http)

    def decode(self, request: Request, document: Any) -> Any:  # noqa: ARG002 - same for all
        """Return the response with numbers, which some versions send as strings."""
        return parse_strings(document)

    def probe(self) -> Request:
        """Return a request for information about the model."""
        return Request("/info", b"", "", 0, method="GET")

    def describe(self, response: Response) -> str:
        """Return the model, and whether it is loaded."""
        try:
            info = json.loads(response.body)
            state = "loaded" if info["model_loaded"] else f"not loaded ({info['loading_status']})"
            return f"serves {info['model']}, {state}"
        except (ValueError, KeyError, TypeError):
            return ""
