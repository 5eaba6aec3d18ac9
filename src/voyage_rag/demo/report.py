"""What a run found, as data: the screen shows it and `--json` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voyage_rag.demo.bill import Bill
    from voyage_rag.demo.corpus import Passage
    from voyage_rag.demo.questions import Question
    from voyage_rag.demo.search import Answer, Service

FRAMEWORKS = ("LangChain", "LlamaIndex")
"""In the order in which answers are kept and shown."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to happen.

    Attributes:
        emulated: Whether the emulator answers, instead of the service.
        service: Whom to ask, and for which models; `base_url` is always set.
        text: What the passages are, in words.
        passages: The passages.
        questions: The questions.
        forecast: What it will take, before anything is spent.
        of_pictures: Whether the passages stand for pictures; then nothing is reranked.
    """

    emulated: bool
    service: Service
    text: str
    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]
    forecast: Bill
    of_pictures: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what each framework answered, in the order of `FRAMEWORKS`."""

    question: Question
    answers: tuple[Answer, ...]

    def is_right(self, framework: int) -> bool:
        """Emit whether the framework's first hit belongs to a right module."""
        hits = self.answers[framework].hits
        return bool(hits) and self.question.is_answered_by(hits[0].passage.name)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run found.

    Attributes:
        plan: What was to happen.
        exchanges: The questions and answers.
        bill: What was spent, or would have been.
        seconds: How long each stage took, by its name, in order; "total" stands last.
    """

    plan: Plan
    exchanges: tuple[Exchange, ...]
    bill: Bill
    seconds: dict[str, float]

    @property
    def judged(self) -> tuple[Exchange, ...]:
        """The built-in questions, whose right modules are known."""
        return tuple(exchange for exchange in self.exchanges if exchange.question.modules)

    def right(self, framework: int) -> int:
        """For how many built-in questions the framework's first hit is right."""
        return sum(exchange.is_right(framework) for exchange in self.judged)

    def seconds_per_question(self, framework: int) -> float:
        """How long the framework took for one question, on average."""
        spent = [exchange.answers[framework].seconds for exchange in self.exchanges]
        return sum(spent) / len(spent)

    def as_json(self) -> dict[str, Any]:
        """The report in JSON's types. Holds no key."""
        plan = self.plan
        return {
            "emulated": plan.emulated,
            "base_url": plan.service.base_url,
            "model": plan.service.model,
            "rerank_model": None if plan.of_pictures else plan.service.rerank_model,
            "text": plan.text,
            "pictures" if plan.of_pictures else "passages": len(plan.passages),
            "questions": [_exchange_as_json(exchange) for exchange in self.exchanges],
            "first_hit_right": {
                name: self.right(framework) for framework, name in enumerate(FRAMEWORKS)
            }
            if self.judged
            else None,
            "built_in_questions": len(self.judged),
            "usage": [
                {
                    "what": item.what,
                    "model": item.model,
                    "tokens": item.tokens,
                    "requests": item.requests,
                    "image_pixels": item.pixels,
                    "dollars": item.dollars,
                }
                for item in self.bill.items
            ],
            "total_tokens": self.bill.tokens,
            "dollars": self.bill.dollars,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }


def _exchange_as_json(exchange: Exchange) -> dict[str, Any]:
    return {
        "question": exchange.question.text,
        "right_modules": list(exchange.question.modules),
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
                    for hit in answer.hits
                ],
                "seconds": round(answer.seconds, 4),
            }
            for name, answer in zip(FRAMEWORKS, exchange.answers, strict=True)
        },
    }
