"""Servers that speak OpenAI's API: vLLM, Text Embeddings Inference, infinity, llama.cpp, Ollama.

They know `input`, `model` and `encoding_format`. What else the Voyage API does is done here:
prompts before the texts, fewer dimensions, and signs for the binary number types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from voyage_rag.errors import ConfigurationError, InvalidInputError, InvalidRequestError
from voyage_rag.hosts.failures import ErrorDetail, error_detail
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.hosts.numbers import PROMPTS, convert, dimension_of, with_prompt
from voyage_rag.secret import as_key, hidden

MAX_NAMES = 5
LOCAL_DTYPES = ("float", "binary", "ubinary")

TOO_MANY_INPUTS = re.compile(
    r"batch size.{0,80}(max|exceed|limit|larger)|too many (inputs|texts)|payload.{0,20}large",
    re.IGNORECASE,
)
INPUT_TOO_LONG = re.compile(
    r"too large to process|context (size|length|window)|maximum.{0,30}tokens", re.IGNORECASE
)
"""Words of llama.cpp, vLLM and Text Embeddings Inference."""


class OpenAICompatible(Host):
    """A server with OpenAI's `/embeddings`.

    Args:
        base_url: Address, up to and including `/v1` where the server has it.
        api_key: The key; None where the server wants none.
        batch_size: Texts in one request; servers refuse more than they were started for.
        prompts: What to put before a text by its `input_type`; Voyage's prompts unless given, and
            `{}` for none, where the server adds them or the model has none.
        allow_insecure_http: Let key and texts travel over plain http to another machine.

    Raises:
        ConfigurationError: The address or the key cannot work.
    """

    name = "the OpenAI-compatible server"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset({"input", "model", "encoding_format"})
    ignored_fields: ClassVar[frozenset[str]] = frozenset(
        {"input_type", "output_dimension", "output_dtype"}
    )
    rewrites_responses = True

    def __init__(
        self,
        base_url: str,
        api_key: object = None,
        *,
        batch_size: int = 32,
        prompts: Mapping[str, str] = PROMPTS,
        allow_insecure_http: bool = False,
    ) -> None:
        api_key = hidden(api_key)
        key = None if api_key is None else as_key(api_key)
        super().__init__(base_url, key, allow_insecure_http=allow_insecure_http)
        if batch_size < 1:
            raise ConfigurationError(f"batch_size must be at least 1, not {batch_size}")
        self.request_inputs = batch_size
        self.prompts: dict[str, str] = dict(prompts)

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Refuse an endpoint that is not there, or a number type that cannot be made here.

        Raises:
            InvalidInputError: It is one of them.
        """
        super().require(endpoint, fields)
        require_local_dtype(self.name, (fields or {}).get("output_dtype"))

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """The request document, with prompts before the texts."""
        texts = with_prompt(fields["input"], fields.get("input_type"), self.prompts)
        return super().encode(endpoint, {**fields, "input": texts})

    def decode(self, request: Request, document: Any) -> Any:
        """The response with vectors of the dimension and number type that were asked for."""
        asked = request.fields
        dimension = dimension_of(request.model, asked.get("output_dimension"))
        dtype = asked.get("output_dtype") or "float"
        items = document.get("data") if isinstance(document, dict) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                item["embedding"] = convert(item.get("embedding"), dimension, dtype)
        return document

    def probe(self) -> Request:
        """The list of models, which most servers have."""
        return Request("/models", b"", "", 0, method="GET")

    def describe(self, response: Response) -> str:
        """The names of the models."""
        try:
            names = [str(model["id"]) for model in json.loads(response.body)["data"]]
        except (ValueError, KeyError, TypeError):
            return ""
        return f"serves {', '.join(names[:MAX_NAMES])}" if names else "serves no model"

    @property
    def cache_scope(self) -> str:
        """The address and the prompts, which the vectors depend on."""
        prompts = "" if self.prompts == PROMPTS else repr(sorted(self.prompts.items()))
        return f"{self.base_url.partition('://')[2]}{prompts}"

    def error(self, response: Response) -> ErrorDetail:
        """What a response says; servers differ in the status of an input that is too long."""
        detail = error_detail(
            response,
            {
                401: "pass the api_key that the server was started with",
                404: "check base_url, which ends in /v1 for most servers, and that the model is "
                "loaded there",
            },
        )
        if TOO_MANY_INPUTS.search(detail.message):
            return replace(
                detail,
                error_class=InvalidRequestError,
                is_too_large=True,
                remedy="pass a smaller batch_size",
            )
        if INPUT_TOO_LONG.search(detail.message):
            return replace(detail, error_class=InvalidRequestError, remedy="split the text")
        return detail


def require_local_dtype(name: str, dtype: object) -> None:
    """Refuse a number type that needs the service's own calibration.

    Raises:
        InvalidInputError: It is one of those.
    """
    if dtype is not None and dtype not in LOCAL_DTYPES:
        raise InvalidInputError(
            f"{name} gives floats, of which no output_dtype {dtype!r} can be made: it has "
            f"{', '.join(map(repr, LOCAL_DTYPES))}"
        )
