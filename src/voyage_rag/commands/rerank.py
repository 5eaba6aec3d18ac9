"""`voyage-rag rerank`: order lines, files or records by relevance."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text as Styled

from voyage_rag.commands.options import (
    AsJSON,
    BaseURL,
    Emulated,
    Encoding,
    SkipUnreadable,
    input_path,
)
from voyage_rag.commands.screen import (
    console,
    dollars,
    one_line,
    plural,
    remark,
    shortened,
    working,
    write_json,
)
from voyage_rag.commands.service import connected
from voyage_rag.commands.texts import AsFormat, Field, Text, read_texts

if TYPE_CHECKING:
    from voyage_rag.types import RerankingObject

MODEL = "rerank-3"
MAX_SOURCE_WIDTH = 32

EXAMPLES = (
    'rerank "how do I read a file?" answers.txt --top-k 3',
    'rerank "who signed?" notes/ --format whole',
    'git log --format=%s | voyage-rag rerank "faster import" -',
    'rerank "refunds" faq.jsonl --field question --json',
)


def rerank(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The search query.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=input_path,
            metavar="FILE",
            help="Files or folders of documents, one per line by default; - or nothing for stdin.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", min=1, metavar="N", help="Show only the best N."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="The reranker.")] = MODEL,
    form: AsFormat = None,
    field: Field = "text",
    encoding: Encoding = None,
    skip_unreadable: SkipUnreadable = False,
    base_url: BaseURL = None,
    emulated: Emulated = False,
    as_json: AsJSON = False,
) -> None:
    """Order documents by relevance to a query.

    On a terminal, the result is a table. In a pipe, each document is a line with score, source and
    text, separated by tabs. Scores are between 0 and 1. Uses the live service; the tokens of the
    documents are billed, and those of the query once per document.
    """
    documents = read_texts(
        files or [], form, field, encoding, otherwise="lines", skip=skip_unreadable
    )
    with connected(base_url, emulated=emulated) as voyage, working(f"Ranking {len(documents):,}"):
        ranking = voyage.rerank(query, [text.text for text in documents], model, top_k)
    if as_json:
        write_json(_as_json(query, ranking, documents, emulated=emulated))
    else:
        _show(ranking, documents)
    _show_cost(ranking, len(documents))


def _show(ranking: RerankingObject, documents: list[Text]) -> None:
    out = console()
    if not out.is_terminal:
        for found in ranking.results:
            source, text = documents[found.index].source, found.document
            sys.stdout.write(f"{found.relevance_score:.4f}\t{source}\t{one_line(text)}\n")
        return
    sources = [one_line(documents[found.index].source) for found in ranking.results]
    width = min(MAX_SOURCE_WIDTH, out.width // 3, max(map(len, sources), default=0))
    for rank, (found, source) in enumerate(zip(ranking.results, sources, strict=True), start=1):
        row = Styled.assemble(
            (f"{rank:>3}  ", "dim"),
            (f"{found.relevance_score:.4f}  ", "bold green"),
            (f"{shortened(source, width):<{width}}  ", "dim"),
            one_line(found.document),
        )
        row.truncate(out.width, overflow="ellipsis")
        out.print(row)


def _show_cost(ranking: RerankingObject, documents: int) -> None:
    from voyage_rag.models import look_up  # noqa: PLC0415 - not needed for help

    price = look_up(ranking.model, "rerank").cost(ranking.total_tokens)
    remark(
        f"{plural(documents, 'document')}, {plural(ranking.total_tokens, 'token')} of "
        f"{ranking.model}: {dollars(price)} at list price"
    )


def _as_json(
    query: str, ranking: RerankingObject, documents: list[Text], *, emulated: bool
) -> dict[str, object]:
    return {
        "query": query,
        "model": ranking.model,
        "emulated": emulated,
        "results": [
            {
                "index": found.index,
                "relevance_score": found.relevance_score,
                "source": documents[found.index].source,
                "document": found.document,
            }
            for found in ranking.results
        ],
        "total_tokens": ranking.total_tokens,
    }
