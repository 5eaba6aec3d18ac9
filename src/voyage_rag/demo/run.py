"""The demo from beginning to end: text, service, vectors, questions, summary."""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voyage_rag.demo.corpus import Passage, read_files, standard_library, take
from voyage_rag.demo.images import forecast_images, read_images
from voyage_rag.demo.options import CANDIDATES, DemoOptions, DemoService
from voyage_rag.demo.questions import BUILT_IN_QUESTIONS, Question
from voyage_rag.demo.report import (
    CHARACTERS_PER_TOKEN,
    FRAMEWORKS,
    DemoPlan,
    DemoReport,
    QuestionResults,
    UsageByPurpose,
)
from voyage_rag.demo.search import LangChainSearch, LlamaIndexSearch, connect
from voyage_rag.demo.show import busy, show_heading, show_plan, show_report, show_results
from voyage_rag.emulator import Emulator
from voyage_rag.emulator.options import EMULATOR_KEY
from voyage_rag.observe import track_usage
from voyage_rag.secret import is_key_in_environment
from voyage_rag.settings import Settings
from voyage_rag.usage import Usage

if TYPE_CHECKING:
    from rich.console import Console


def run(options: DemoOptions, out: Console, err: Console, began: float) -> DemoReport:
    """Run the demo. `began` is its start by `time.perf_counter`; see `run_demo`."""
    seconds = {"importing": time.perf_counter() - began}
    screen = err if options.as_json else out
    questions = tuple(map(Question, options.questions)) or BUILT_IN_QUESTIONS
    with _service(options) as (service, emulated):
        gc.freeze()  # parsing starts many collections, which would visit every imported module
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
    if is_key_in_environment():
        address = Settings.resolve().base_url
        yield DemoService(options.model, options.rerank_model, address), False
    else:
        with Emulator() as address:
            yield DemoService(options.model, options.rerank_model, address, EMULATOR_KEY), True


def _plan(
    options: DemoOptions, questions: tuple[Question, ...], service: DemoService, *, emulated: bool
) -> DemoPlan:
    if options.images:
        found, noun, origin = read_images(options.images), "image", str(options.images)
    elif options.files:
        report = _report_unreadable if options.skip_unreadable else None
        found, noun = read_files(options.files, report), "passage"
        origin = ", ".join(map(str, options.files))
    else:
        found, noun = standard_library(), "docstring"
        origin = f"the standard library of Python {platform.python_version()}"
    passages = tuple(found if options.limit is None else take(found, options.limit))
    count = f"{len(passages):,}"
    if len(passages) < len(found):
        count += f" of {len(found):,}"
    if options.images:
        forecast: UsageByPurpose = {"images": forecast_images(passages, service)}
    else:
        forecast = forecast_text(passages, len(questions) * len(FRAMEWORKS), service)
    of_images = options.images is not None
    corpus = f"{count} {noun}{'' if len(found) == 1 else 's'} of {origin}"
    return DemoPlan(emulated, service, corpus, passages, questions, forecast, of_images)


def _report_unreadable(why: str) -> None:
    sys.stderr.write(f"skipped: {why}\n")


def forecast_text(
    passages: Sequence[Passage], searches: int, service: DemoService
) -> UsageByPurpose:
    """Estimate the usage of embedding the passages and reranking the candidates of each search."""
    tokens = sum(len(passage.text) for passage in passages) // CHARACTERS_PER_TOKEN
    reranked = tokens * min(CANDIDATES, len(passages)) * searches // max(len(passages), 1)
    return {
        "passages": Usage(tokens).of(service.model),
        "reranking": Usage(reranked).of(service.rerank_model),
    }


def _search(
    plan: DemoPlan, seconds: dict[str, float], screen: Console, out: Console | None
) -> tuple[tuple[QuestionResults, ...], UsageByPurpose]:
    service, progress = plan.service, screen.is_terminal
    with connect(service) as client:
        first = LangChainSearch(plan, client, show_progress=progress)
        with _timed(seconds, "embedding"), track_usage() as indexing:
            vectors = first.index()
        with _timed(seconds, "indexing"), busy(screen, "Passing the vectors to LlamaIndex"):
            second = LlamaIndexSearch(plan, client, vectors)
        if out:
            if progress:
                out.print()
            show_heading(out, plan)
        with _timed(seconds, "asking"), track_usage() as asking:
            results = tuple(_ask(plan, first, second, out))
    usage = {plan.noun: indexing.usage, "questions": asking.by_model[service.model]}
    if not plan.of_images:
        usage["reranking"] = asking.by_model[service.rerank_model]
    return results, usage


def _ask(
    plan: DemoPlan, first: LangChainSearch, second: LlamaIndexSearch, out: Console | None
) -> Iterator[QuestionResults]:
    """Search for every question with both frameworks, and show its results immediately."""
    with asyncio.Runner() as runner:
        for number, question in enumerate(plan.questions, start=1):
            found = first.search(question.text), runner.run(second.search(question.text))
            results = QuestionResults(question, found)
            if out:
                show_results(out, number, results)
            yield results


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
