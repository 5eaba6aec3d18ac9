"""`voyage-rag models`: the catalogue as a table."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill

from voyage_rag.commands.options import AsJSON
from voyage_rag.commands.screen import console, table, write_json
from voyage_rag.models import Model

EXAMPLES = ("models", "models --json | jq '.[].name'")


def models(as_json: AsJSON = False) -> None:
    """List Voyage's models with their limits, dimensions and prices."""
    from voyage_rag.models import MODELS  # noqa: PLC0415 - not needed for help

    if as_json:
        write_json([_as_json(model) for model in MODELS.values()])
        return
    out = console()
    models = list(MODELS.values())
    header = ("model", "status", "dimensions", "context", "request", "$/1M")
    first, *lines = table(header, map(_cells, models), out.width, left=3)
    out.print(first, style="bold")
    for kind, rows in groupby(zip(models, lines, strict=True), key=lambda row: row[0].kind):
        out.print(f"\n{kind}", style="bold blue")
        for model, line in rows:
            out.print(line, style="" if model.status == "active" else "dim")
    note = (
        "Dimensions: the first is the default. Context: tokens per input; request: tokens "
        "per request. $/1M: list price per million tokens in US dollars."
    )
    out.print("\n" + fill(note, min(out.width, 80)), style="dim")


def _cells(model: Model) -> tuple[str, ...]:
    dimensions = " ".join(map(str, model.dimensions))
    price = "" if model.price is None else f"{model.price:.2f}"
    limits = _thousands(model.context), _thousands(model.request_tokens)
    return (model.name, model.status, dimensions, *limits, price)


def _thousands(tokens: int) -> str:
    return f"{tokens // 1_000_000}M" if tokens >= 1_000_000 else f"{tokens // 1_000}K"  # noqa: PLR2004


def _as_json(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "context": model.context,
        "dimensions": model.dimensions,
        "dtypes": model.dtypes,
        "request_tokens": model.request_tokens,
        "request_inputs": model.request_inputs,
        "query_tokens": model.query_tokens,
        "video": model.video,
        "tokens_per_minute_at_tier_1": model.tokens_per_minute,
        "dollars_per_million_tokens": model.price,
        "status": model.status,
        "source": model.source,
    }
