"""The usage of calls: tokens, pixels, and their price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field

from voyage_rag.models import MODELS

MIN_SHOWN_DOLLARS = 0.0001


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, pixels and requests.

    Attributes:
        total_tokens: Tokens that the service billed. It bills about one token less per text if
            `input_type` is set, so 0 is possible for very short texts.
        requests: Number of successful requests.
        text_tokens: Tokens of text, for a multimodal model.
        image_pixels: Pixels of images, for a multimodal model; 560 pixels count as one token.
        video_pixels: Pixels of videos, for a multimodal model; 1,120 pixels count as one token.

    Examples:
        >>> from voyage_rag import Voyage
        >>> voyage = Voyage()
        >>> result = voyage.embed(["Hello, world"], model="voyage-4")
        >>> print(voyage.usage)
        3 tokens in 1 request, less than $0.0001 at list
    """

    total_tokens: int = 0
    requests: int = 0
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0
    _by_model: Annotated[Mapping[str, Usage], Field(exclude=True)] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def by_model(self) -> dict[str, Usage]:
        """The usage of each model; empty if there is none."""
        return {model: usage.of(model) for model, usage in self._by_model.items()}

    @property
    def dollars(self) -> float | None:
        """The list price, before free tokens, tiers and surcharges; None if it is unknown.

        Prices come from the catalogue (`voyage_rag.models`); `unpriced` names models without one.
        """
        prices = [_price(model, usage) for model, usage in self._by_model.items()]
        known = [price for price in prices if price is not None]
        if len(known) < len(prices) or (self.total_tokens and not prices):
            return None
        return sum(known, 0.0)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose price is unknown, entirely or for what was counted."""
        return tuple(m for m, usage in self._by_model.items() if _price(m, usage) is None)

    def of(self, model: str) -> Usage:
        """Return the usage of this model."""
        alone = replace(self, _by_model={}) if self._by_model else self
        return replace(self, _by_model={model: alone})

    def __add__(self, other: Usage) -> Usage:
        by_model = dict(self._by_model)
        for model, usage in other._by_model.items():
            by_model[model] = by_model[model] + usage if model in by_model else usage
        return Usage(
            self.total_tokens + other.total_tokens,
            self.requests + other.requests,
            self.text_tokens + other.text_tokens,
            self.image_pixels + other.image_pixels,
            self.video_pixels + other.video_pixels,
            by_model,
        )

    def __repr__(self) -> str:
        return f"<Usage: {self}>"

    def __str__(self) -> str:
        unknown = f" (of {', '.join(self.unpriced)})" if self.unpriced else ""
        return (
            f"{self.total_tokens:,} token{'s' * (self.total_tokens != 1)} in {self.requests:,} "
            f"request{'s' * (self.requests != 1)}, {_shown(self.dollars)}{unknown} at list"
        )


NO_USAGE = Usage()


def _shown(dollars: float | None) -> str:
    if dollars is None:
        return "an unknown price"
    return "less than $0.0001" if 0 < dollars < MIN_SHOWN_DOLLARS else f"${dollars:,.4f}"


def _price(model: str, usage: Usage) -> float | None:
    row = MODELS.get(model)
    if row is None:
        return None
    if row.pixel_price is None:
        return row.cost(usage.total_tokens)
    pixels = usage.image_pixels + usage.video_pixels
    if usage.total_tokens and not (usage.text_tokens or pixels):
        return None  # the response does not distinguish tokens of text from pixels
    return row.cost(usage.text_tokens, pixels)
