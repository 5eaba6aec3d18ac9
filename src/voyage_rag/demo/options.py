"""Options of the demo, and its error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from voyage_rag.models import MODELS, kind_of

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "voyage-4-lite"
RERANK_MODEL = "rerank-3-lite"
IMAGE_MODEL = "voyage-multimodal-3.5"

IMAGE_EXAMPLE = 'voyage-rag demo "a red circle" --images pictures/'

CANDIDATES = 30
"""Number of passages that are reranked for each question."""

DIMENSION: Literal[256] = 256
"""Length of the vectors, if the model supports it. Short ones are compared fast in Python."""

SHOWN = 3
"""Number of results that are shown for each question."""


class DemoError(Exception):
    """The demo cannot run. The message contains the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the command line.

    Attributes:
        questions: The user's own questions; empty for the built-in ones.
        files: The user's own text files; empty for the standard library.
        limit: Maximum number of passages or images to embed; None for all.
        as_json: Write one JSON object instead of a table.
        images: A folder of images to search instead of text.
        skip_unreadable: Report files in folders that cannot be read, and skip them.
    """

    questions: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    model: str = MODEL
    rerank_model: str = RERANK_MODEL
    limit: int | None = None
    as_json: bool = False
    images: Path | None = None
    skip_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class DemoService:
    """Address, key and models.

    Attributes:
        api_key: The key; None for the one of the environment.
    """

    model: str
    rerank_model: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)

    @property
    def dimension(self) -> Literal[256] | None:
        """Length of the vectors, None for the model's default."""
        known = MODELS.get(self.model)
        return DIMENSION if known is not None and DIMENSION in known.dimensions else None


def check_options(options: DemoOptions) -> None:
    """Raise a `DemoError` for options or questions that cannot be used."""
    if options.images:
        _check_image_options(options)
    if not options.questions and options.files:
        raise DemoError(
            "add a question about your files: the built-in ones are about Python's standard library"
        )
    if not all(text.strip() for text in options.questions):
        raise DemoError("a question is empty: write it in quotes")


def _check_image_options(options: DemoOptions) -> None:
    if options.files:
        raise DemoError("pass either --files or --images: text and images are searched separately")
    if not options.questions:
        raise DemoError(f"add a description of an image to search for, e.g. {IMAGE_EXAMPLE}")
    if options.rerank_model != RERANK_MODEL:
        raise DemoError("remove --rerank-model: rerankers do not accept images")
    if kind_of(options.model) != "multimodal":
        raise DemoError(f"{options.model} does not embed images: use --model {IMAGE_MODEL}")
