"""Servers with OpenAI's API: vLLM, Text Embeddings Inference, infinity, llama.cpp, Ollama.

They support `input`, `model` and `encoding_format`. The client implements other features of the
Voyage API: prompts, fewer dimensions, and signs for the binary number types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeAlias

from voyage_rag.errors import (
    ConfigurationError,
    InvalidInputError,
    InvalidRequestError,
    RateLimitError,
)
from voyage_rag.hosts.conversion import (
    PROMPTS,
    check_equal_lengths,
    checked_batch_size,
    checked_prompts,
    convert,
    dimension_of,
    with_prompt,
)
from voyage_rag.hosts.failures import ErrorDetail
from voyage_rag.hosts.host import Host
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.secret import hidden

MAX_NAMES = 5
LOCAL_DTYPES = ("float", "binary", "ubinary")

EncodingFormat: TypeAlias = Literal["base64", "float"]
ENCODING_FORMATS = (None, "float", "base64")

TOO_MANY_INPUTS = re.compile(
    r"batch size.{0,80}(max|exceed|limit|larger)|payload.{0,20}(large|exceeds)"
    r"|too many (inputs|texts|instances|tokens in batch)|number of texts must be at most"
    r"|at most \d+ requests|instance\(s\) is allowed|maximum item count|tokens per request"
    r"|token count is \d+ but the model supports up to",
    re.IGNORECASE,
)
"""Messages of Text Embeddings Inference, Bedrock, Cohere, Gemini, Mistral, OpenAI and Vertex AI."""

INPUT_TOO_LONG = re.compile(
    r"too large to process|context (size|length|window)|maximum.{0,30}tokens", re.IGNORECASE
)
"""Messages of llama.cpp, OpenAI and vLLM about one text, which not all of them name."""

NOT_A_NUMBER = re.compile(r"unsupported value: NaN", re.IGNORECASE)
"""Ollama's message if the model computes NaN for one of the texts."""

CHANGE_TEXT = "change the text, or load another quantization"

NAMED_INPUT = re.compile(r"\binput\[(\d{1,4})\]")

ENCODING_REFUSED = re.compile(r"encoding_format|embedding_types|base64 encoding", re.IGNORECASE)
"""Messages about the field, which LiteLLM passes to Bedrock as `embedding_types`, and of vLLM."""


class OpenAICompatible(Host):
    """A server with OpenAI's `/embeddings` endpoint.

    Args:
        base_url: Base URL, including `/v1` if the server uses it.
        api_key: The key; None if the server needs none.
        batch_size: Number of texts per request. A server rejects more than it is configured for.
        prompts: The prompt to put before a text for each `input_type`. Default: Voyage's prompts.
            Pass `{}` if the server adds prompts or the model needs none.
        encoding_format: How the server returns vectors, `"base64"` or `"float"`. None omits the
            field, for servers that refuse it. Vectors are read in either format.
        allow_insecure_http: Allow sending key and texts over plain HTTP to another machine.

    Raises:
        ConfigurationError: The address, the key or an option is invalid.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.emulator import Emulator
        >>> from voyage_rag.hosts import OpenAICompatible
        >>> with Emulator(dialect="openai") as url:  # for example http://localhost:8000/v1
        ...     voyage = Voyage(host=OpenAICompatible(url))
        ...     voyage.embed(["Hello, world"], model="voyage-4-nano").vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    name = "the OpenAI-compatible server"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset({"input", "model", "encoding_format"})
    ignored_fields: ClassVar[frozenset[str]] = frozenset(
        {"input_type", "output_dimension", "output_dtype"}
    )
    remedies: ClassVar[Mapping[int, str]] = {
        401: "pass the api_key that the server was started with",
        404: "check base_url, which ends in /v1 for most servers, and that the model is loaded "
        "there",
        405: "check base_url, which ends in /v1 for most servers",
    }

    def __init__(
        self,
        base_url: str,
        api_key: object = None,
        *,
        batch_size: int = 32,
        prompts: Mapping[str, str] = PROMPTS,
        encoding_format: EncodingFormat | None = "base64",
        allow_insecure_http: bool = False,
    ) -> None:
        api_key = hidden(api_key)
        super().__init__(base_url, api_key, allow_insecure_http=allow_insecure_http)
        self.request_inputs = checked_batch_size(batch_size)
        self.prompts: Mapping[str, str] = checked_prompts(prompts)
        if encoding_format not in ENCODING_FORMATS:
            raise ConfigurationError(
                f"encoding_format must be 'base64', 'float' or None, not {encoding_format!r}"
            )
        self.encoding_format: EncodingFormat | None = encoding_format

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Raise an `InvalidInputError` for an endpoint or value that is not supported."""
        super().require(endpoint, fields)
        require_local_dtype(self.name, (fields or {}).get("output_dtype"))

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:
        """Return the request document, with prompts before the texts."""
        texts = with_prompt(fields["input"], fields.get("input_type"), self.prompts)
        sent = {**fields, "input": texts, "encoding_format": self.encoding_format}
        return super().encode(endpoint, sent)

    def decode(self, request: Request, document: Any) -> Any:
        """Return the response with vectors of the requested dimension and number type."""
        asked = request.fields
        dimension = dimension_of(request.model, asked.get("output_dimension"))
        dtype = asked.get("output_dtype") or "float"
        data = document.get("data") if isinstance(document, dict) else None
        items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
        indices = [item.get("index") for item in items]
        is_unnumbered = all(one is None for one in indices) or all(one == 0 for one in indices)
        check_equal_lengths([item.get("embedding") for item in items])
        for index, item in enumerate(items):
            if is_unnumbered:  # some servers keep the order, but send no index or always 0
                item["index"] = index
            if _has_no_numbers(item.get("embedding")):
                raise self._no_numbers(request, item["index"])
            item["embedding"] = convert(item.get("embedding"), dimension, dtype)
        return document

    def _no_numbers(self, request: Request, index: object) -> InvalidRequestError:
        error = InvalidRequestError(
            f"{self.name} returned no numbers for this text ({CHANGE_TEXT}).", model=request.model
        )
        error.input_index = index if isinstance(index, int) else None
        return error

    def probe(self) -> Request:
        """Return a request for the list of models, which most servers support."""
        return Request("/models", b"", "", 0, method="GET")

    def describe(self, response: Response) -> str:
        """Return the names of the models."""
        try:
            names = [str(model["id"]) for model in json.loads(response.body)["data"]]
        except (ValueError, KeyError, TypeError):
            return ""
        return f"serves {', '.join(names[:MAX_NAMES])}" if names else "serves no model"

    @property
    def cache_scope(self) -> str:
        """The address and the prompts, because the vectors depend on them."""
        prompts = "" if self.prompts == PROMPTS else repr(sorted(self.prompts.items()))
        return f"{self.base_url.partition('://')[2]}{prompts}"

    def error(self, response: Response) -> ErrorDetail:
        """Parse an error response. Servers differ in the status for an input that is too long."""
        detail = super().error(response)
        if issubclass(detail.error_class, RateLimitError):
            return detail
        if TOO_MANY_INPUTS.search(detail.message):
            return replace(
                detail,
                error_class=InvalidRequestError,
                is_too_large=True,
                remedy="pass a smaller batch_size",
            )
        if NOT_A_NUMBER.search(detail.message):
            return replace(
                detail,
                error_class=InvalidRequestError,
                is_too_large=True,  # smaller requests find the text
                remedy=CHANGE_TEXT,
            )
        if INPUT_TOO_LONG.search(detail.message):
            named = NAMED_INPUT.search(detail.message)
            return replace(
                detail,
                error_class=InvalidRequestError,
                is_too_large=named is None,  # smaller requests find the text
                input_index=int(named[1]) if named else detail.input_index,
                remedy="split the text",
            )
        if ENCODING_REFUSED.search(detail.message):
            others = [repr(one) for one in ENCODING_FORMATS if one != self.encoding_format]
            remedy = f"pass encoding_format={' or '.join(others)} to {type(self).__name__}"
            return replace(detail, error_class=InvalidRequestError, remedy=remedy)
        return detail


def _has_no_numbers(embedding: object) -> bool:
    """Return whether a vector consists of NaN, or of null, which many servers send for it."""
    if not isinstance(embedding, list) or not embedding:
        return False
    return embedding[0] is None or embedding[0] != embedding[0]


def require_local_dtype(name: str, dtype: object) -> None:
    """Raise an `InvalidInputError` for a number type that requires the service's calibration."""
    if dtype is not None and dtype not in LOCAL_DTYPES:
        raise InvalidInputError(
            f"{name} returns floats, which cannot be converted to {dtype!r}: output_dtype can be "
            f"{', '.join(map(repr, LOCAL_DTYPES))}"
        )
