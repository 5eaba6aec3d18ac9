"""The demo from beginning to end: text, service, vectors, questions, summary."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from voyage_rag.demo.corpus import Passage, read_files, standard_library, take
from voyage_rag.demo.images import forecast_images, read_images
from voyage_rag.demo.options import CANDIDATES, EMULATOR_KEY, DemoOptions, DemoService
from voyage_rag.demo.questions import BUILT_IN_QUESTIONS, Question
from voyage_rag.demo.report import (
    CHARACTERS_PER_TOKEN,
    FRAMEWORKS,
    DemoPlan,
    DemoReport,
    QuestionResults,
    UsageItem,
    UsageSummary,
)
from voyage_rag.demo.search import LangChainSearch, LlamaIndexSearch
from voyage_rag.demo.show import busy, show_heading, show_plan, show_report, show_results
from voyage_rag.emulator import Emulator
from voyage_rag.secret import KEY_PATH_VARIABLE, KEY_VARIABLE
from voyage_rag.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


def run(options: DemoOptions, out: Console, err: Console, began: float) -> DemoReport:
    """Run the demo.

    Args:
        options: Options of the command line.
        out: Console for the results.
        err: Console for the announcement and the progress when `out` is for JSON.
        began: When the run began, by `time.perf_counter`.

    Raises:
        DemoError: There is nothing to search.
        VoyageError: The service, or the emulator, responded with an error.
    """
    seconds = {"importing": time.perf_counter() - began}
    screen = err if options.as_json else out
    questions = tuple(map(Question, options.questions)) or BUILT_IN_QUESTIONS
    with _service(options) as (service, emulated):
        with _timed(seconds, "reading"), busy(screen, "Reading the text"):
            plan = _plan(options, questions, service, emulated=emulated)
        if not (options.as_json and emulated):
            show_plan(screen, plan)
        results, usage = _search(plan, seconds, screen, None if options.as_json else out)
    seconds["total"] = time.perf_counter() - began
    report = DemoReport(plan, results, usage, seconds)
    if options.as_json:
        out.file.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        show_report(out, report)
    return report


@contextmanager
def _service(options: DemoOptions) -> Iterator[tuple[DemoService, bool]]:
    if os.environ.get(KEY_VARIABLE) or os.environ.get(KEY_PATH_VARIABLE):
        address = Settings.resolve().base_url
        yield DemoService(options.model, options.rerank_model, address), False
    else:
        with Emulator() as address:
            yield DemoService(options.model, options.rerank_model, address, EMULATOR_KEY), True


def _plan(
    options: DemoOptions, questions: tuple[Question, ...], service: DemoService, *, emulated: bool
) -> DemoPlan:
    if options.images:
        found, what = read_images(options.images), f"images of {options.images}"
    elif options.files:
        paths = ", ".join(str(path) for path in options.files)
        report = _report_unreadable if options.skip_unreadable else None
        found, what = read_files(options.files, report), f"passages of {paths}"
    else:
        python = f"Python {platform.python_version()}"
        found, what = standard_library(), f"docstrings of the standard library of {python}"
    passages = tuple(found if options.limit is None else take(found, options.limit))
    count = f"{len(passages):,}"
    if len(passages) < len(found):
        count += f" of {len(found):,}"
    if options.images:
        forecast = UsageSummary((forecast_images(passages, service),))
    else:
        forecast = forecast_text(passages, len(questions) * len(FRAMEWORKS), service)
    of_images = options.images is not None
    corpus = f"{count} {what}"
    return DemoPlan(emulated, service, corpus, passages, questions, forecast, of_images)


def _report_unreadable(why: str) -> None:
    sys.stderr.write(f"left out: {why}\n")


def forecast_text(passages: Sequence[Passage], searches: int, service: DemoService) -> UsageSummary:
    """Estimate the usage of embedding the passages and reranking the candidates of each search."""
    tokens = sum(len(passage.text) for passage in passages) // CHARACTERS_PER_TOKEN
    reranked = tokens * min(CANDIDATES, len(passages)) * searches // max(len(passages), 1)
    return UsageSummary(
        (
            UsageItem("passages", service.model, tokens),
            UsageItem("reranking", service.rerank_model, reranked),
        )
    )


def _search(
    plan: DemoPlan, seconds: dict[str, float], screen: Console, out: Console | None
) -> tuple[tuple[QuestionResults, ...], UsageSummary]:
    service, progress = plan.service, screen.is_terminal
    with closing(LangChainSearch(plan, show_progress=progress)) as first:
        with _timed(seconds, "embedding"):
            vectors = first.index()
        indexing = first.embedder.usage
        with _timed(seconds, "indexing"), busy(screen, "Passing the vectors to LlamaIndex"):
            second = LlamaIndexSearch(plan, vectors)
        if out:
            if progress:
                out.print()
            show_heading(out, plan)
        with _timed(seconds, "asking"):
            results = tuple(_ask(plan, first, second, out))
    embedding = first.embedder.usage + second.embedder.usage
    items = [
        UsageItem.of(plan.noun, service.model, indexing),
        UsageItem.of("questions", service.model, embedding, since=indexing),
    ]
    if not plan.of_images:
        reranking = first.ranker.usage + second.ranker.usage
        items.append(UsageItem.of("reranking", service.rerank_model, reranking))
    return results, UsageSummary(tuple(items))


def _ask(
    plan: DemoPlan, first: LangChainSearch, second: LlamaIndexSearch, out: Console | None
) -> Iterator[QuestionResults]:
    """Search for every question with both frameworks, and show the results of each at once."""
    with asyncio.Runner() as runner:
        try:
            for number, question in enumerate(plan.questions, start=1):
                found = first.search(question.text), runner.run(second.search(question.text))
                results = QuestionResults(question, found)
                if out:
                    show_results(out, number, results)
                yield results
        finally:
            runner.run(second.aclose())


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
