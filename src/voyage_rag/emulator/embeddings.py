"""POST /v1/embeddings. Source: "Text embedding models" in Voyage's API reference."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from voyage_rag.emulator import arguments as args
from voyage_rag.emulator import model_limits, vectors
from voyage_rag.emulator.model_limits import TEXT_MODELS, EmbeddingModel
from voyage_rag.emulator.responses import Payload
from voyage_rag.emulator.tokens import EmulatedTokenizer


def _accept(arguments: args.ArgumentValues, tokens: EmulatedTokenizer) -> args.AcceptedRequest:
    name, texts = arguments["model"], arguments["input"]
    model = model_limits.find_model(name, TEXT_MODELS, model_limits.SUGGESTED_TEXT_MODELS)
    texts = [texts] if isinstance(texts, str) else texts
    model_limits.check_output(arguments, model)
    model_limits.check_input_count(name, len(texts))
    texts = [
        fit(text, index, name, model.context, tokens, truncation=arguments["truncation"])
        for index, text in enumerate(texts)
    ]
    billed = sum(tokens.bill(text, arguments["input_type"]) + model.extra_tokens for text in texts)
    model_limits.check_request_tokens(name, billed, model.batch)
    as_base64 = arguments["encoding_format"] is not None

    def compute() -> Payload:
        rows = make_vectors(vectors.sketch(texts), texts, arguments, model, as_base64=as_base64)
        return {
            "object": "list",
            "data": [embedding_item(index, row) for index, row in enumerate(rows)],
            "model": name,
            "usage": {"total_tokens": billed},
        }

    return args.AcceptedRequest(name, billed, as_base64, compute)


def fit(
    text: str, index: int, model: str, context: int, tokens: EmulatedTokenizer, *, truncation: bool
) -> str:
    """Truncate a text to the context; without `truncation`, reject one that is too long."""
    # A token has at least one character, so most texts need not be counted.
    if len(text) <= context or tokens.count(text) <= context:
        return text
    if not truncation:
        model_limits.reject_length(model, index, context)
    return tokens.cut(text, context)


def make_vectors(
    rows: vectors.Floats,
    texts: Sequence[str],
    arguments: args.ArgumentValues,
    model: EmbeddingModel,
    *,
    as_base64: bool,
) -> NDArray[Any]:
    """Convert sketches to the requested vectors, shape (rows, dimension or bytes)."""
    family = model.family or arguments["model"]
    dimension = arguments["output_dimension"] or model.dimension
    shaped = vectors.shape(rows, texts, family, dimension, arguments["input_type"])
    return vectors.convert(shaped, arguments["output_dtype"], as_base64=as_base64)


def embedding_item(index: int, vector: Any, text: str | None = None) -> Payload:
    """Return one element of `data`.

    `text` is null except for the chunks of auto chunking. Responses recorded before April 2026 lack
    it; the emulator responds as the service does now.
    """
    return {"object": "embedding", "embedding": vector, "index": index, "text": text}


ENDPOINT = args.EmulatedEndpoint(
    "/v1/embeddings",
    (
        args.Argument("input", args.text_or_texts, required=True),
        args.Argument("model", args.text, required=True),
        args.INPUT_TYPE,
        args.TRUNCATION,
        args.OUTPUT_DIMENSION,
        args.OUTPUT_DTYPE,
        args.ENCODING_FORMAT,
    ),
    _accept,
)
