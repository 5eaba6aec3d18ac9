"""Images and videos read from wherever they are; re-encoded only where they have to be.

Pillow, the extra `images`, is needed for nothing else: to open formats the service does not take,
to encode images that are Pillow's own, and to make large ones smaller.
"""

from __future__ import annotations

import binascii
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from voyage_rag.core.media import (
    ACCEPTED_FORMATS,
    Media,
    MediaKind,
    MediaReader,
    format_of,
    needs_downscale,
    pixels_of,
    video_size,
)
from voyage_rag.errors import InvalidInputError
from voyage_rag.locks import Lock

if TYPE_CHECKING:
    from PIL import Image as Pillow

HEAD = 262_144
"""Bytes in which the size of almost every image stands; EXIF data and previews come before it."""

QUALITY = 90
PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}

_pillows_own = Lock()
"""Pillow's images read their file when first used, so one thread at a time uses them."""


def inspect(source: object, kind: MediaKind | None) -> Media:
    """Say what a source is.

    Args:
        source: A path (also `file://`), bytes, a binary file, a data URL, or an image of Pillow's.
        kind: What it has to be, if the caller knows.

    Raises:
        OSError: It cannot be read.
        InvalidInputError: It is neither an image nor a video, or not of the kind.
    """
    if _is_pillows(source):
        return _look_at_pillows(source, kind)
    held = _held(source)
    with _opened(held) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEAD)
        format_ = format_of(head)
        if format_.startswith("video") and kind != "image":
            film = video_size(head + file.read())
            pixels, frames = film or (None, None)
            return Media("video", format_, held, size, pixels, frames)
        if kind == "video" or format_.startswith("video"):
            raise InvalidInputError(
                "is no MP4 video, and no other is taken: convert it"
                if kind == "video"
                else "is a video where an image is due"
            )
        if not format_:
            return _look_with_pillow(held, file, head)
        pixels = pixels_of(head) or pixels_of(head + file.read())
    if pixels is None:
        raise InvalidInputError(f"the image ({format_}) is damaged or cut short")
    return Media("image", format_, held, size, pixels)


def load(media: Media, max_pixels: int | None) -> tuple[str, bytes]:
    """The MIME type and the bytes to send.

    Args:
        media: What `look` said.
        max_pixels: To which a larger image is reduced; None to leave it.

    Raises:
        OSError: It cannot be read any more.
        InvalidInputError: It has to be encoded anew, and cannot be.
    """
    reduced = needs_downscale(media, max_pixels)
    if _is_pillows(media.source):
        with _pillows_own:
            if not reduced and (data := _untouched(media.source)) is not None:
                return media.format, data
            own: Any = media.source
            return _encoded(own, max_pixels if reduced else None)
    with _opened(media.source) as file:
        if media.format in ACCEPTED_FORMATS and not reduced:
            return media.format, file.read()
        pillow = _pillow("making images smaller" if reduced else "this format")
        with _read_by(pillow, file) as image:
            return _encoded(image, max_pixels if reduced else None)


READER = MediaReader(inspect, load)


# ── where bytes are ───────────────────────────────────────────────────────────────────────────────


def _held(source: object) -> object:
    """The source in a form that can be opened again and again: bytes, a path or a data URL."""
    match source:
        case bytes() | str() if isinstance(source, bytes) or source.startswith("data:"):
            return source
        case bytearray() | memoryview():
            return bytes(source)
        case BytesIO():
            return source.getvalue()
        case str() if source.startswith("file:"):
            return Path(url2pathname(urlsplit(source).path))
        case str() | os.PathLike():
            return Path(source)
    return _read_out(source)


def _read_out(source: object) -> bytes:
    """What a binary file holds, or an object such as the `Video` of Voyage's own client."""
    read = getattr(source, "read", None) or getattr(source, "to_bytes", None)
    data = read() if callable(read) and not isinstance(source, (int, type)) else None
    if not isinstance(data, bytes):
        raise InvalidInputError(
            "must be a text, or an image or video as a path, bytes, a binary file, a URL or an "
            f"image of Pillow's, not {type(source).__name__}"
        )
    return data


@contextmanager
def _opened(held: object) -> Iterator[Any]:
    if isinstance(held, Path):
        with held.open("rb") as file:
            yield file
    elif isinstance(held, str):
        yield BytesIO(_from_data_url(held))
    else:
        yield BytesIO(held)  # type: ignore[arg-type] # bytes, as `_held` made them


def _from_data_url(url: str) -> bytes:
    _, _, encoded = url.partition(";base64,")
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"is no data URL with sound base64: {error}") from None


# ── Pillow ────────────────────────────────────────────────────────────────────────────────────────


def _is_pillows(source: object) -> bool:
    module = sys.modules.get("PIL.Image")  # who has an image of Pillow's has imported it
    return module is not None and isinstance(source, module.Image)


def _pillow(for_what: str) -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - an extra
    except ImportError:
        raise InvalidInputError(
            f"{for_what} needs Pillow: pip install 'voyage-rag[images]', or convert to PNG, JPEG, "
            "WEBP or GIF"
        ) from None
    return Image


@contextmanager
def _read_by(pillow: Any, file: Any) -> Iterator[Pillow.Image]:
    file.seek(0)
    try:
        image = pillow.open(file)
    except OSError:
        raise InvalidInputError(
            "is no image that can be read: PNG, JPEG, WEBP and GIF are sent as they are, other "
            "formats if Pillow knows them"
        ) from None
    with image:
        yield image


def _look_with_pillow(held: object, file: Any, head: bytes) -> Media:
    if not head:
        raise InvalidInputError("is empty")
    with _read_by(_pillow("an image that is not PNG, JPEG, WEBP or GIF"), file) as image:
        return Media("image", "", held, None, image.width * image.height)


def _look_at_pillows(image: Any, kind: MediaKind | None) -> Media:
    if kind == "video":
        raise InvalidInputError("is an image where a video is due")
    with _pillows_own:
        data = _untouched(image)
    format_ = format_of(data) if data else ""
    pixels = image.width * image.height
    return Media("image", format_, image, len(data) if data else None, pixels)


def _untouched(image: Any) -> bytes | None:
    """The file of an image that was opened and not used yet, so that it is still what it was."""
    file = getattr(image, "fp", None)
    if file is None or _is_decoded(image):
        return None
    try:
        at = file.tell()
        file.seek(0)
        data: bytes = file.read()
        file.seek(at)
    except (OSError, ValueError):
        return None
    same = pixels_of(data) == image.width * image.height
    return data if same and format_of(data) in ACCEPTED_FORMATS else None


def _is_decoded(image: Any) -> bool:
    """Whether Pillow has read the pixels, which it does when they are first used."""
    try:
        return image.im is not None
    except AssertionError:  # since its version 11
        return False


def _encoded(image: Pillow.Image, max_pixels: int | None) -> tuple[str, bytes]:
    """The image upright, and no larger than asked: as JPEG if it was one, else as PNG."""
    from PIL import ImageOps  # noqa: PLC0415 - here Pillow is there

    was_jpeg = image.format == "JPEG"
    if max_pixels is not None:
        image.draft("RGB", _reduced(image, max_pixels))
    image = ImageOps.exif_transpose(image)
    image = image.convert(_mode_of(image))
    if max_pixels is not None:
        image = image.resize(_reduced(image, max_pixels))
    out = BytesIO()
    if was_jpeg:
        image.convert("L" if image.mode == "L" else "RGB").save(out, "JPEG", quality=QUALITY)
        return "image/jpeg", out.getvalue()
    image.save(out, "PNG")
    return "image/png", out.getvalue()


def _reduced(image: Pillow.Image, max_pixels: int) -> tuple[int, int]:
    """The size of the image with at most so many pixels."""
    share = min(1.0, (max_pixels / (image.width * image.height)) ** 0.5)
    return max(1, int(image.width * share)), max(1, int(image.height * share))


def _mode_of(image: Pillow.Image) -> str:
    """A mode that can be resized well and that PNG has."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return image.mode if image.mode in PNG_MODES else "RGBA" if "A" in image.mode else "RGB"
