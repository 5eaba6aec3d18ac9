"""POST /v1/contextualizedembeddings. Source: "Contextualized chunk embeddings" in Voyage's docs.

A chunk's vector is shifted towards the rest of its own document. It does not depend on the other
documents of the request. The only chunk of a document depends on itself only.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import model_limits, vectors
from voyage_rag.emulator.embeddings import embedding_item, make_vectors
from voyage_rag.emulator.model_limits import CONTEXT_MODELS, MAX_CHUNKS
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer

CHUNKER_VERSION = "1.0.0"
"""The version in responses to auto chunking."""

_DEFAULT_CHUNK_TOKENS = 512
_CONTEXT_WEIGHT = 0.35  # of the rest of the document; a chunk's own weight is one

_TOO_LONG_HINT = (
    "Contextualized chunk embeddings do not support truncation. Either lower the number of tokens "
    "in the listed example(s), or pass `enable_auto_chunking=true` with "
    '`input_type="document"` and one string per input to have the server split oversize documents.'
)


def _check_inputs(value: Any) -> str | None:
    """Accept lists of strings, or strings, none of which is empty."""
    if not isinstance(value, list) or not value:
        return args.EMPTY if value == [] else _WRONG_INPUTS
    if all(isinstance(item, str) for item in value):
        return args.texts(value)
    clauses = [args.texts(item) if isinstance(item, list) else _WRONG_INPUTS for item in value]
    return next(filter(None, clauses), None)


_WRONG_INPUTS = "Error for argument '{}': Input should be a valid list of lists of strings"


def _check_together(arguments: args.ArgumentValues) -> None:
    """Reject arguments that exclude each other. The wordings are guesses."""
    inputs, automatic = arguments["inputs"], arguments["enable_auto_chunking"]
    flat, query = isinstance(inputs[0], str), arguments["input_type"] == "query"
    reasons: list[tuple[str, str]] = []
    if flat and not query and not automatic:
        reasons.append(("inputs", "Input should be a list of lists of strings"))
    if not flat and (query or automatic) and any(len(chunks) > 1 for chunks in inputs):
        reasons.append(("inputs", "Each inner list must contain exactly one string"))
    if automatic and arguments["input_type"] != "document":
        reasons.append(("enable_auto_chunking", "It requires input_type to be 'document'"))
    reasons += [
        (name, "It requires enable_auto_chunking to be true")
        for name in ("chunk_size", "chunk_overlap")
        if arguments[name] is not None and not automatic
    ]
    if (arguments["chunk_overlap"] or 0) >= (arguments["chunk_size"] or _DEFAULT_CHUNK_TOKENS):
        reasons.append(("chunk_overlap", "It must be less than chunk_size"))
    if reasons:
        args.reject_arguments(
            [f"Error for argument '{name}': Value error, {reason}" for name, reason in reasons]
        )


def _accept(arguments: args.ArgumentValues, tokens: EmulatedTokenizer) -> args.AcceptedRequest:
    name, automatic = arguments["model"], arguments["enable_auto_chunking"]
    model = model_limits.find_model(name, CONTEXT_MODELS)
    model_limits.check_output(arguments, model)
    documents = [[item] if isinstance(item, str) else item for item in arguments["inputs"]]
    model_limits.check_input_count(name, len(documents))
    costs = [sum(map(tokens.count, chunks)) for chunks in documents]
    for index, cost in enumerate(costs):
        if cost > model.context and not automatic:
            model_limits.reject_length(name, index, model.context, _TOO_LONG_HINT)
    # A document is one text, so the input type saves one token per document, not per chunk.
    billed = sum(costs) - len(documents) * (arguments["input_type"] is not None)
    model_limits.check_request_tokens(name, billed, model.batch)
    if automatic:
        size = arguments["chunk_size"] or _DEFAULT_CHUNK_TOKENS
        overlap = arguments["chunk_overlap"] or 0
        documents = [tokens.split(chunks[0], size, overlap) for chunks in documents]
    chunk_count = sum(map(len, documents))
    if chunk_count > MAX_CHUNKS:
        message = f"The chunk limit is {MAX_CHUNKS}. Your batch has {chunk_count} chunks."
        model_limits.reject(name, message)
    as_base64 = arguments["encoding_format"] is not None

    def compute() -> Payload:
        rows = np.concatenate([sketch_document(chunks) for chunks in documents])
        numbers = make_vectors(rows, list(chain(*documents)), arguments, model, as_base64=as_base64)
        payload: Payload = {
            "object": "list",
            "data": _nest(numbers, documents, with_text=automatic),
            "model": name,
        }
        if automatic:
            payload["chunker_version"] = CHUNKER_VERSION
        return payload | {"usage": {"total_tokens": billed}}

    return args.AcceptedRequest(name, billed, as_base64, compute)


def sketch_document(chunks: Sequence[str]) -> vectors.Floats:
    """Return one unit vector per chunk, shifted towards its document, (chunks, 2048)."""
    own = vectors.sketch(chunks)
    if len(chunks) == 1:
        return own
    rest = own.sum(axis=0) - own
    return vectors.normalise(own + _CONTEXT_WEIGHT * vectors.normalise(rest))


def _nest(rows: Any, documents: Sequence[Sequence[str]], *, with_text: bool) -> list[Payload]:
    ends = np.cumsum([0, *map(len, documents)]).tolist()
    return [
        {
            "object": "list",
            "data": [
                embedding_item(index, row, text if with_text else None)
                for index, (row, text) in enumerate(zip(rows[start:end], chunks, strict=True))
            ],
            "index": document,
        }
        for document, (chunks, (start, end)) in enumerate(
            zip(documents, pairwise(ends), strict=True)
        )
    ]


ENDPOINT = args.EmulatedEndpoint(
    "/v1/contextualizedembeddings",
    (
        args.Argument("inputs", _check_inputs, required=True),
        args.Argument("model", args.text, required=True),
        args.INPUT_TYPE,
        args.OUTPUT_DIMENSION,
        args.OUTPUT_DTYPE,
        args.ENCODING_FORMAT,
        args.Argument("enable_auto_chunking", args.boolean, default=False),
        args.Argument("chunk_size", args.integer_between(1, 32_000)),
        args.Argument("chunk_overlap", args.integer_between(0, 32_000)),
    ),
    _accept,
    _check_together,
)
