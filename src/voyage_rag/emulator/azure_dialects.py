"""Azure: models deployed from AI Foundry, and the managed application.

Sources: "Azure" in Voyage's documentation, and "Troubleshoot online endpoints" in Azure's. The
texts of Azure's own errors are guesses.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request

from voyage_rag.emulator.arguments import EmulatedEndpoint, RejectedRequest, authenticate
from voyage_rag.emulator.dialects import (
    ENDPOINTS,
    MODEL_ENDPOINTS,
    EmulatedDialect,
    add_model,
)
from voyage_rag.emulator.responses import EmulatedResponse, Payload

_CARD_SUFFIXES = ("-embedding-model", "-reranker-model")


class _AzureDialect(EmulatedDialect):
    base_path = ""
    has_files = False
    checks_key_first = True
    of_voyage = False


class AzureFoundryDialect(_AzureDialect):
    """A deployment from Azure AI Foundry: `POST /embeddings` with a key.

    A model is called by its own name or that of its card, such as `voyage-4-large-embedding-model`.
    Its errors have status 424, with the original status in a header.
    """

    def paths(self) -> Mapping[str, EmulatedEndpoint | None]:
        """Return the paths of the Voyage API without `/v1`."""
        return {endpoint.path.removeprefix("/v1"): endpoint for endpoint in ENDPOINTS}

    def authenticate(self, headers: Headers) -> str:
        """Return the key of the header `api-key` or `Authorization`."""
        bearer = headers.get("authorization")
        if bearer is None and "api-key" in headers:
            bearer = f"Bearer {headers['api-key']}"
        return authenticate(bearer, self.options.keys)

    def translate(
        self, request: Request, body: Any, endpoint: EmulatedEndpoint | None
    ) -> tuple[EmulatedEndpoint, Any]:
        """Replace the name of a card with that of its model."""
        if isinstance(body, dict) and isinstance(name := body.get("model"), str):
            for suffix in _CARD_SUFFIXES:
                name = name.removesuffix(suffix)
            body = body | {"model": name}
        return super().translate(request, body, endpoint)

    def reject(self, rejected: RejectedRequest) -> EmulatedResponse:
        """Return an error of Azure, or one of the model as Azure reports it."""
        body = orjson.dumps(rejected.body)
        if rejected.status in {401, 404, 429}:
            return self.respond(rejected.status, body, rejected.headers)
        headers = {
            "ms-azureml-model-error-reason": "model_error",
            "ms-azureml-model-error-statuscode": str(rejected.status),
        }
        return self.respond(424, body, headers)


class AzureApplicationDialect(_AzureDialect):
    """The managed application: one model, without a key and without `/v1`."""

    methods = ("GET", "POST")  # the documentation shows a GET with a body, older pages a POST

    @property
    def _model(self) -> str:
        return self.options.served_model or "voyage-4"

    def paths(self) -> Mapping[str, EmulatedEndpoint | None]:
        """Return the path of its model."""
        endpoint = MODEL_ENDPOINTS[self._model]
        return {endpoint.path.removeprefix("/v1"): endpoint}

    def documents(self) -> Mapping[str, Payload]:
        """Return the response of `GET /info`."""
        info: Payload = {
            "model": self._model,
            "model_loaded": True,
            "tokenizer_initialized": True,
            "loading_status": "loaded",
            "gpu_info": {"available": False},
        }
        return {"/info": info}

    def authenticate(self, headers: Headers) -> str:  # noqa: ARG002 - there is no key
        """Accept every client in its network."""
        return ""

    def translate(
        self, request: Request, body: Any, endpoint: EmulatedEndpoint | None
    ) -> tuple[EmulatedEndpoint, Any]:
        """Add the model of the application."""
        return super().translate(request, add_model(body, self._model), endpoint)
