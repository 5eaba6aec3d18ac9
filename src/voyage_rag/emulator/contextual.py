"""POST /v1/contextualizedembeddings. Source: "Contextualized chunk embeddings" in Voyage's docs.

A chunk's vector leans towards the rest of its own document and depends on nothing else: not on the
other documents of the request, and for the only chunk of a document on nothing but itself.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from voyage_rag.emulator import lexical, rules, tokens
from voyage_rag.emulator.embeddings import check_output, embedding_item, shape_vectors
from voyage_rag.emulator.limits import CONTEXT_MODELS, LONGEST_BATCH, MOST_CHUNKS
from voyage_rag.emulator.rules import Argument, Arguments
from voyage_rag.emulator.work import Endpoint, Payload, Work

CHUNKER_VERSION = "1.0.0"
"""Named in answers to auto chunking."""

_CHUNK_SIZE = 512  # tokens, when none is asked for
_CONTEXT_SHARE = 0.35  # weight of the rest of the document beside a chunk's own weight of one

_HINT = (
    "Contextualized chunk embeddings do not support truncation. Either lower the number of tokens "
    "in the listed example(s), or pass `enable_auto_chunking=true` with "
    '`input_type="document"` and one string per input to have the server split oversize documents.'
)


def _check_inputs(value: Any) -> str | None:
    """Lists of strings, or strings; none of either empty."""
    if not isinstance(value, list) or not value:
        return rules.EMPTY if value == [] else _NEITHER
    if all(isinstance(item, str) for item in value):
        return rules.texts(value)
    clauses = [rules.texts(item) if isinstance(item, list) else _NEITHER for item in value]
    return next(filter(None, clauses), None)


_NEITHER = "Error for argument '{}': Input should be a valid list of lists of strings"


def _check_together(arguments: Arguments) -> None:
    """Refuse arguments that do not go with one another. Wordings are guesses."""
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
    if (arguments["chunk_overlap"] or 0) >= (arguments["chunk_size"] or _CHUNK_SIZE):
        reasons.append(("chunk_overlap", "It must be less than chunk_size"))
    if reasons:
        rules.refuse_arguments(
            [f"Error for argument '{name}': Value error, {reason}" for name, reason in reasons]
        )


def _prepare(arguments: Arguments) -> Work:
    name, automatic = arguments["model"], arguments["enable_auto_chunking"]
    model = rules.find_model(name, CONTEXT_MODELS, list(CONTEXT_MODELS))
    check_output(arguments, model)
    documents = [[item] if isinstance(item, str) else item for item in arguments["inputs"]]
    rules.check_batch_size(name, len(documents), LONGEST_BATCH)
    costs = [sum(map(tokens.count, chunks)) for chunks in documents]
    for index, cost in enumerate(costs):
        if cost > model.context and not automatic:
            rules.refuse_length(name, index, model.context, _HINT)
    # A document is read as one text, so the input type makes it one token cheaper, not each chunk.
    billed = sum(costs) - len(documents) * (arguments["input_type"] is not None)
    rules.check_batch_tokens(name, billed, model.batch)
    if automatic:
        size, overlap = arguments["chunk_size"] or _CHUNK_SIZE, arguments["chunk_overlap"] or 0
        documents = [tokens.split(chunks[0], size, overlap) for chunks in documents]
    _check_chunks(name, documents)

    as_base64 = arguments["encoding_format"] is not None

    def produce() -> Payload:
        rows = np.concatenate([sketch_document(chunks) for chunks in documents])
        vectors = shape_vectors(rows, arguments, model, as_base64=as_base64)
        payload: Payload = {
            "object": "list",
            "data": _nest(vectors, documents, with_text=automatic),
            "model": name,
        }
        if automatic:
            payload["chunker_version"] = CHUNKER_VERSION
        return payload | {"usage": {"total_tokens": billed}}

    return Work(name, billed, as_base64, produce)


def _check_chunks(model: str, documents: Sequence[Sequence[str]]) -> None:
    chunks = sum(map(len, documents))
    if chunks > MOST_CHUNKS:
        rules.refuse(model, f"The chunk limit is {MOST_CHUNKS}. Your batch has {chunks} chunks.")


def sketch_document(chunks: Sequence[str]) -> lexical.Floats:
    """Return one unit vector per chunk of a document, leaning towards the rest, (chunks, 2048)."""
    own = lexical.sketch(chunks)
    if len(chunks) == 1:
        return own
    rest = own.sum(axis=0) - own
    return lexical.normalise(own + _CONTEXT_SHARE * lexical.normalise(rest))


def _nest(vectors: Any, documents: Sequence[Sequence[str]], *, with_text: bool) -> list[Payload]:
    """Return vectors as documents of chunks."""
    ends = np.cumsum([0, *map(len, documents)]).tolist()
    return [
        {
            "object": "list",
            "data": [
                embedding_item(index, vector, text if with_text else None)
                for index, (vector, text) in enumerate(zip(vectors[start:end], chunks, strict=True))
            ],
            "index": document,
        }
        for document, (chunks, (start, end)) in enumerate(
            zip(documents, pairwise(ends), strict=True)
        )
    ]


ENDPOINT = Endpoint(
    "/v1/contextualizedembeddings",
    (
        Argument("inputs", _check_inputs, required=True),
        Argument("model", rules.text, required=True),
        rules.INPUT_TYPE,
        rules.OUTPUT_DIMENSION,
        rules.OUTPUT_DTYPE,
        rules.ENCODING_FORMAT,
        Argument("enable_auto_chunking", rules.flag, default=False),
        Argument("chunk_size", rules.between(1, 32_000)),
        Argument("chunk_overlap", rules.between(0, 32_000)),
    ),
    _prepare,
    _check_together,
)
