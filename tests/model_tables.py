"""The tables of docs/models.md, written from the catalogue: `python tests/model_tables.py`."""

from __future__ import annotations

import re

from pages import ROOT
from voyage_rag.models import MODELS, Kind, Model

PAGE = ROOT / "docs" / "models.md"
EMBEDDING_COLUMNS = ("model", "context", "dimensions", "number types", "price", "tokens a minute")
RERANKER_COLUMNS = ("model", "query and document", "query", "price", "tokens a minute")


def tokens(count: int | None) -> str:
    """A number of tokens, abbreviated."""
    if count is None:
        return "not known"
    millions, thousands = divmod(count, 1_000_000)
    return f"{millions}M" if millions and not thousands else f"{count // 1_000:,}K"


def price(model: Model) -> str:
    """The list price."""
    if not model.price:
        return "free (open weights)"
    pixels = f" + ${model.pixel_price:.2f} / billion pixels" if model.pixel_price else ""
    return f"${model.price:.2f}{pixels}"


def row(model: Model) -> list[str]:
    """The row of a model."""
    limits = [price(model), tokens(model.tokens_per_minute)]
    name = f"`{model.name}`"
    if model.kind == "rerank":
        return [name, tokens(model.context), tokens(model.query_tokens), *limits, dates(model)]
    first, *others = model.dimensions
    dimensions = f"**{first}**" + "".join(f", {one}" for one in sorted(others))
    dtypes = "all" if len(model.dtypes) > 1 else "float"
    return [name, tokens(model.context), dimensions, dtypes, *limits, dates(model)]


def dates(model: Model) -> str:
    """Its status, and its dates."""
    if model.retirement is None:
        return model.status
    return f"{model.status}; deprecated {model.retirement.deprecated}, retired {model.retirement.retired}"  # noqa: E501


def table(kind: Kind) -> str:
    """The models of a kind, the recommended ones first."""
    columns = RERANKER_COLUMNS if kind == "rerank" else EMBEDDING_COLUMNS
    models = [model for model in MODELS.values() if model.kind == kind]
    rows = [(*columns, "status"), ("---",) * (len(columns) + 1), *map(row, models)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def written(text: str) -> str:
    """The page with its tables replaced."""

    def replace(found: re.Match[str]) -> str:
        kind: Kind = found[1]  # type: ignore[assignment]
        return f"<!-- table: {kind} -->\n{table(kind)}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
