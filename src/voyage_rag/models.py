"""The catalogue: one row per model. To add a model, add a row.

The catalogue provides limits but rejects no names: a model that it does not list is used with the
smallest limits of its kind (`look_up`). Prices and limits are those of Voyage's documentation in
autumn 2026; where sources differ, the smaller limit is used.

Sources, named per row:
    `models`     docs.voyageai.com, the page of the model's kind, and MongoDB's model lifecycle page
    `spec 2025`  the OpenAPI file voyage-ai/openapi 1.1
    `deprecated` docs.voyageai.com, the list of deprecated models
    `card`       the model card on the Hugging Face Hub, for open weights that Voyage does not host
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["embedding", "contextualized", "multimodal", "rerank"]
OutputDtype: TypeAlias = Literal["float", "int8", "uint8", "binary", "ubinary"]
Engine: TypeAlias = Literal["realtime", "batch"]
Status: TypeAlias = Literal["active", "legacy", "old", "deprecated", "unknown"]

ALL_DTYPES: tuple[OutputDtype, ...] = ("float", "int8", "uint8", "binary", "ubinary")
FLOAT_ONLY: tuple[OutputDtype, ...] = ("float",)
FLEXIBLE = (1024, 256, 512, 2048)

K = 1_000
M = 1_000_000
BILLION = 1_000_000_000

BATCH_DISCOUNT = 0.33
"""Discount of the Batch API as a share of the list price (docs: "Pricing")."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The retirement of a model (docs.voyageai.com, "choose a model", November 2026).

    Attributes:
        deprecated: New organisations cannot use the model from this day.
        retired: The service responds with a 410 from this day.
        replacement: The current model that this package suggests; Voyage names none.
    """

    deprecated: date
    retired: date
    replacement: str

    def is_near(self, today: date) -> bool:
        """Whether the model is retired, or will be within six months."""
        return today >= self.retired - WARNING_PERIOD


WARNING_PERIOD = timedelta(days=183)
JUNE, DECEMBER = date(2027, 6, 1), date(2027, 12, 1)
RETIREMENTS: Mapping[str, Retirement] = MappingProxyType(
    {
        "voyage-3-large": Retirement(JUNE, DECEMBER, "voyage-4-large"),
        "voyage-3.5": Retirement(JUNE, DECEMBER, "voyage-4"),
        "voyage-3.5-lite": Retirement(JUNE, DECEMBER, "voyage-4-lite"),
        "voyage-code-2": Retirement(JUNE, DECEMBER, "voyage-code-4"),
        "voyage-finance-2": Retirement(JUNE, DECEMBER, "voyage-4-large"),
        "voyage-code-3": Retirement(date(2027, 8, 13), date(2028, 2, 13), "voyage-code-4"),
    }
)
"""Announced retirements by model name."""


@dataclass(frozen=True, slots=True)
class Model:
    """The properties of one model.

    Attributes:
        name: The name in the API.
        kind: The kind, which determines the endpoint.
        context: Maximum tokens per input (of query and document together, for a reranker).
        dimensions: Supported vector lengths, the default first; empty for rerankers and for models
            that are not in the catalogue.
        request_tokens: Maximum tokens per request.
        request_inputs: Maximum inputs per request.
        video: Whether it accepts videos; if unknown, the service decides.
        pixel_price: US dollars per billion pixels, for a multimodal model.
        query_tokens: Maximum tokens of a query, for a reranker; otherwise None.
        tokens_per_minute: Limit of usage tier 1; None if unknown.
        price: US dollars per million tokens (of text, for a multimodal model); None if unknown.
        status: Status in Voyage's model lifecycle.
        source: Source of the row (see the module docstring).
        space: The embedding space, if several models share it (docs: "Text Embeddings").
    """

    name: str
    kind: Kind
    context: int
    dimensions: tuple[int, ...]
    request_tokens: int
    tokens_per_minute: int | None
    price: float | None
    status: Status
    source: str = "models"
    query_tokens: int | None = None
    request_inputs: int = 1_000
    video: bool = False
    pixel_price: float | None = None
    space: str | None = None

    @property
    def retirement(self) -> Retirement | None:
        """The date of retirement and the replacement; None if no retirement is announced."""
        return RETIREMENTS.get(self.name)

    @property
    def dtypes(self) -> tuple[OutputDtype, ...]:
        """Supported number types; empty if unknown. Models with several lengths support all."""
        if not self.dimensions:
            return ()
        return ALL_DTYPES if self.dimensions == FLEXIBLE else FLOAT_ONLY

    @property
    def default_dimension(self) -> int | None:
        """The default length of its vectors; None if unknown."""
        return self.dimensions[0] if self.dimensions else None

    def cost(self, tokens: int, pixels: int = 0, *, engine: Engine = "realtime") -> float | None:
        """Return the price in US dollars; None if it is unknown.

        Args:
            tokens: All tokens; for a multimodal model, the tokens of text.
            pixels: Pixels of images and videos.
            engine: `realtime` for the list price, `batch` for that of the Batch API.
        """
        if self.price is None or (pixels and self.pixel_price is None):
            return None
        cost = tokens * self.price / M + pixels * (self.pixel_price or 0.0) / BILLION
        return cost * (1 - BATCH_DISCOUNT) if engine == "batch" else cost


# fmt: off
# ruff: noqa: E501
_ROWS = (
    #     name                       kind         context  dimensions  request  per minute   price status
    Model("voyage-4-large",          "embedding", 32*K,    FLEXIBLE,   120*K,     3*M,       0.12, "active", space="voyage-4"),
    Model("voyage-4",                "embedding", 32*K,    FLEXIBLE,   320*K,     8*M,       0.06, "active", space="voyage-4"),
    Model("voyage-4-lite",           "embedding", 32*K,    FLEXIBLE,     1*M,    16*M,       0.02, "active", space="voyage-4"),
    Model("voyage-4-nano",           "embedding", 32*K,    FLEXIBLE,   120*K,     None,      0.00, "active", "card", space="voyage-4"),
    Model("voyage-code-4",           "embedding", 32*K,    FLEXIBLE,   120*K,     8*M,       0.12, "active"),
    Model("voyage-3-large",          "embedding", 32*K,    FLEXIBLE,   120*K,     3*M,       0.18, "legacy"),
    Model("voyage-3.5",              "embedding", 32*K,    FLEXIBLE,   320*K,     8*M,       0.06, "legacy"),
    Model("voyage-3.5-lite",         "embedding", 32*K,    FLEXIBLE,     1*M,    16*M,       0.02, "legacy"),
    Model("voyage-code-3",           "embedding", 32*K,    FLEXIBLE,   120*K,     3*M,       0.18, "legacy"),
    Model("voyage-finance-2",        "embedding", 32*K,    (1024,),    120*K,     3*M,       0.12, "legacy"),
    Model("voyage-law-2",            "embedding", 16*K,    (1024,),    120*K,     3*M,       0.12, "legacy"),
    Model("voyage-code-2",           "embedding", 16*K,    (1536,),    120*K,     3*M,       0.12, "legacy"),
    Model("voyage-3",                "embedding", 32*K,    (1024,),    120*K,     None,      0.06, "old"),
    Model("voyage-3-lite",           "embedding", 32*K,    (512,),     120*K,     None,      0.02, "old"),
    Model("voyage-multilingual-2",   "embedding", 32*K,    (1024,),    120*K,     3*M,       0.12, "old"),
    Model("voyage-large-2-instruct", "embedding", 16*K,    (1024,),    120*K,     3*M,       0.12, "old"),
    Model("voyage-large-2",          "embedding", 16*K,    (1536,),    120*K,     3*M,       0.12, "old"),
    Model("voyage-2",                "embedding",  4*K,    (1024,),    320*K,     3*M,       0.10, "old", "spec 2025"),
    Model("voyage-02",               "embedding",  4*K,    (1024,),    120*K,     None,      0.10, "deprecated", "deprecated"),
    Model("voyage-01",               "embedding",  4*K,    (1024,),    120*K,     None,      0.10, "deprecated", "deprecated"),
    Model("voyage-lite-01",          "embedding",  4*K,    (1024,),    120*K,     None,      0.10, "deprecated", "deprecated"),
    Model("voyage-lite-01-instruct", "embedding",  4*K,    (1024,),    120*K,     None,      0.10, "deprecated", "deprecated"),
    Model("voyage-lite-02-instruct", "embedding",  4*K,    (1024,),    120*K,     None,      0.10, "deprecated", "deprecated"),

    Model("voyage-context-4", "contextualized", 32*K, FLEXIBLE, 120*K, 3*M, 0.12, "active"),
    Model("voyage-context-3", "contextualized", 32*K, FLEXIBLE, 120*K, 3*M, 0.18, "legacy"),

    Model("voyage-multimodal-3.5", "multimodal", 32*K, FLEXIBLE, 320*K, 2*M, 0.12, "active", video=True, pixel_price=0.60),
    Model("voyage-multimodal-3",   "multimodal", 32*K, (1024,),  320*K, 2*M, 0.12, "legacy", pixel_price=0.60),

    Model("rerank-3",        "rerank", 32*K, (), 600*K, 2*M, 0.05, "active", query_tokens=8*K),
    Model("rerank-3-lite",   "rerank", 32*K, (), 600*K, 4*M, 0.02, "active", query_tokens=8*K),
    Model("rerank-2.5",      "rerank", 32*K, (), 600*K, 2*M, 0.05, "legacy", query_tokens=8*K),
    Model("rerank-2.5-lite", "rerank", 32*K, (), 600*K, 4*M, 0.02, "legacy", query_tokens=8*K),
    Model("rerank-2",        "rerank", 16*K, (), 600*K, 2*M, 0.05, "legacy", query_tokens=4*K),
    Model("rerank-2-lite",   "rerank",  8*K, (), 600*K, 4*M, 0.02, "legacy", query_tokens=2*K),
    Model("rerank-1",        "rerank",  8*K, (), 100*K, 2*M, 0.05, "old", query_tokens=2*K),
    Model("rerank-lite-1",   "rerank",  4*K, (), 300*K, 4*M, 0.02, "old", query_tokens=1*K),
)
# fmt: on

MODELS: Mapping[str, Model] = MappingProxyType({row.name: row for row in _ROWS})
"""All models of the catalogue by name."""


FAMILIES: tuple[tuple[str, Kind], ...] = (
    ("voyage-context", "contextualized"),
    ("voyage-multimodal", "multimodal"),
    ("rerank", "rerank"),
)
"""Prefixes of model names by kind. All other names are embedding models."""


@lru_cache(64)
def kind_of(name: str) -> Kind:
    """Return the kind of a model from its row or from the prefix of its name."""
    if name in MODELS:
        return MODELS[name].kind
    return next((kind for start, kind in FAMILIES if name.startswith(start)), "embedding")


def space_of(name: str) -> str | None:
    """Return the embedding space of a model, which other models may share; None if unknown."""
    model = MODELS.get(name)
    return None if model is None or model.kind == "rerank" else model.space or name


def look_up(name: str, kind: Kind) -> Model:
    """Return the row of `name`; for an unknown name, a row with the smallest limits of `kind`."""
    return MODELS.get(name) or Model(
        name=name,
        kind=kind,
        context=min(row.context for row in _ROWS if row.kind == kind),
        dimensions=(),
        request_tokens=min(row.request_tokens for row in _ROWS if row.kind == kind),
        tokens_per_minute=None,
        price=None,
        status="unknown",
        source="not in the catalogue",
        video=kind == "multimodal",
        query_tokens=min((row.query_tokens for row in _ROWS if row.query_tokens), default=None)
        if kind == "rerank"
        else None,
    )
