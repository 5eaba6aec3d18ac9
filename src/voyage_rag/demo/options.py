"""Options of the demo, and its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "voyage-4-lite"
RERANK_MODEL = "rerank-3-lite"
IMAGE_MODEL = "voyage-multimodal-3.5"

EMULATOR_KEY = "pa-the-emulator-takes-any-key"

CANDIDATES = 30
"""Passages that are reranked for each question."""

SHOWN = 3
"""Results that are shown for each question."""


class DemoError(Exception):
    """The demo cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the command line.

    Attributes:
        questions: The user's own questions; empty for the built-in ones.
        files: The user's own text files; empty for the standard library.
        model: The embedding model.
        rerank_model: The reranker.
        limit: The most passages or images to embed; None for all.
        as_json: Write one JSON object instead of a table.
        images: A folder of images to search instead of text.
    """

    questions: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    model: str = MODEL
    rerank_model: str = RERANK_MODEL
    limit: int | None = None
    as_json: bool = False
    images: Path | None = None
