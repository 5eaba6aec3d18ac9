"""The demo's text, read once, and a small run made by hand."""

import gc
from collections.abc import Callable

import pytest

from voyage_rag.demo.corpus import Passage, standard_library
from voyage_rag.demo.options import DemoService
from voyage_rag.demo.questions import Question
from voyage_rag.demo.report import (
    DemoPlan,
    DemoReport,
    Hit,
    QuestionResults,
    SearchResult,
)
from voyage_rag.usage import Usage

KEY = "pa-this-is-a-secret"

READER = Passage("csv.reader", "csv.reader\nRead rows [of a :file:].\n\nMore.", "csv (built in)", 0)
SORTER = Passage("sorted", "sorted\nReturn a new list.", "builtins (built in)", 0)
LONG = Passage("a." * 60 + "zz", "heading\n" + "many words " * 60, "a.py", 3)


def run_by_hand(
    *,
    emulated: bool = True,
    modules: tuple[str, ...] = ("csv",),
    model: str = "voyage-4-lite",
) -> DemoReport:
    """One question that LangChain gets right and LlamaIndex does not."""
    question = Question("How do I read [rows]?", modules)
    first = SearchResult((Hit(READER, 0.875), Hit(SORTER, 0.5)), 0.1)
    second = SearchResult((Hit(LONG, 0.75), Hit(READER, 0.625)), 0.3)
    service = DemoService(model, "rerank-3-lite", "https://api.voyageai.com/v1", KEY)
    plan = DemoPlan(
        emulated=emulated,
        service=service,
        corpus="3 docstrings",
        passages=(READER, SORTER, LONG),
        questions=(question,),
        forecast={"passages": Usage(1_000_000).of(model)},
    )
    usage = {
        "passages": Usage(1_000_000, 3).of(model),
        "questions": Usage(10, 2).of(model),
        "reranking": Usage(500_000, 2).of("rerank-3-lite"),
    }
    seconds = {"reading": 1.0, "embedding": 2.0, "total": 4.0}
    return DemoReport(plan, (QuestionResults(question, (first, second)),), usage, seconds)


@pytest.fixture(scope="session")
def library() -> list[Passage]:
    """The docstrings of the standard library, which take seconds to parse."""
    gc.freeze()  # as the demo does
    return standard_library()


@pytest.fixture
def make_report() -> Callable[..., DemoReport]:
    """Make a run with the emulator or without, of a built-in question or of one's own."""
    return run_by_hand
