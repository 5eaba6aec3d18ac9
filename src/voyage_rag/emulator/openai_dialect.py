"""Servers compatible with OpenAI: `POST /v1/embeddings` with `input`, `model`, `encoding_format`.

Source: "Embeddings" in OpenAI's API reference, and the servers vLLM, Text Embeddings Inference and
llama.cpp, whose model is `voyage-4-nano`. Vectors have 2,048 dimensions. A text that begins with
one of Voyage's prompts has the input type of that prompt.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import embeddings
from voyage_rag.emulator.arguments import EmulatedEndpoint, RejectedRequest
from voyage_rag.emulator.dialects import EmulatedDialect
from voyage_rag.emulator.model_limits import TEXT_MODELS
from voyage_rag.emulator.responses import EmulatedResponse, Payload

LOCAL_MODEL, LOCAL_MODEL_STAND_IN = "voyage-4-nano", "voyage-4-lite"
"""A model to run locally, and the model whose vectors the emulator returns for it."""

PROMPTS = {
    "query": "Represent the query for retrieving supporting documents: ",
    "document": "Represent the document for retrieval: ",
}

_ARGUMENTS = (
    args.Argument("input", args.text_or_texts, required=True),
    args.Argument("model", args.text, required=True),
    args.Argument("encoding_format", args.one_of("float", "base64"), default="float"),
)


class OpenAIDialect(EmulatedDialect):
    """A server compatible with OpenAI, which needs a key only if `keys` are given."""

    has_files = False
    checks_key_first = True
    of_voyage = False

    def paths(self) -> Mapping[str, EmulatedEndpoint | None]:
        """Return the only path."""
        return {embeddings.ENDPOINT.path: embeddings.ENDPOINT}

    def documents(self) -> Mapping[str, Payload]:
        """Return the list of models."""
        model = self.options.served_model or LOCAL_MODEL
        listed = {"id": model, "object": "model", "created": 0, "owned_by": "emulator"}
        return {"/v1/models": {"object": "list", "data": [listed]}}

    def authenticate(self, headers: Headers) -> str:
        """Return the key, or an empty string if no key is needed and none was sent."""
        if self.options.keys is None:
            return headers.get("authorization", "")
        return super().authenticate(headers)

    def translate(
        self,
        request: Request,  # noqa: ARG002 - as its base
        body: Any,
        endpoint: EmulatedEndpoint | None,  # noqa: ARG002
    ) -> tuple[EmulatedEndpoint, Any]:
        """Convert prompts to an input type, and reject fields that are not part of OpenAI's API."""
        arguments = args.check_arguments(body, _ARGUMENTS)
        requested = arguments["model"]
        name = requested.rpartition("/")[2]
        name = LOCAL_MODEL_STAND_IN if name == LOCAL_MODEL else name
        if name not in TEXT_MODELS:
            raise RejectedRequest(404, f"The model `{requested}` does not exist.")
        texts = arguments["input"]
        texts = [texts] if isinstance(texts, str) else texts
        input_type = _input_type_of(texts)
        prompt = PROMPTS[input_type] if input_type else ""
        voyage_body = {
            "input": [text.removeprefix(prompt) for text in texts],
            "model": name,
            "input_type": input_type,
            "truncation": False,
        }
        if TEXT_MODELS[name].is_flexible:
            voyage_body["output_dimension"] = TEXT_MODELS[name].dimensions[-1]
        if arguments["encoding_format"] == "base64":
            voyage_body["encoding_format"] = "base64"
        return embeddings.ENDPOINT, voyage_body

    def format(self, payload: Payload, body: Any) -> Payload:
        """Remove `text`, add `prompt_tokens`, and name the model as in the request."""
        for item in payload["data"]:
            item.pop("text")
        tokens = payload["usage"]["total_tokens"]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return payload | {"model": body["model"], "usage": usage}

    def reject(self, rejected: RejectedRequest) -> EmulatedResponse:
        """Return an error in OpenAI's format."""
        error = {
            "message": str(rejected),
            "type": "rate_limit_error" if rejected.status == 429 else "invalid_request_error",  # noqa: PLR2004
            "param": None,
            "code": _ERROR_CODES.get(rejected.status),
        }
        return self.respond(rejected.status, orjson.dumps({"error": error}), rejected.headers)


_ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def _input_type_of(texts: list[str]) -> str | None:
    """Return the input type whose prompt every text begins with, or None."""
    for input_type, prompt in PROMPTS.items():
        if all(text.startswith(prompt) for text in texts):
            return input_type
    return None
