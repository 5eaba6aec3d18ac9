"""The output of the demo, which is coloured on a terminal.

Both frameworks search the same vectors, so their hits are mostly the same: they share one table,
with a column of scores for each framework.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import CANDIDATES, SHOWN, DemoOptions
from voyage_rag.demo.questions import BUILT_IN_QUESTIONS
from voyage_rag.demo.report import (
    FRAMEWORKS,
    DemoPlan,
    DemoReport,
    QuestionResults,
    UsageByPurpose,
    total,
)
from voyage_rag.hosts.address import is_loopback

if TYPE_CHECKING:
    from rich.console import Console


RIGHT = "✓"
ABSENT = "–"
DURATION = "It takes about 15 seconds, or up to a minute on a busy machine."
MAX_NAME_COLUMNS = 44
MAX_HEADING_CHARACTERS = 40
FREE_TOKENS_PER_MINUTE = 10_000
"""Limit of an account without a payment method (docs.voyageai.com, "Rate Limits")."""


def busy(console: Console, what: str) -> AbstractContextManager[object]:
    """Show a status on a terminal."""
    return console.status(f"[dim]{what}[/]") if console.is_terminal else nullcontext()


def show_introduction(console: Console, options: DemoOptions) -> None:
    """Show what will happen and how long it takes, before anything is loaded."""
    if options.images:
        searched = f"the images of {options.images}"
    elif options.files:
        searched = f"the text of {', '.join(str(path) for path in options.files)}"
    else:
        searched = "the docstrings of Python's standard library"
    count = len(options.questions) or len(BUILT_IN_QUESTIONS)
    _wrap(
        console,
        Text(
            f"This demo embeds {_printable(searched)}, and runs {count} "
            f"{'search' if count == 1 else 'searches'} with LangChain and with LlamaIndex. "
            f"{'It takes a few seconds.' if options.images or options.files else DURATION}"
        ),
    )
    console.print()


def show_next_steps(console: Console) -> None:
    """Show three commands to try next."""
    program = _program()
    question, path = "how do I install it?", Path("README.md")
    if not path.is_file():
        question, path = "how are numbers handled?", Path(sysconfig.get_path("stdlib"), "json")
    steps = {
        "Ask your own question": 'demo "how do I sort a list by two keys?"',
        "Search your own text": f'demo "{question}" --files {path}',
        "Compare models, limits and prices": "models",
    }
    for purpose, command in steps.items():
        console.print(Text(f"\n{purpose}:", "dim"))
        line = Text(f"  {program} {command}", "bold")
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _program() -> str:
    """Return the command that runs this program from the working directory."""
    started = Path(sys.argv[0])
    if started.parts[-2:] == ("voyage_rag", "__main__.py"):
        return "python -m voyage_rag"
    is_script = started.stem == "voyage-rag" and not shutil.which("voyage-rag")
    return str(started) if is_script else "voyage-rag"


def show_plan(console: Console, plan: DemoPlan) -> None:
    """Show which service responds, what is searched, and the forecast of usage and cost."""
    compared = "colours and simple shapes" if plan.of_images else "words"
    if plan.emulated:
        opening = Text.assemble(
            ("These are not Voyage's vectors. ", "bold yellow"),
            "There is no VOYAGE_API_KEY, so an emulator on this machine responds: it implements "
            f"Voyage's API and compares {compared}, not meaning. Nothing is sent over the network, "
            "and nothing is billed.",
        )
    else:
        forecast = total(plan.forecast)
        is_local = is_loopback(urlsplit(plan.service.base_url).hostname)
        opening = Text.assemble(
            (
                f"Using the {'service on this machine' if is_local else 'live service'}",
                "bold green",
            ),
            f" at {plan.service.base_url} with your key. This will use about "
            f"{forecast.total_tokens:,} tokens, {_at_list_price(forecast.dollars)}.",
        )
        if forecast.total_tokens > FREE_TOKENS_PER_MINUTE:
            opening.append(
                " An account without a payment method is limited to 3 requests and "
                f"{FREE_TOKENS_PER_MINUTE:,} tokens a minute: with such an account, press Ctrl-C "
                f"and start with one question and --limit {3 if plan.of_images else 30}.",
                "dim",
            )
    _wrap(console, opening)
    nearest = SHOWN if plan.of_images else CANDIDATES
    reranker = f"{plan.service.rerank_model}, the best {SHOWN} of those"
    parts = {
        "images" if plan.of_images else "text": _printable(plan.corpus),
        "vectors": f"{plan.service.model}, the nearest {nearest} for each question",
        "reranker": "none: rerankers accept text only" if plan.of_images else reranker,
    }
    console.print()
    for name, value in parts.items():
        _wrap(console, Text(value), f"  {name:<8}  ")
    console.print()


def show_heading(console: Console, plan: DemoPlan) -> None:
    """Show the columns of all results."""
    judged = any(question.modules for question in plan.questions)
    thing = plan.noun.removesuffix("s")
    about = f"{thing} ({RIGHT} answers the question)" if judged else thing
    console.print(_row(console, "", FRAMEWORKS, about, style="dim"))


def show_results(console: Console, number: int, results: QuestionResults) -> None:
    """Show one question and the hits of both frameworks, with their scores side by side."""
    scores = [{hit.passage: hit.score for hit in result.hits} for result in results.results]
    found = dict.fromkeys(passage for column in scores for passage in column)
    console.print()
    console.print(Text.assemble((f"{number:>2}  ", "dim"), (results.question.text, "bold")))
    for passage in found:
        right = results.question.is_answered_by(passage.name)
        cells = [f"{column[passage]:.3f}" if passage in column else ABSENT for column in scores]
        mark, style = (RIGHT, "green") if right else ("", "")
        console.print(_row(console, mark, cells, passage.name, _gist(passage), style))
    if not found:
        console.print(Text("    nothing found", "dim"))


def show_report(console: Console, report: DemoReport) -> None:
    """Show the number of correct first hits, and actual usage, cost and durations."""
    console.print()
    if judged := len(report.judged):
        for framework, name in enumerate(FRAMEWORKS):
            console.print(
                Text.assemble(
                    (f"{name:<10}", "bold"),
                    "  correct first hit for ",
                    (f"{report.right(framework)} of {judged}", "bold green"),
                    " built-in questions, after reranking",
                )
            )
        console.print()
    _show_usage(console, report.usage)
    console.print()
    usage = total(report.usage)
    price = _at_list_price(usage.dollars)
    if report.plan.emulated:
        cost = f"It would cost {price}, based on the token counts of the emulator."
    else:
        cost = f"It cost {price}, before any free tokens of your account."
    if usage.image_pixels:
        cost += f" The images have {usage.image_pixels:,} pixels, included in the tokens."
    _wrap(console, Text(cost))
    _wrap(console, Text(_durations(report), "dim"))
    show_next_steps(console)


def _wrap(console: Console, text: Text, label: str = "") -> None:
    """Print a label and a paragraph, without the spaces that rich leaves at the end of lines.

    Wrapped lines are aligned with the paragraph.
    """
    for line in text.wrap(console, console.width - len(label)):
        line.rstrip()
        console.print(Text.assemble(label, line))
        label = " " * len(label)


def _show_usage(console: Console, usage: UsageByPurpose) -> None:
    """Show a table, or a paragraph for each row if the terminal is too narrow."""
    width = max(len(model) for item in usage.values() for model in item.by_model)
    line = f"  {{:<9}}  {{:<{width}}}  {{:>8}}  {{:>9}}  {{:>17}}".format
    heading = line("", "model", "requests", "tokens", "at list price")
    is_wide = len(heading) <= console.width
    if is_wide:
        console.print(Text(heading, "dim"))
    for purpose, item in (*usage.items(), ("total", total(usage))):
        model, style = ("", "bold") if purpose == "total" else (*item.by_model, "")
        requests, tokens = f"{item.requests:,}", f"{item.total_tokens:,}"
        price = _price(item.dollars)
        if is_wide:
            console.print(Text(line(purpose, model, requests, tokens, price), style))
        else:
            cells = [model, f"requests: {requests}", f"tokens: {tokens}", f"price: {price}"]
            _wrap(console, Text(", ".join(filter(None, cells)), style), f"  {purpose:<9}  ")


def _durations(report: DemoReport) -> str:
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
    """Return mark, scores, name and gist in columns of the same width for every question."""
    row = Text.assemble(f"  {mark:1}", style=style, no_wrap=True, overflow="ellipsis")
    for framework, score in zip(FRAMEWORKS, scores, strict=True):
        row.append(f"  {score:>{len(framework)}}")
    if gist:
        left = console.width - row.cell_len - 2
        width = min(left, max(24, min(MAX_NAME_COLUMNS, (console.width - 30) * 3 // 5)))
        row.append(f"  {set_cell_size(_shorten(_printable(name), width), width)}")
        if left > width:
            row.append(f"  {_printable(gist)}", "dim")
    else:
        row.append(f"  {name}")
    row.truncate(console.width, overflow="ellipsis")
    return row


def _shorten(name: str, width: int) -> str:
    """Omit the middle of a long name, whose beginning and end are more informative."""
    if cell_len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def _printable(text: str) -> str:
    """Replace control characters, so that a file cannot send escape sequences."""
    return "".join(character if character.isprintable() else "·" for character in text)


def _gist(passage: Passage) -> str:
    """Return the first paragraph and its headings: short paragraphs without a full stop."""
    gist = ""
    for paragraph in passage.body.split("\n\n"):
        gist += f"{' · ' if gist else ''}{' '.join(paragraph.lstrip('#').split())}"
        if len(gist) > MAX_HEADING_CHARACTERS or gist.endswith((".", "!", "?")):
            break
    return gist


def _price(dollars: float | None) -> str:
    if dollars is None:
        return "not known"
    return "<$0.0001" if 0 < dollars < 0.0001 else f"${dollars:,.4f}"  # noqa: PLR2004


def _at_list_price(dollars: float | None) -> str:
    return "an unknown price" if dollars is None else f"{_price(dollars)} at list price"
