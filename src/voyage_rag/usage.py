"""What calls have spent: tokens, pixels, and their price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voyage_rag.models import MODELS

LEAST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent.

    Attributes:
        total_tokens: Tokens the service billed. It bills about one less per text when input_type
            is set, so 0 is a legal value for very short texts.
        requests: Requests that were answered with a result.
        text_tokens: Of a multimodal model: the tokens that text cost.
        image_pixels: Of a multimodal model: pixels of images, 560 to a token.
        video_pixels: Of a multimodal model: pixels of video, 1,120 to a token.
    """

    total_tokens: int = 0
    requests: int = 0
    text_tokens: int = 0
    image_pixels: int = 0
    video_pixels: int = 0
    _by_model: Mapping[str, Usage] = field(default_factory=dict, compare=False, repr=False)

    @property
    def by_model(self) -> dict[str, Usage]:
        """The same for each model it was spent on; empty where nothing was."""
        return {model: usage.of(model) for model, usage in self._by_model.items()}

    @property
    def dollars(self) -> float | None:
        """The list price, before free tokens, tiers and surcharges; None where it is not known.

        Of the catalogue (`voyage_rag.models`); `unpriced` names the models that it does not know.
        """
        prices = [_price(model, usage) for model, usage in self._by_model.items()]
        known = [price for price in prices if price is not None]
        if len(known) < len(prices) or (self.total_tokens and not prices):
            return None
        return sum(known, 0.0)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose price is not known, or not for what was counted."""
        return tuple(m for m, usage in self._by_model.items() if _price(m, usage) is None)

    def of(self, model: str) -> Usage:
        """The same, spent on this model."""
        counts = self._counts
        alone = Usage(*counts) if self._by_model else self
        return Usage(*counts, {model: alone})

    @property
    def _counts(self) -> tuple[int, int, int, int, int]:
        return (
            self.total_tokens,
            self.requests,
            self.text_tokens,
            self.image_pixels,
            self.video_pixels,
        )

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
    return "less than $0.0001" if 0 < dollars < LEAST_SHOWN else f"${dollars:,.4f}"


def _price(model: str, usage: Usage) -> float | None:
    row = MODELS.get(model)
    if row is None:
        return None
    if row.pixel_price is None:
        return row.cost(usage.total_tokens)
    pixels = usage.image_pixels + usage.video_pixels
    if usage.total_tokens and not (usage.text_tokens or pixels):
        return None  # the answer did not say which of the tokens were pixels
    return row.cost(usage.text_tokens, pixels)
