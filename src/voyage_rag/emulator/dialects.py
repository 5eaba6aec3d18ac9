"""Services that run Voyage's models: their paths, keys, request and response formats.

`EmulatedDialect` is the Voyage API itself. The other services run the same models behind another
interface: a subclass translates its requests into those of the Voyage API, and the responses back.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request

from voyage_rag.emulator import contextualized, embeddings, multimodal, rerank
from voyage_rag.emulator.arguments import EmulatedEndpoint, RejectedRequest, authenticate
from voyage_rag.emulator.model_limits import (
    CONTEXT_MODELS,
    MULTIMODAL_MODELS,
    RERANK_MODELS,
    TEXT_MODELS,
)
from voyage_rag.emulator.options import EmulatorOptions
from voyage_rag.emulator.responses import EmulatedResponse, Payload, make_response

ENDPOINTS = (
    embeddings.ENDPOINT,
    contextualized.ENDPOINT,
    multimodal.ENDPOINT,
    rerank.ENDPOINT,
)

MODEL_ENDPOINTS: dict[str, EmulatedEndpoint] = {
    **dict.fromkeys(TEXT_MODELS, embeddings.ENDPOINT),
    **dict.fromkeys(CONTEXT_MODELS, contextualized.ENDPOINT),
    **dict.fromkeys(MULTIMODAL_MODELS, multimodal.ENDPOINT),
    **dict.fromkeys(RERANK_MODELS, rerank.ENDPOINT),
}
"""The endpoint of each model."""


class EmulatedDialect:
    """The Voyage API.

    Attributes:
        base_path: The path of the base URL.
        has_files: Whether the service has files and batches.
        checks_key_first: Whether the key is checked before the body.
        of_voyage: Whether responses have the headers of Voyage's own service.
        methods: HTTP methods of the endpoints.
    """

    base_path: ClassVar[str] = "/v1"
    has_files: ClassVar[bool] = True
    checks_key_first: ClassVar[bool] = False
    of_voyage: ClassVar[bool] = True
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def __init__(self, options: EmulatorOptions) -> None:
        self.options = options

    def paths(self) -> Mapping[str, EmulatedEndpoint | None]:
        """Return the endpoint of each path; None if it depends on the request."""
        return {endpoint.path: endpoint for endpoint in ENDPOINTS}

    def documents(self) -> Mapping[str, Payload]:
        """Return the documents that a GET returns, by path."""
        return {}

    def authenticate(self, headers: Headers) -> str:
        """Return the key of a request, or raise `RejectedRequest`."""
        return authenticate(headers.get("authorization"), self.options.keys)

    def translate(
        self,
        request: Request,  # noqa: ARG002 - for subclasses
        body: Any,
        endpoint: EmulatedEndpoint | None,
    ) -> tuple[EmulatedEndpoint, Any]:
        """Return the endpoint and the body of the same request to the Voyage API."""
        return endpoint or embeddings.ENDPOINT, body

    def format(self, payload: Payload, body: Any) -> Payload:  # noqa: ARG002 - for subclasses
        """Convert a payload of the Voyage API to the format of this service."""
        return payload

    def respond(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}
    ) -> EmulatedResponse:
        """Return a response with the headers of the service."""
        return make_response(status, body, headers, of_voyage=self.of_voyage)

    def reject(self, rejected: RejectedRequest) -> EmulatedResponse:
        """Return the error response to a rejected request."""
        return self.respond(rejected.status, orjson.dumps(rejected.body), rejected.headers)


def add_model(body: Any, model: str) -> Any:
    """Return a body with the model, for a service whose requests have none."""
    if not isinstance(body, dict):
        return body
    if "model" in body:
        raise RejectedRequest(400, "Argument 'model' is not supported by our API")
    return body | {"model": model}
