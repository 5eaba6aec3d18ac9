"""What each model allows. The emulator's own table, so that client and emulator check each other.

Source: "Text embeddings", "Contextualized chunk embeddings", "Multimodal embeddings", "Reranker"
and "Rate limits" in Voyage's documentation (late 2026) and the limits that live errors name. Where
sources differ the lower figure is taken.
"""

from typing import NamedTuple

LONGEST_BATCH = 1_000
"""Texts, documents or inputs in one request."""

MOST_CHUNKS = 16_000
"""In all documents of a contextualized request together."""

FLEXIBLE = (256, 512, 1024, 2048)
"""Dimensions of a model that offers a choice; it answers 1,024 unless asked, and quantises."""


class EmbeddingModel(NamedTuple):
    """Limits of a model that answers vectors."""

    context: int
    """Tokens of one input."""
    batch: int
    """Tokens of one request."""
    dimensions: tuple[int, ...] = FLEXIBLE
    family: str = ""
    """Models of one family share a vector space; empty: the model alone."""

    @property
    def dimension(self) -> int:
        """Of a vector when none is asked for."""
        return 1024 if self.flexible else self.dimensions[0]

    @property
    def flexible(self) -> bool:
        """Whether dimension and number type can be chosen."""
        return self.dimensions == FLEXIBLE


class RerankModel(NamedTuple):
    """Limits of a reranker, in tokens."""

    query: int
    pair: int
    """Query and one document together."""
    batch: int
    """Query, once for every document, and all documents together."""


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
    "voyage-law-2": EmbeddingModel(16_000, 120_000, (1024,)),
    "voyage-code-2": EmbeddingModel(16_000, 120_000, (1536,)),
    "voyage-3": EmbeddingModel(32_000, 120_000, (1024,)),
    "voyage-3-lite": EmbeddingModel(32_000, 120_000, (512,)),
    "voyage-multilingual-2": EmbeddingModel(32_000, 120_000, (1024,)),
    "voyage-large-2-instruct": EmbeddingModel(16_000, 120_000, (1024,)),
    "voyage-large-2": EmbeddingModel(16_000, 120_000, (1536,)),
    "voyage-2": EmbeddingModel(4_000, 320_000, (1024,)),
    "voyage-02": EmbeddingModel(4_000, 120_000, (1024,)),
    "voyage-01": EmbeddingModel(4_000, 120_000, (1024,)),
    "voyage-lite-01": EmbeddingModel(4_000, 120_000, (1024,)),
    "voyage-lite-01-instruct": EmbeddingModel(4_000, 120_000, (1024,)),
    "voyage-lite-02-instruct": EmbeddingModel(4_000, 120_000, (1024,)),
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
    "rerank-2": RerankModel(4_000, 16_000, 600_000),
    "rerank-2-lite": RerankModel(2_000, 8_000, 600_000),
    "rerank-1": RerankModel(2_000, 8_000, 300_000),
    "rerank-lite-1": RerankModel(1_000, 4_000, 300_000),
}

TEXT_MODELS_NAMED = (
    "g2-20250421-0156pm-voyage-2-series-preloading",
    "voyage-large-2-instruct",
    "voyage-law-2",
    "voyage-code-2",
    "voyage-02",
    "voyage-2",
    "voyage-01",
    "voyage-lite-01",
    "voyage-lite-01-instruct",
    "voyage-lite-02-instruct",
    "voyage-multilingual-2",
    "voyage-large-2",
)
"""The models an unknown name is answered with on /v1/embeddings: of one internal deployment, as
recorded in January 2026, not those the service supports."""
