"""A folder of images to search instead of text.

The nearest vectors are the result, because rerankers accept text only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.options import DemoError, DemoService
from voyage_rag.demo.search import connect
from voyage_rag.errors import InvalidInputError
from voyage_rag.media import Image
from voyage_rag.usage import Usage

SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".webp")


def read_images(folder: Path) -> list[Passage]:
    """Return a passage for each image of a folder; its text is shown and not embedded.

    Raises:
        DemoError: It is not a folder, cannot be read, or contains no image.
    """
    if not folder.is_dir():
        reason = "is a file" if folder.exists() else "does not exist"
        raise DemoError(f"--images needs a folder of images: {folder} {reason}")
    try:
        found = [
            _as_passage(path)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] != "."
        ]
    except OSError as error:
        raise DemoError(f"cannot read {folder}: {error.strerror}") from None
    if not found:
        raise DemoError(f"no images in {folder}: expected {', '.join(SUFFIXES)} files")
    return found


def _as_passage(path: Path) -> Passage:
    kilobytes = path.stat().st_size / 1_000
    body = f"{path.suffix[1:].upper()}, {kilobytes:,.1f} kB"
    return Passage(path.name, f"{path.name}\n{body}", str(path), 0)


def forecast_images(images: Sequence[Passage], service: DemoService) -> Usage:
    """Count tokens and pixels of the images; a `DemoError` names one that exceeds the limits."""
    tokens = pixels = 0
    client = connect(service)
    for image in images:
        try:
            counted = client.count_usage([Image(Path(image.source))], service.model)
        except InvalidInputError as error:
            reason = str(error).removeprefix("inputs[0]: ").removesuffix(" [input 0]")
            reason = reason.replace("pass downscale=True, or a smaller image", "make it smaller")
            raise DemoError(f"cannot embed {image.source}: {reason}") from error
        tokens += counted["total_tokens"]
        pixels += counted["image_pixels"]
    return Usage(tokens, image_pixels=pixels).of(service.model)
