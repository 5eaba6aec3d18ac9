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
from voyage_rag.demo.options import CANDIDATES
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
    from voyage_rag.types import Usage

EMULATOR_KEY = "pa-the-emulator-takes-any-key"


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
    with _service(options) as (service, emulated):
        with _timed(seconds, "reading"), busy(screen, "Reading the text"):
            passages, text = _text(options)
        searches = len(questions) * len(FRAMEWORKS)
        forecast = foresee(passages, searches, CANDIDATES, service.model, service.rerank_model)
        plan = Plan(emulated, service, text, passages, questions, forecast)
        if not (options.as_json and emulated):
            show_plan(screen, plan)
        exchanges, bill = _search(plan, seconds, screen, None if options.as_json else out)
    seconds["total"] = time.perf_counter() - began
    report = Report(plan, exchanges, bill, seconds)
    if options.as_json:
        out.file.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        show_report(out, report)
    return report


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
def _service(options: Options) -> Iterator[tuple[Service, bool]]:
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
        with _timed(seconds, "embedding"):
            first.index()
        for_passages = first.embedder.usage
        with _timed(seconds, "indexing"), busy(screen, "Handing the vectors to LlamaIndex"):
            second = LlamaIndexSearch(plan.passages, first.vectors, service)
        if answers:
            if progress:
                answers.print()
            show_heading(answers, plan)
        with _timed(seconds, "asking"):
            exchanges = tuple(_ask(plan, first, second, answers))
    embedding = first.embedder.usage + second.embedder.usage
    ranking = first.ranker.usage + second.ranker.usage
    return exchanges, Bill(
        (
            _item("passages", service.model, for_passages),
            Item(
                "questions",
                service.model,
                embedding.total_tokens - for_passages.total_tokens,
                embedding.requests - for_passages.requests,
            ),
            _item("reranking", service.rerank_model, ranking),
        )
    )


def _ask(
    plan: Plan, first: LangChainSearch, second: LlamaIndexSearch, answers: Console | None
) -> Iterator[Exchange]:
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


def _item(what: str, model: str, usage: Usage) -> Item:
    return Item(what, model, usage.total_tokens, usage.requests)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
