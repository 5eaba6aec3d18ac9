"""Results of a run as data: plan, hits, usage and cost, for the screen and for `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoService
from voyage_rag.demo.questions import Question
from voyage_rag.usage import Usage

FRAMEWORKS = ("LangChain", "LlamaIndex")
"""In the order of results."""

CHARACTERS_PER_TOKEN = 4
"""For the forecast only. Prose has about five; docstrings contain more punctuation."""

UsageByPurpose: TypeAlias = Mapping[str, Usage]
"""For `passages` or `images`, `questions` and `reranking`: the usage of one model each."""


def total(usage: UsageByPurpose) -> Usage:
    """Return the usage for all purposes."""
    return sum(usage.values(), Usage())


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The plan of a run.

    Attributes:
        emulated: Whether the emulator responds, instead of the service.
        service: Address and models; `base_url` is always set.
        corpus: A description of the text or images to search.
        passages: The passages; for images, their names.
        of_images: Whether the passages represent images, which are not reranked.
    """

    emulated: bool
    service: DemoService
    corpus: str
    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]
    forecast: UsageByPurpose
    of_images: bool = False

    @property
    def noun(self) -> str:
        """`passages` or `images`."""
        return "images" if self.of_images else "passages"


class Hit(NamedTuple):
    """A passage and its relevance, 0 to 1; for an image the cosine of the vectors."""

    passage: Passage
    score: float


class SearchResult(NamedTuple):
    """The best hits for one question, best first, and the seconds that the search took."""

    hits: tuple[Hit, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class QuestionResults:
    """One question and the results of each framework, in the order of `FRAMEWORKS`."""

    question: Question
    results: tuple[SearchResult, ...]

    def is_right(self, framework: int) -> bool:
        """Return whether the framework's first hit belongs to a correct module."""
        hits = self.results[framework].hits
        return bool(hits) and self.question.is_answered_by(hits[0].passage.name)

    def as_json(self) -> dict[str, Any]:
        """Return the results in JSON's types."""
        return {
            "question": self.question.text,
            "right_modules": list(self.question.modules),
            "answers": {
                name: {
                    "hits": [
                        {
                            "name": hit.passage.name,
                            "score": hit.score,
                            "source": hit.passage.source,
                            "line": hit.passage.line,
                            "text": hit.passage.body,
                        }
                        for hit in result.hits
                    ],
                    "seconds": round(result.seconds, 4),
                }
                for name, result in zip(FRAMEWORKS, self.results, strict=True)
            },
        }


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Results of a run.

    Attributes:
        seconds: Duration of each stage by its name, in order; "total" is the last.
    """

    plan: DemoPlan
    questions: tuple[QuestionResults, ...]
    usage: UsageByPurpose
    seconds: dict[str, float]

    @property
    def judged(self) -> tuple[QuestionResults, ...]:
        """The built-in questions, whose correct modules are known."""
        return tuple(results for results in self.questions if results.question.modules)

    def right(self, framework: int) -> int:
        """Return the number of built-in questions with a correct first hit of a framework."""
        return sum(results.is_right(framework) for results in self.judged)

    def seconds_per_question(self, framework: int) -> float:
        """Return the framework's mean duration of a question."""
        spent = [results.results[framework].seconds for results in self.questions]
        return sum(spent) / len(spent)

    def as_json(self) -> dict[str, Any]:
        """Return the report in JSON's types. It contains no key."""
        plan = self.plan
        right = {name: self.right(framework) for framework, name in enumerate(FRAMEWORKS)}
        return {
            "emulated": plan.emulated,
            "base_url": plan.service.base_url,
            "model": plan.service.model,
            "rerank_model": None if plan.of_images else plan.service.rerank_model,
            "text": plan.corpus,
            plan.noun: len(plan.passages),
            "questions": [results.as_json() for results in self.questions],
            "first_hit_right": right if self.judged else None,
            "built_in_questions": len(self.judged),
            "usage": [
                {
                    "purpose": purpose,
                    "model": next(iter(usage.by_model)),
                    "tokens": usage.total_tokens,
                    "requests": usage.requests,
                    "image_pixels": usage.image_pixels,
                    "dollars": usage.dollars,
                }
                for purpose, usage in self.usage.items()
            ],
            "total_tokens": total(self.usage).total_tokens,
            "dollars": total(self.usage).dollars,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }
