"""The price of tokens, in real time and with the Batch API."""

from __future__ import annotations

from typing import Literal, TypeAlias

from voyage_rag.models import Model

Engine: TypeAlias = Literal["realtime", "batch"]

BATCH_DISCOUNT = 0.33
"""Discount of the Batch API as a share of the list price (docs: "Pricing")."""


def price(model: Model, tokens: int, engine: Engine = "realtime") -> float | None:
    """Return the price of tokens in US dollars; None if it is unknown."""
    cost = model.cost(tokens)
    return cost if cost is None or engine == "realtime" else cost * (1 - BATCH_DISCOUNT)
