"""The demo from beginning to end: text, service, vectors, questions, summary."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from voyage_rag.demo.bill import Bill, Item, foresee
from voyage_rag.demo.corpus import read_files, standard_library, take
from voyage_rag.demo.errors import DemoError
from voyage_rag.demo.options import CANDIDATES, EMULATOR_KEY
from voyage_rag.demo.questions import BUILT_IN_QUESTIONS, Question
from voyage_rag.demo.report import FRAMEWORKS, Exchange, Plan, Report
from voyage_rag.demo.search import LangChainSearch, LlamaIndexSearch, Service
from voyage_rag.demo.show import busy, show_exchange, show_heading, show_plan, show_report
from voyage_rag.emulator import Emulator
from voyage_rag.secret import KEY_PATH_VARIABLE, KEY_VARIABLE
from voyage_rag.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from voyage_rag.demo.corpus import Passage
    from voyage_rag.demo.options import Options
    from voyage_rag.demo.search import AsyncSearcher, Searcher
    from voyage_rag.types import Usage


def run(options: Options, out: Console, err: Console, began: float) -> Report:
    """Run the demo.

    Args:
        options: What to do.
        out: Where answers go.
        err: Where the announcement and the progress go when `out` is for JSON.
        began: When the run began, by `time.perf_counter`.

    Raises:
        DemoError: There is nothing to search or nothing to ask.
        VoyageError: The service, or the emulator, would not answer.
    """
    seconds = {"importing": time.perf_counter() - began}
    screen = err if options.as_json else out
    questions = _questions(options)
    with reach(options) as (service, emulated):
        with timed(seconds, "reading"), busy(screen, "Reading the text"):
            passages, text = _text(options)
        searches = len(questions) * len(FRAMEWORKS)
        forecast = foresee(passages, searches, CANDIDATES, service.model, service.rerank_model)
        plan = Plan(emulated, service, text, passages, questions, forecast)
        if not (options.as_json and emulated):
            show_plan(screen, plan)
        exchanges, bill = _search(plan, seconds, screen, None if options.as_json else out)
    seconds["total"] = time.perf_counter() - began
    report = Report(plan, exchanges, bill, seconds)
    tell(report, options, out)
    return report


def tell(report: Report, options: Options, out: Console) -> None:
    """Sum up the run, as text or as JSON."""
    if options.as_json:
        out.file.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        show_report(out, report)


def _questions(options: Options) -> tuple[Question, ...]:
    if not options.questions and options.files:
        raise DemoError(
            "ask your files something: the built-in questions are about Python's standard library"
        )
    if not all(text.strip() for text in options.questions):
        raise DemoError("a question is empty: write it in quotes")
    return tuple(Question(text) for text in options.questions) or BUILT_IN_QUESTIONS


def _text(options: Options) -> tuple[tuple[Passage, ...], str]:
    found = read_files(options.files) if options.files else standard_library()
    passages = found if options.limit is None else take(found, options.limit)
    count = f"{len(passages):,}"
    if len(passages) < len(found):
        count += f" of {len(found):,}"
    if options.files:
        what = f"passages of {', '.join(str(path) for path in options.files)}"
    else:
        what = f"docstrings of the standard library of Python {platform.python_version()}"
    return tuple(passages), f"{count} {what}"


@contextmanager
def reach(options: Options) -> Iterator[tuple[Service, bool]]:
    """The live service where there is a key, else an emulator for the time of the run."""
    if os.environ.get(KEY_VARIABLE) or os.environ.get(KEY_PATH_VARIABLE):
        address = Settings.resolve().base_url
        yield Service(options.model, options.rerank_model, address), False
    else:
        with Emulator() as address:
            yield Service(options.model, options.rerank_model, address, EMULATOR_KEY), True


def _search(
    plan: Plan, seconds: dict[str, float], screen: Console, answers: Console | None
) -> tuple[tuple[Exchange, ...], Bill]:
    service, progress = plan.service, screen.is_terminal
    with closing(LangChainSearch(plan.passages, service, show_progress=progress)) as first:
        with timed(seconds, "embedding"):
            first.index()
        for_passages = first.embedder.usage
        with timed(seconds, "indexing"), busy(screen, "Handing the vectors to LlamaIndex"):
            second = LlamaIndexSearch(plan.passages, first.vectors, service)
        if answers:
            if progress:
                answers.print()
            show_heading(answers, plan)
        with timed(seconds, "asking"):
            exchanges = tuple(ask_all(plan, first, second, answers))
    embedding = first.embedder.usage + second.embedder.usage
    ranking = first.ranker.usage + second.ranker.usage
    return exchanges, Bill(
        (
            item_of("passages", service.model, for_passages),
            questions_item(service.model, embedding, for_passages),
            item_of("reranking", service.rerank_model, ranking),
        )
    )


def ask_all(
    plan: Plan, first: Searcher, second: AsyncSearcher, answers: Console | None
) -> Iterator[Exchange]:
    """Put every question to both frameworks, and show what they answer as it comes."""
    with asyncio.Runner() as runner:
        try:
            for number, question in enumerate(plan.questions, start=1):
                found = first.ask(question.text), runner.run(second.ask(question.text))
                exchange = Exchange(question, found)
                if answers:
                    show_exchange(answers, number, exchange)
                yield exchange
        finally:
            runner.run(second.aclose())


def item_of(what: str, model: str, usage: Usage) -> Item:
    """The line of a bill for what a client has spent."""
    return Item(what, model, usage.total_tokens, usage.requests, usage.image_pixels)


def questions_item(model: str, embedding: Usage, indexing: Usage) -> Item:
    """The line for the questions: what embedding took beyond the index."""
    return Item(
        "questions",
        model,
        embedding.total_tokens - indexing.total_tokens,
        embedding.requests - indexing.requests,
    )


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note how long a stage takes."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
