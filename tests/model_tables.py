"""The tables of docs/models.md, written from the catalogue: `python tests/model_tables.py`."""

from __future__ import annotations

import re

from pages import ROOT
from voyage_rag.models import MODELS, RETIREMENTS, Model

PAGE = ROOT / "docs" / "models.md"
LIMITS = ("per request", "per minute")
EMBEDDING_COLUMNS = ("model", "context", "dimensions", *LIMITS, "price", "status")
RERANKER_COLUMNS = ("model", "query + document", "query", *LIMITS, "price", "status")
RETIREMENT_COLUMNS = ("model", "deprecated on", "retired on", "suggested replacement")


def tokens(count: int | None) -> str:
    """A number of tokens, abbreviated."""
    if count is None:
        return "unknown"
    millions, thousands = divmod(count, 1_000_000)
    return f"{millions}M" if millions and not thousands else f"{count // 1_000:,}K"


def price(model: Model) -> str:
    """The list price."""
    if not model.price:
        return "none: open weights"
    pixels = f", ${model.pixel_price:.2f} per billion pixels" if model.pixel_price else ""
    return f"${model.price:.2f}{pixels}"


def row(model: Model) -> tuple[str, ...]:
    """The row of a model."""
    service = tokens(model.request_tokens), tokens(model.tokens_per_minute)
    limits = service if model.price else ("none", "none")
    start, end = (f"`{model.name}`", tokens(model.context)), (*limits, price(model), model.status)
    if model.kind == "rerank":
        return (*start, tokens(model.query_tokens), *end)
    lengths = (str(one) for one in sorted(model.dimensions))
    default = str(model.default_dimension)
    dimensions = ", ".join(f"**{one}**" if one == default else one for one in lengths)
    return (*start, dimensions, *end)


def retirements() -> list[tuple[str, ...]]:
    """The rows of the announced retirements."""
    return [
        (f"`{name}`", str(dates.deprecated), str(dates.retired), f"`{dates.replacement}`")
        for name, dates in RETIREMENTS.items()
    ]


def table(kind: str) -> str:
    """The models of a kind, the recommended ones first; or the retirements."""
    models = [model for model in MODELS.values() if model.kind == kind]
    columns: tuple[str, ...] = RERANKER_COLUMNS if kind == "rerank" else EMBEDDING_COLUMNS
    rows = [row(model) for model in models]
    if kind == "retirements":
        columns, rows = RETIREMENT_COLUMNS, retirements()
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def written(text: str) -> str:
    """The page with its tables replaced."""

    def replace(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{table(found[1])}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
