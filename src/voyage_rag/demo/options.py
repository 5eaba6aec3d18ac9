"""What a run of the demo was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


MODEL = "voyage-4-lite"
RERANK_MODEL = "rerank-3-lite"
PICTURE_MODEL = "voyage-multimodal-3.5"

EMULATOR_KEY = "pa-the-emulator-takes-any-key"

CANDIDATES = 30
"""How many passages the vectors propose for each question."""

SHOWN = 3
"""How many of them the reranker keeps, and how many pictures are shown."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for.

    Attributes:
        questions: Questions of the user's own; empty for the built-in ones.
        files: Text of the user's own; empty for the standard library.
        images: A folder of pictures to search instead of text.
        model: The embedding model.
        rerank_model: The reranker.
        limit: Take so many passages only.
        as_json: Write one JSON object instead of showing anything.
    """

    questions: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    model: str = MODEL
    rerank_model: str = RERANK_MODEL
    limit: int | None = None
    as_json: bool = False
    images: Path | None = None
