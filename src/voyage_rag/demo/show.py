"""How a run looks: made for a terminal, and the same words without colour in a pipe.

Both frameworks search the same vectors, so their hits mostly agree: they share one table, with a
column of scores for each.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from voyage_rag.demo.options import CANDIDATES, SHOWN
from voyage_rag.demo.report import FRAMEWORKS
from voyage_rag.hosts.address import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from voyage_rag.demo.corpus import Passage
    from voyage_rag.demo.report import Exchange, Plan, Report

RIGHT = "✓"
ABSENT = "–"
WIDEST_NAME = 44
LONGEST_HEADING = 40
FREE_TOKENS_PER_MINUTE = 10_000
"""Of an account without a payment method (docs.voyageai.com, "Rate Limits")."""


def busy(console: Console, what: str) -> AbstractContextManager[object]:
    """Show that something takes a moment, on a terminal only."""
    return console.status(f"[dim]{what}[/]") if console.is_terminal else nullcontext()


def show_plan(console: Console, plan: Plan) -> None:
    """Say who answers, from what, and, before anything is spent, what it will take."""
    compared = (
        "colours and simple shapes, not meaning" if plan.of_pictures else "words, not meaning"
    )
    if plan.emulated:
        opening = Text.assemble(
            ("These are not Voyage's vectors. ", "bold yellow"),
            "There is no VOYAGE_API_KEY, so an emulator on this machine answers: it speaks Voyage's"
            f" API and compares {compared}. Nothing is sent anywhere, nothing is spent.",
        )
    else:
        forecast = plan.forecast
        own = urlsplit(plan.service.base_url).hostname in LOOPBACK
        opening = Text.assemble(
            (f"Using the {'service on this machine' if own else 'live service'}", "bold green"),
            f" at {plan.service.base_url} with your key. This will spend about "
            f"{forecast.tokens:,} tokens, {_at_list_price(forecast.dollars)}.",
        )
        if forecast.tokens > FREE_TOKENS_PER_MINUTE:
            opening.append(
                " An account without a payment method is held to 3 requests and "
                f"{FREE_TOKENS_PER_MINUTE:,} tokens a minute: there, press Ctrl-C and begin with "
                f"one question of your own and --limit {3 if plan.of_pictures else 30}.",
                "dim",
            )
    reranker = f"{plan.service.rerank_model}, the best {SHOWN} of those"
    facts = Text.assemble(
        f"  {'pictures' if plan.of_pictures else 'text':<8}  {_printable(plan.text)}",
        f"\n  vectors   {plan.service.model}, the nearest "
        f"{SHOWN if plan.of_pictures else CANDIDATES} for each question",
        f"\n  reranker  {'none: rerankers take text only' if plan.of_pictures else reranker}",
    )
    _wrap(console, opening)
    console.print()
    console.print(facts)
    console.print()


def show_heading(console: Console, plan: Plan) -> None:
    """Name the columns of the answers to come, once for all of them."""
    judged = any(question.modules for question in plan.questions)
    thing = "picture" if plan.of_pictures else "passage"
    about = f"{thing} ({RIGHT} of a module that answers)" if judged else thing
    console.print(_row(console, "", FRAMEWORKS, about, style="dim"))


def show_exchange(console: Console, number: int, exchange: Exchange) -> None:
    """Show one question and the hits of both frameworks, with their scores side by side."""
    scores = [{hit.passage: hit.score for hit in answer.hits} for answer in exchange.answers]
    found = dict.fromkeys(passage for column in scores for passage in column)
    console.print()
    console.print(Text.assemble((f"{number:>2}  ", "dim"), (exchange.question.text, "bold")))
    for passage in found:
        right = exchange.question.is_answered_by(passage.name)
        cells = [f"{column[passage]:.3f}" if passage in column else ABSENT for column in scores]
        row = _row(
            console,
            RIGHT if right else "",
            cells,
            passage.name,
            _gist(passage),
            style="green" if right else "",
        )
        console.print(row)
    if not found:
        console.print(Text("    nothing found", "dim"))


def show_report(console: Console, report: Report) -> None:
    """Sum up: how many first hits were right, what it took and what that costs."""
    console.print()
    if judged := len(report.judged):
        for framework, name in enumerate(FRAMEWORKS):
            console.print(
                Text.assemble(
                    (f"{name:<10}", "bold"),
                    "  first hit right for ",
                    (f"{report.right(framework)} of {judged}", "bold green"),
                    " built-in questions after rerank",
                )
            )
        console.print()
    console.print(_bill(report))
    console.print()
    price = _at_list_price(report.bill.dollars)
    if report.plan.emulated:
        told = f"It would cost {price}, by the emulator's own token counts."
    else:
        told = f"It cost {price}, before any free tokens of your account."
    if report.bill.pixels:
        told += f" The pictures count {report.bill.pixels:,} pixels, within the tokens."
    _wrap(console, Text(told))
    _wrap(console, Text(_times(report), "dim"))


def _wrap(console: Console, text: Text) -> None:
    """Print a paragraph without the blanks that rich leaves at the end of wrapped lines."""
    for line in text.wrap(console, console.width):
        line.rstrip()
        console.print(line)


def _bill(report: Report) -> Text:
    bill = report.bill
    width = max(len(item.model) for item in bill.items)
    line = f"  {{:<9}}  {{:<{width}}}  {{:>8}}  {{:>9}}  {{:>17}}\n".format
    table = Text(line("", "model", "requests", "tokens", "at list price"), "dim", end="")
    for item in bill.items:
        price = _price(item.dollars)
        table.append(line(item.what, item.model, item.requests, f"{item.tokens:,}", price))
    total = _price(bill.dollars)
    table.append(line("total", "", bill.requests, f"{bill.tokens:,}", total).rstrip(), "bold")
    return table


def _times(report: Report) -> str:
    stages = ", ".join(
        f"{stage} {taken:.1f} s" for stage, taken in report.seconds.items() if stage != "total"
    )
    each = ", ".join(
        f"{name} {1000 * report.seconds_per_question(framework):.0f} ms"
        for framework, name in enumerate(FRAMEWORKS)
    )
    return f"Took {report.seconds['total']:.1f} s: {stages} (per question {each})."


def _row(
    console: Console,
    mark: str,
    scores: Iterable[str],
    name: str,
    gist: str = "",
    style: str = "",
) -> Text:
    """One line of mark, scores, name and gist, whose columns are as wide for every question."""
    row = Text.assemble(f"  {mark:1}", style=style, no_wrap=True, overflow="ellipsis")
    for framework, score in zip(FRAMEWORKS, scores, strict=True):
        row.append(f"  {score:>{len(framework)}}")
    if gist:
        width = _name_width(console)
        row.append(f"  {set_cell_size(_shorten(_printable(name), width), width)}")
        row.append(f"  {_printable(gist)}", "dim")
    else:
        row.append(f"  {name}")
    row.truncate(console.width, overflow="ellipsis")
    return row


def _name_width(console: Console) -> int:
    return max(24, min(WIDEST_NAME, (console.width - 30) * 3 // 5))


def _shorten(name: str, width: int) -> str:
    """Cut out the middle: a name tells most at its ends, and a file's line stands last."""
    if cell_len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def _printable(text: str) -> str:
    """Keep a file's escape sequences from reaching the terminal."""
    return "".join(character if character.isprintable() else "·" for character in text)


def _gist(passage: Passage) -> str:
    """The first paragraph, after the headings above it: what ends without a full stop, and soon."""
    gist = ""
    for paragraph in passage.body.split("\n\n"):
        gist += f"{' · ' if gist else ''}{' '.join(paragraph.lstrip('#').split())}"
        if len(gist) > LONGEST_HEADING or gist.endswith((".", "!", "?")):
            break
    return gist


def _price(dollars: float | None) -> str:
    if dollars is None:
        return "not known"
    return "<$0.0001" if 0 < dollars < 0.0001 else f"${dollars:,.4f}"  # noqa: PLR2004


def _at_list_price(dollars: float | None) -> str:
    return "an unknown price" if dollars is None else f"{_price(dollars)} at list price"
