"""Results of a run as data: plan, hits, usage and cost, for the screen and for `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoService
from voyage_rag.demo.questions import Question
from voyage_rag.models import MODELS
from voyage_rag.usage import Usage

FRAMEWORKS = ("LangChain", "LlamaIndex")
"""In the order of results."""

CHARACTERS_PER_TOKEN = 4
"""For the forecast only: docstrings contain more punctuation than prose, which has about five."""

PIXELS_PER_TOKEN = 560
"""Images are billed by pixels; their tokens are nevertheless part of the total."""


@dataclass(frozen=True, slots=True)
class UsageItem:
    """What was used for one purpose.

    Attributes:
        purpose: `passages`, `images`, `questions` or `reranking`.
        requests: 0 in a forecast.
        image_pixels: Pixels of images, whose tokens are among `tokens`.
    """

    purpose: str
    model: str
    tokens: int
    requests: int = 0
    image_pixels: int = 0

    @classmethod
    def of(cls, purpose: str, model: str, usage: Usage, since: Usage | None = None) -> UsageItem:
        """Return the usage of a client, without that of an earlier moment."""
        return cls(
            purpose,
            model,
            usage.total_tokens - (since.total_tokens if since else 0),
            usage.requests - (since.requests if since else 0),
            usage.image_pixels - (since.image_pixels if since else 0),
        )

    @property
    def dollars(self) -> float | None:
        """The list price, None for a model whose price is unknown."""
        model = MODELS.get(self.model)
        text_tokens = self.tokens - self.image_pixels // PIXELS_PER_TOKEN
        return None if model is None else model.cost(text_tokens, self.image_pixels)


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Usage for every purpose, and its sums."""

    items: tuple[UsageItem, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all items."""
        return sum(item.tokens for item in self.items)

    @property
    def requests(self) -> int:
        """Requests of all items."""
        return sum(item.requests for item in self.items)

    @property
    def image_pixels(self) -> int:
        """Pixels of all items."""
        return sum(item.image_pixels for item in self.items)

    @property
    def dollars(self) -> float | None:
        """The list price of all items, None if one is unknown."""
        known = [item.dollars for item in self.items if item.dollars is not None]
        return sum(known) if len(known) == len(self.items) else None


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What a run will do.

    Attributes:
        emulated: Whether the emulator responds, instead of the service.
        service: Address and models; `base_url` is always set.
        corpus: What is searched, in words.
        passages: The passages, or what represents the images.
        questions: The questions.
        forecast: Expected usage.
        of_images: Whether the passages represent images; then nothing is reranked.
    """

    emulated: bool
    service: DemoService
    corpus: str
    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]
    forecast: UsageSummary
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
        """Return whether the framework's first hit belongs to a right module."""
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
        plan: What the run was to do.
        questions: The questions and their results.
        usage: Actual usage.
        seconds: Duration of each stage by its name, in order; "total" is the last.
    """

    plan: DemoPlan
    questions: tuple[QuestionResults, ...]
    usage: UsageSummary
    seconds: dict[str, float]

    @property
    def judged(self) -> tuple[QuestionResults, ...]:
        """The built-in questions, whose right modules are known."""
        return tuple(results for results in self.questions if results.question.modules)

    def right(self, framework: int) -> int:
        """Return for how many built-in questions the framework's first hit is right."""
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
            "usage": [asdict(item) | {"dollars": item.dollars} for item in self.usage.items],
            "total_tokens": self.usage.tokens,
            "dollars": self.usage.dollars,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }
