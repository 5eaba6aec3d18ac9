"""POST /v1/embeddings. Source: "Text embedding models" in Voyage's API reference."""

from typing import Any

from numpy.typing import NDArray

from voyage_rag.emulator import lexical, rules, tokens
from voyage_rag.emulator.limits import (
    FLEXIBLE,
    LONGEST_BATCH,
    TEXT_MODELS,
    TEXT_MODELS_NAMED,
    EmbeddingModel,
)
from voyage_rag.emulator.rules import Argument, Arguments
from voyage_rag.emulator.vectors import write_numbers
from voyage_rag.emulator.work import Endpoint, Payload, Work


def _prepare(arguments: Arguments) -> Work:
    name, texts = arguments["model"], arguments["input"]
    model = rules.find_model(name, TEXT_MODELS, TEXT_MODELS_NAMED)
    texts = [texts] if isinstance(texts, str) else texts
    check_output(arguments, model)
    rules.check_batch_size(name, len(texts), LONGEST_BATCH)
    texts = [
        fit(text, index, name, model.context, truncation=arguments["truncation"])
        for index, text in enumerate(texts)
    ]
    billed = sum(tokens.bill(text, arguments["input_type"]) for text in texts)
    rules.check_batch_tokens(name, billed, model.batch)

    as_base64 = arguments["encoding_format"] is not None

    def produce() -> Payload:
        vectors = shape_vectors(lexical.sketch(texts), arguments, model, as_base64=as_base64)
        return {
            "object": "list",
            "data": [embedding_item(index, vector) for index, vector in enumerate(vectors)],
            "model": name,
            "usage": {"total_tokens": billed},
        }

    return Work(name, billed, as_base64, produce)


def fit(text: str, index: int, model: str, context: int, *, truncation: bool) -> str:
    """Return as much of a text as the context holds; refuse to cut without `truncation`."""
    # A token is at least a character, so most texts need no counting here.
    if len(text) <= context or tokens.count(text) <= context:
        return text
    if not truncation:
        rules.refuse_length(model, index, context)
    return tokens.cut(text, context)


def check_output(arguments: Arguments, model: EmbeddingModel) -> None:
    """Refuse a dimension or number type that the model does not offer."""
    dimension, dtype = arguments["output_dimension"], arguments["output_dtype"]
    if dimension is not None and dimension not in model.dimensions:
        rules.refuse_choice(arguments["model"], "output_dimension", dimension, model.dimensions)
    if dtype != "float" and model.dimensions != FLEXIBLE:
        rules.refuse_choice(arguments["model"], "output_dtype", dtype, ["float"])


def shape_vectors(
    rows: lexical.Floats, arguments: Arguments, model: EmbeddingModel, *, as_base64: bool
) -> NDArray[Any]:
    """Return sketched rows as the numbers asked for, shape (rows, dimension or bytes)."""
    family = model.family or arguments["model"]
    dimension = arguments["output_dimension"] or model.dimension
    shaped = lexical.shape(rows, family, dimension, arguments["input_type"])
    return write_numbers(shaped, arguments["output_dtype"], as_base64=as_base64)


def embedding_item(index: int, vector: Any, text: str | None = None) -> Payload:
    """Return one element of `data`.

    `text` is null except for the chunks of auto chunking, and absent from answers recorded before
    April 2026; the emulator answers as the service does now.
    """
    return {"object": "embedding", "embedding": vector, "index": index, "text": text}


ENDPOINT = Endpoint(
    "/v1/embeddings",
    (
        Argument("input", rules.text_or_texts, required=True),
        Argument("model", rules.text, required=True),
        rules.INPUT_TYPE,
        rules.TRUNCATION,
        rules.OUTPUT_DIMENSION,
        rules.OUTPUT_DTYPE,
        rules.ENCODING_FORMAT,
    ),
    _prepare,
)
