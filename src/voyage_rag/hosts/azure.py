"""Azure: models deployed from Azure AI Foundry, and the managed application.

Sources: the models' cards in Azure AI Foundry, and the guides "Azure" of Voyage's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from voyage_rag.errors import ConfigurationError
from voyage_rag.hosts.failures import ErrorDetail, error_detail
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.hosts.numbers import parse_strings
from voyage_rag.secret import as_key, hidden

MODEL_STATUS_HEADER = "ms-azureml-model-error-statuscode"
"""Where Azure's online endpoints give the status of the model (docs: "Troubleshoot")."""

CARD_SUFFIXES = ("-embedding-model", "-reranker-model", "-model")


class AzureFoundry(Host):
    """A deployment of Azure AI Foundry (managed compute): the Voyage API at an address of yours.

    Args:
        endpoint: Address of the endpoint, to which `/embeddings` is appended.
        api_key: The endpoint's key.
        allow_insecure_http: Let the key travel over plain http to another machine.

    Raises:
        ConfigurationError: The address or the key cannot work.
    """

    name = "Azure AI Foundry"
    endpoints: ClassVar[frozenset[str] | None] = frozenset(
        {"/embeddings", "/contextualizedembeddings", "/multimodalembeddings", "/rerank"}
    )

    def __init__(
        self, endpoint: str, api_key: object, *, allow_insecure_http: bool = False
    ) -> None:
        api_key = hidden(api_key)
        for suffix in ("/embeddings", "/score"):
            if isinstance(endpoint, str) and endpoint.rstrip("/").endswith(suffix):
                raise ConfigurationError(f"endpoint ends in {suffix!r}: pass the address before it")
        super().__init__(endpoint, as_key(api_key), allow_insecure_http=allow_insecure_http)

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """The request document; a model may be named as on its card."""
        model = str(fields.get("model", ""))
        for suffix in CARD_SUFFIXES:
            model = model.removesuffix(suffix)
        return super().encode(endpoint, {**fields, "model": model})

    def error(self, response: Response) -> ErrorDetail:
        """What a response says; an error of the model has its status in a header."""
        original = response.headers.get(MODEL_STATUS_HEADER, "")
        if original.isdecimal() and original.isascii():
            response = replace(response, status=int(original[:3]))
        return error_detail(
            response,
            {
                401: "check the endpoint's key",
                403: "check the endpoint's key, and that this network may reach it",
                404: "check the endpoint's address, and that it serves this kind of model",
                424: "the model failed to respond: look at the deployment's logs",
            },
        )


class AzureApplication(Host):
    """The managed application: one model in a virtual network of yours, without a key.

    Args:
        address: Address of the application, without `/v1`.
        allow_insecure_http: Let texts travel over plain http, as inside a virtual network.

    Raises:
        ConfigurationError: The address cannot work, or is plain http without permission.
    """

    name = "the Azure application"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset(
        {"input", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"}
    )
    rewrites_responses = True

    def __init__(self, address: str, *, allow_insecure_http: bool = False) -> None:
        if isinstance(address, str) and address.rstrip("/").endswith("/v1"):
            raise ConfigurationError("address ends in '/v1', which the application does not have")
        super().__init__(address, allow_insecure_http=allow_insecure_http)

    def decode(self, request: Request, document: Any) -> Any:  # noqa: ARG002 - same for all
        """The response with numbers, which some versions write as strings."""
        return parse_strings(document)

    def probe(self) -> Request:
        """What the application says of its model."""
        return Request("/info", b"", "", 0, method="GET")

    def describe(self, response: Response) -> str:
        """Its model, and whether it is loaded."""
        try:
            info = json.loads(response.body)
            state = "loaded" if info["model_loaded"] else f"not loaded ({info['loading_status']})"
            return f"serves {info['model']}, {state}"
        except (ValueError, KeyError, TypeError):
            return ""

    def error(self, response: Response) -> ErrorDetail:
        """What a response says that is not a 200."""
        return error_detail(
            response,
            {
                404: "check the address, and that the application is of this kind of model",
                503: "the model is still being loaded: try again in some minutes",
            },
        )
