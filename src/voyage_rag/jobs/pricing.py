"""What tokens cost, in real time and on the batch engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from voyage_rag.models import Model

Engine: TypeAlias = Literal["realtime", "batch"]

BATCH_DISCOUNT = 0.33
"""Share of the list price that the batch engine saves (docs: "Pricing")."""


def price(model: Model, tokens: int, engine: Engine = "realtime") -> float | None:
    """US dollars for so many tokens, None where the price is not known."""
    cost = model.cost(tokens)
    return cost if cost is None or engine == "realtime" else cost * (1 - BATCH_DISCOUNT)
