"""`voyage-rag tokens`: estimate the cost of texts without sending them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voyage_rag.commands.options import AsJSON, Encoding, SkipUnreadable, input_path
from voyage_rag.commands.screen import (
    console,
    dollars,
    duration,
    one_line,
    shortened,
    span,
    table,
    working,
    write_json,
)
from voyage_rag.commands.texts import AsFormat, Field, Text, read_texts
from voyage_rag.models import Model

if TYPE_CHECKING:
    from voyage_rag.counting import TokenCounter, TokenRange

MAX_FILE_WIDTH = 40
ESTIMATED = (
    "An estimate, from five characters per token (English prose, by Voyage's documentation) to "
    "three (used for planning), and fewer for non-ASCII text. Exact counts: --tokenizer."
)
COUNTED = "Counted with the given tokenizer, which must be that of the model."

EXAMPLES = (
    "tokens book.txt",
    "tokens notes/ --model voyage-4 --model voyage-context-4",
    "tokens passages.jsonl --field body --json",
    "tokens book.txt --model voyage-4 --tokenizer tokenizer.json",
    "tokens - < book.txt",
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A file and its counts."""

    file: str
    characters: tuple[int, ...]
    tokens: tuple[TokenRange, ...]


def tokens(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=input_path, metavar="FILE", help="Files or folders; - or nothing for stdin."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A model; repeat for several.",
            show_default="all active models for text",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model's tokenizer.json, to count exactly."),
    ] = None,
    form: AsFormat = None,
    field: Field = "text",
    encoding: Encoding = None,
    skip_unreadable: SkipUnreadable = False,
    as_json: AsJSON = False,
) -> None:
    """Estimate the tokens, cost and time of texts for each model.

    Nothing is sent. Without --tokenizer, the numbers are estimates and marked as such. Voyage
    publishes the tokenizer.json of each model at huggingface.co/voyageai.
    """
    from voyage_rag.counting import TokenCounter  # noqa: PLC0415 - not needed for help

    if tokenizer and not model:
        raise typer.BadParameter("--tokenizer requires --model: pass the model of the tokenizer")
    counter = TokenCounter(tokenizer)
    texts = read_texts(files or [], form, field, encoding, otherwise="whole", skip=skip_unreadable)
    with working("Counting"):
        counted = list(_count(texts, counter))
    models = _chosen(model)
    if as_json:
        write_json(_as_json(counted, models, counter))
    else:
        _show(counted, models, counter)


def _count(texts: Iterable[Text], counter: TokenCounter) -> Iterator[Counted]:
    for file, group in groupby(texts, key=lambda text: text.file):
        contents = [text.text for text in group]
        yield Counted(file, tuple(map(len, contents)), tuple(map(counter, contents)))


def _chosen(names: Sequence[str] | None) -> list[Model]:
    from voyage_rag.models import MODELS, kind_of, look_up  # noqa: PLC0415 - not needed for help

    if names:
        return [look_up(name, kind_of(name)) for name in names]
    for_text = {"embedding", "contextualized"}
    return [row for row in MODELS.values() if row.status == "active" and row.kind in for_text]


def _show(counted: list[Counted], models: list[Model], counter: TokenCounter) -> None:
    out = console()
    rows = [(shortened(entry.file, MAX_FILE_WIDTH), *_figures([entry])) for entry in counted]
    if len(counted) > 1:
        rows.append(("total", *_figures(counted)))
    header, *lines = table(("file", "texts", "characters", "tokens"), rows, out.width, left=1)
    out.print(header, style="bold")
    for at, line in enumerate(lines):
        out.print(line, markup=False, style="bold" if at == len(counted) else "")
    out.print()
    _show_models(counted, models)
    out.print(f"\n{COUNTED if counter.is_exact else ESTIMATED}", style="dim")


def _show_models(counted: list[Counted], models: list[Model]) -> None:
    out = console()
    low, high = _total(counted)
    rows = [
        (
            one_line(model.name),
            "?" if model.price is None else f"{model.price:.2f}",
            span(dollars(model.cost(low)), dollars(model.cost(high))),
            _duration(high, model),
            f"{_too_long(counted, model):,}",
        )
        for model in models
    ]
    columns = ("model", "$/1M", "at list price", "time at tier 1", "too long")
    header, *lines = table(columns, rows, out.width, left=1)
    out.print(header, style="bold")
    for line in lines:
        out.print(line, markup=False)
    notes = "\nTime at tier 1: at the limit of tokens per minute. Too long: texts "
    notes += "that may exceed the model's context and would be truncated."
    if any(model.kind == "rerank" for model in models):
        notes += " A reranker additionally counts the query once per document."
    out.print(notes, style="dim")


def _figures(counted: list[Counted]) -> tuple[str, str, str]:
    low, high = _total(counted)
    texts = sum(len(entry.tokens) for entry in counted)
    characters = sum(sum(entry.characters) for entry in counted)
    return f"{texts:,}", f"{characters:,}", span(f"{low:,}", f"{high:,}")


def _total(counted: Iterable[Counted]) -> tuple[int, int]:
    ranges = [tokens for entry in counted for tokens in entry.tokens]
    return sum(tokens.low for tokens in ranges), sum(tokens.high for tokens in ranges)


def _too_long(counted: Iterable[Counted], model: Model) -> int:
    return sum(tokens.high > model.context for entry in counted for tokens in entry.tokens)


def _duration(tokens: int, model: Model) -> str:
    if model.tokens_per_minute is None:
        return "?"
    return duration(60 * tokens / model.tokens_per_minute)


def _as_json(
    counted: list[Counted], models: list[Model], counter: TokenCounter
) -> dict[str, object]:
    low, high = _total(counted)
    return {
        "exact": counter.is_exact,
        "files": [
            {
                "file": entry.file,
                "texts": len(entry.tokens),
                "characters": sum(entry.characters),
                "tokens": _total([entry]),
            }
            for entry in counted
        ],
        "tokens": (low, high),
        "models": [
            {
                "name": model.name,
                "dollars_per_million_tokens": model.price,
                "dollars": (model.cost(low), model.cost(high)),
                "tokens_per_minute_at_tier_1": model.tokens_per_minute,
                "too_long": _too_long(counted, model),
            }
            for model in models
        ],
    }
