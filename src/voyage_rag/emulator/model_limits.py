"""Limits of each model, and the errors for requests above them.

The table is independent of the client's, so that each checks the other. Source: "Text
embeddings", "Contextualized chunk embeddings", "Multimodal embeddings", "Reranker" and "Rate
limits" in Voyage's documentation (late 2026) and the limits that live errors name. Where sources
differ, the lower figure is used. Messages marked "Seen" are from live responses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from voyage_rag.emulator.arguments import ArgumentValues, RejectedRequest

MAX_INPUTS = 1_000
"""Maximum number of texts, documents or inputs per request."""

MAX_CHUNKS = 16_000
"""Maximum number of chunks in all documents of a contextualized request."""

FLEXIBLE_DIMENSIONS = (256, 512, 1024, 2048)
"""Dimensions of a model that offers a choice, 1,024 by default. Such models also quantise."""


class EmbeddingModel(NamedTuple):
    """Limits of a model that returns vectors, in tokens."""

    context: int
    """Maximum tokens of one input."""
    batch: int
    """Maximum tokens of one request."""
    dimensions: tuple[int, ...] = FLEXIBLE_DIMENSIONS
    family: str = ""
    """Models of one family share a vector space; empty for a model that shares with none."""
    extra_tokens: int = 0
    """Tokens added to each text: one by Llama 2's tokenizer, which models of 2024 use. Seen."""

    @property
    def dimension(self) -> int:
        """Default length of a vector."""
        return 1024 if self.is_flexible else self.dimensions[0]

    @property
    def is_flexible(self) -> bool:
        """Whether dimension and number type can be chosen."""
        return self.dimensions == FLEXIBLE_DIMENSIONS


class RerankModel(NamedTuple):
    """Limits of a reranker, in tokens."""

    query: int
    pair: int
    """Query and one document together."""
    batch: int
    """All pairs of the query and a document together."""
    unbilled: int = 1
    """Tokens of each pair that `usage` does not count; agrees with recordings within two tokens."""


TEXT_MODELS = {
    "voyage-4-large": EmbeddingModel(32_000, 120_000, family="voyage-4"),
    "voyage-4": EmbeddingModel(32_000, 320_000, family="voyage-4"),
    "voyage-4-lite": EmbeddingModel(32_000, 1_000_000, family="voyage-4"),
    "voyage-code-4": EmbeddingModel(32_000, 120_000),
    "voyage-3-large": EmbeddingModel(32_000, 120_000),
    "voyage-3.5": EmbeddingModel(32_000, 320_000),
    "voyage-3.5-lite": EmbeddingModel(32_000, 1_000_000),
    "voyage-code-3": EmbeddingModel(32_000, 120_000),
    "voyage-finance-2": EmbeddingModel(32_000, 120_000, (1024,)),
    "voyage-law-2": EmbeddingModel(16_000, 120_000, (1024,), extra_tokens=1),
    "voyage-code-2": EmbeddingModel(16_000, 120_000, (1536,), extra_tokens=1),
    "voyage-3": EmbeddingModel(32_000, 120_000, (1024,)),
    "voyage-3-lite": EmbeddingModel(32_000, 120_000, (512,)),
    "voyage-multilingual-2": EmbeddingModel(32_000, 120_000, (1024,)),
    "voyage-large-2-instruct": EmbeddingModel(16_000, 120_000, (1024,), extra_tokens=1),
    "voyage-large-2": EmbeddingModel(16_000, 120_000, (1536,), extra_tokens=1),
    "voyage-2": EmbeddingModel(4_000, 320_000, (1024,), extra_tokens=1),
    "voyage-02": EmbeddingModel(4_000, 120_000, (1024,), extra_tokens=1),
    "voyage-01": EmbeddingModel(4_000, 120_000, (1024,), extra_tokens=1),
    "voyage-lite-01": EmbeddingModel(4_000, 120_000, (1024,), extra_tokens=1),
    "voyage-lite-01-instruct": EmbeddingModel(4_000, 120_000, (1024,), extra_tokens=1),
    "voyage-lite-02-instruct": EmbeddingModel(4_000, 120_000, (1024,), extra_tokens=1),
}

CONTEXT_MODELS = {
    "voyage-context-4": EmbeddingModel(32_000, 120_000),
    "voyage-context-3": EmbeddingModel(32_000, 120_000),
}

MULTIMODAL_MODELS = {
    "voyage-multimodal-3": EmbeddingModel(32_000, 320_000, (1024,), "multimodal-3"),
    "voyage-multimodal-3-l4": EmbeddingModel(32_000, 320_000, (1024,), "multimodal-3"),
    "voyage-multimodal-3-5": EmbeddingModel(32_000, 320_000, family="multimodal-3.5"),
    "voyage-multimodal-3.5": EmbeddingModel(32_000, 320_000, family="multimodal-3.5"),
}

RERANK_MODELS = {
    "rerank-3": RerankModel(8_000, 32_000, 600_000),
    "rerank-3-lite": RerankModel(8_000, 32_000, 600_000),
    "rerank-2.5": RerankModel(8_000, 32_000, 600_000),
    "rerank-2.5-lite": RerankModel(8_000, 32_000, 600_000),
    "rerank-2": RerankModel(4_000, 16_000, 600_000, unbilled=4),
    "rerank-2-lite": RerankModel(2_000, 8_000, 600_000, unbilled=4),
    "rerank-1": RerankModel(2_000, 8_000, 300_000, unbilled=4),
    "rerank-lite-1": RerankModel(1_000, 4_000, 300_000, unbilled=4),
}

SUGGESTED_TEXT_MODELS = (
    "g2-20250421-0156pm-voyage-2-series-preloading", "voyage-large-2-instruct", "voyage-law-2",
    "voyage-code-2", "voyage-02", "voyage-2", "voyage-01", "voyage-lite-01",
    "voyage-lite-01-instruct", "voyage-lite-02-instruct", "voyage-multilingual-2",
    "voyage-large-2",
)  # fmt: skip
"""Models that the error for an unknown name on /v1/embeddings lists: those of one internal
deployment, as recorded in January 2026, not those that the service supports."""

Limits = TypeVar("Limits")


def find_model(
    name: str, models: Mapping[str, Limits], suggested: Sequence[str] | None = None
) -> Limits:
    """Return a model's limits, or reject its name and list the `suggested` ones. Seen."""
    if name not in models:
        names = list(models if suggested is None else suggested)
        raise RejectedRequest(400, f"Model {name} is not supported. Supported models are {names}.")
    return models[name]


def check_output(arguments: ArgumentValues, model: EmbeddingModel) -> None:
    """Reject a dimension or number type that the model does not offer. Seen for dimensions."""
    dimension, dtype = arguments["output_dimension"], arguments["output_dtype"]
    if dimension is not None and dimension not in model.dimensions:
        _reject_choice(arguments["model"], "output_dimension", dimension, model.dimensions)
    if dtype != "float" and not model.is_flexible:
        _reject_choice(arguments["model"], "output_dtype", dtype, ["float"])


def _reject_choice(model: str, argument: str, value: Any, accepted: Sequence[Any]) -> NoReturn:
    raise RejectedRequest(
        400,
        f"Value '{value}' supplied for argument '{argument}' is not valid -- "
        f"accepted values for '{model}' are {list(accepted)!r}.",
    )


def check_input_count(model: str, count: int) -> None:
    """Reject more than 1,000 inputs. Seen."""
    if count > MAX_INPUTS:
        reject(model, f"The batch size limit is {MAX_INPUTS}. Your batch size is {count}.")


def check_request_tokens(model: str, tokens: int, limit: int) -> None:
    """Reject more than `limit` tokens, with the only error code known. Seen."""
    if tokens > limit:
        reject(
            model,
            f"The max allowed tokens per submitted batch is {limit}. Your batch has {tokens} "
            "tokens after truncation. Please lower the number of tokens in the batch.",
            code="TOO_MANY_TOKENS_IN_BATCH",
        )


TRUNCATION_HINT = "Please lower the number of tokens in the listed example(s) or use truncation."


def reject_length(model: str, index: int, context: int, hint: str = TRUNCATION_HINT) -> NoReturn:
    """Reject an input above the model's context. Seen."""
    reject(
        model,
        f"The example at index {index} in your batch has too many tokens and does not fit into "
        f"the model's context window of {context} tokens. {hint}",
    )


def reject(model: str, reason: str, *, code: str | None = None) -> NoReturn:
    """Reject what a model cannot process. Seen."""
    raise RejectedRequest(400, f"Request to model '{model}' failed. {reason}", code=code)
