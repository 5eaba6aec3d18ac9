"""Images that need Pillow (extra `images`): Pillow images, other formats, and scaling down.

Pillow never opens a file of a format that would start another program or decode immediately, and
reads no more than a header before the number of pixels is known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from voyage_rag.core.media import (
    ACCEPTED_FORMATS,
    HEADER_BYTES,
    MAX_BYTES,
    Media,
    MediaKind,
    format_of,
    is_heif,
    lacks_end,
    pixels_of,
)
from voyage_rag.errors import InvalidInputError
from voyage_rag.locks import lock_for

if TYPE_CHECKING:
    from PIL import Image as Pillow

MAX_PILLOW_HEADER_BYTES = 32_000_000
"""Maximum bytes that Pillow may read to find the number of pixels."""

PILLOW_FORMATS = ("AVIF", "BMP", "DIB", "HEIF", "JPEG2000", "PPM", "TIFF")
"""Formats opened with Pillow; HEIF if the application has registered it. Excluded are EPS, which
would run Ghostscript, and ICO, which decodes its content before its size is known.
"""

RUNS_A_PROGRAM = {"EPS"}
"""Formats that Pillow reads with another program."""

JPEG_QUALITY = 90
PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
WIDE_MODES = {"I", "F"}
"""Modes of 32-bit integers and floats, which Pillow converts to 8 bits by clipping."""

NEW_SUBFILE_TYPE, PREVIEW_OR_MASK = 254, 0b101
"""A tag of TIFF, and two of its bits."""

_lock = lock_for(sys.modules[__name__])
"""Pillow images read their file on first use, so only one thread at a time may use them."""


class HeaderFile:
    """A binary file of which a limited number of bytes can be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_PILLOW_HEADER_BYTES
        self.seek: Callable[..., int] = file.seek
        self.tell: Callable[[], int] = file.tell

    def read(self, size: int = -1) -> bytes:
        """Read from the file; raise an error above the limit."""
        data = self._file.read(self._left + 1 if size is None or size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("its header is too large")
        return data


def is_pillow_image(source: object) -> bool:
    """Return whether the source is a Pillow image, without importing Pillow."""
    module = sys.modules.get("PIL.Image")  # a caller with a Pillow image has imported it
    return module is not None and isinstance(source, module.Image)


def _pillow(purpose: str) -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - optional dependency
    except ImportError:
        raise InvalidInputError(
            f"{purpose} needs Pillow: pip install 'voyage-rag[images]', or convert to PNG, JPEG, "
            "WEBP or GIF"
        ) from None
    Image.init()
    return Image


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Convert all errors that Pillow raises for damaged or malicious files."""
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:  # noqa: BLE001 - plugins raise errors of any class
        name = type(error).__name__
        detail = "" if name == "UnidentifiedImageError" else f" ({name}: {error})"
        raise InvalidInputError(
            f"is not a readable image{detail}: PNG, JPEG, WEBP and GIF are sent as they are; "
            f"{', '.join(PILLOW_FORMATS)} if Pillow can read them; convert others"
        ) from None


@contextmanager
def _open(
    pillow: Any, file: BinaryIO | HeaderFile, formats: tuple[str, ...]
) -> Iterator[Pillow.Image]:
    file.seek(0)
    available = [name for name in map(str.upper, formats) if name in pillow.OPEN]
    with _pillow_errors(), pillow.open(file, formats=available) as image:
        yield image


def inspect_file(source: object, file: BinaryIO) -> Media:
    """Read the header of a file that only Pillow can read, or raise an `InvalidInputError`."""
    pillow = _pillow("an image that is not PNG, JPEG, WEBP or GIF")
    file.seek(0)
    if is_heif(file.read(HEADER_BYTES)) and "HEIF" not in pillow.OPEN:
        raise InvalidInputError(
            "is a HEIC image, which Pillow alone cannot read: pip install pillow-heif, and call "
            "pillow_heif.register_heif_opener()"
        )
    with _open(pillow, HeaderFile(file), PILLOW_FORMATS) as image:
        found = Media("image", "", source, None, image.width * image.height)
        if image.format == "TIFF" and _has_second_page(image):
            raise InvalidInputError(
                "is a TIFF file with several pages, of which only the first would be embedded: "
                "pass each page as an image, as in PIL.ImageSequence.all_frames(image)"
            )
        return found


def _has_second_page(image: Any) -> bool:
    """Return whether a TIFF has a second image that is not a preview or mask of the first."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & PREVIEW_OR_MASK


def check_complete(file: BinaryIO, head: bytes, size: int) -> None:
    """Raise an `InvalidInputError` for a file that is cut short."""

    def read_from(start: int) -> bytes:
        file.seek(start)
        return file.read()

    if size <= MAX_BYTES and lacks_end(head, size, read_from):
        raise InvalidInputError(f"the image ({format_of(head)}) is damaged or incomplete")


def inspect_image(image: Any, kind: MediaKind | None) -> Media:
    """Inspect a Pillow image without decoding it, or raise an `InvalidInputError`."""
    if kind == "video":
        raise InvalidInputError("is an image where a video is expected")
    pixels = image.width * image.height
    if not pixels:
        raise InvalidInputError("is an image without pixels")
    with _lock, _unchanged_file(image) as file:
        if file is not None:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(HEADER_BYTES)
            check_complete(file, head, size)
            return Media("image", format_of(head), image, size, pixels)
        if image.format in RUNS_A_PROGRAM and not _is_decoded(image):
            raise InvalidInputError(
                f"is an {image.format} file, which Pillow reads with another program: call load() "
                "of the image first if you trust the file"
            )
        if getattr(getattr(image, "fp", None), "closed", True):
            _require_pixels(image)
        if _is_decoded(image):
            _check_range(image)
    return Media("image", "", image, None, pixels)


def _require_pixels(image: Any) -> None:
    """Raise an error for an image that has neither pixels nor an open file to read them from."""
    try:
        image.load()
    except Exception as error:
        raise InvalidInputError(
            "is an image whose file is closed: pass its path, or call load() before its file is "
            "closed"
        ) from error


def _check_range(image: Any) -> None:
    """Raise an error if the conversion to 8 bits would make most pixels black or white."""
    if image.mode not in WIDE_MODES:
        return
    low, high = image.getextrema()
    if low < 0 or high > 255 or 0 < high <= 1:  # noqa: PLR2004 - of 8 bits
        raise InvalidInputError(
            f"has mode {image.mode} and values from {low:g} to {high:g}, whose differences 8 bits "
            "cannot represent: scale them to 0 to 255, and convert the image to mode L"
        )


def load_image(media: Media, max_pixels: int | None) -> tuple[str, bytes]:
    """Return the file of an unchanged Pillow image, or the encoded image; see `io.media.load`."""
    with _lock:
        with _unchanged_file(media.source) as file:
            if file is not None and max_pixels is not None:
                return encode_file(media, file, max_pixels)
            if file is not None:
                file.seek(0)
                return media.format, file.read()
        return _encoded(media.source, max_pixels)


def encode_file(media: Media, file: BinaryIO, max_pixels: int | None) -> tuple[str, bytes]:
    """Encode the image of a file again, with at most `max_pixels` pixels."""
    pillow = _pillow("this format" if max_pixels is None else "downscale=True")
    formats = (media.format.removeprefix("image/"),) if media.format else PILLOW_FORMATS
    with _open(pillow, file, formats) as image:
        if max_pixels is not None:
            image.draft("RGB", _reduced(image, max_pixels))  # decodes a JPEG at a smaller size
        return _encoded(image, max_pixels)


@contextmanager
def _unchanged_file(image: Any) -> Iterator[BinaryIO | None]:
    """Return the file of an image whose pixels were not read, and are therefore unchanged.

    None if there is no such file, or if the service does not accept its format.
    """
    file: BinaryIO | None = None if _is_decoded(image) else getattr(image, "fp", None)
    if file is None or image.tell():  # not the first frame of an animation
        yield None
        return
    try:
        at = file.tell()
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEADER_BYTES)
    except (OSError, ValueError):
        yield None
        return
    is_same = pixels_of(head) == image.width * image.height
    accepted = format_of(head) in ACCEPTED_FORMATS and size <= MAX_BYTES
    try:
        yield file if is_same and accepted else None
    finally:
        file.seek(at)


def _is_decoded(image: Any) -> bool:
    """Return whether Pillow has read the pixels, which it does on their first use."""
    try:
        return image.im is not None
    except (AssertionError, ValueError):  # not decoded, or closed, since Pillow 11
        return False


def _encoded(image: Any, max_pixels: int | None) -> tuple[str, bytes]:
    """Rotate the image upright, scale it down, and encode it: a JPEG as JPEG, others as PNG."""
    with _pillow_errors():
        from PIL import ImageOps  # noqa: PLC0415 - optional dependency

        was_jpeg = image.format == "JPEG"
        _check_range(image)
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):  # Pillow would clip values of some byte orders
            image = image.convert("I").convert("I;16")
        image = image.convert(_mode_of(image))
        if max_pixels is not None:
            if image.mode == "1":  # Pillow would omit pixels, and with them the lines of letters
                image = image.convert("L")
            image = image.resize(_reduced(image, max_pixels))
        out = BytesIO()
        if was_jpeg:
            jpeg = image.convert("L" if image.mode == "L" else "RGB")
            jpeg.save(out, "JPEG", quality=JPEG_QUALITY)
            return "image/jpeg", out.getvalue()
        image.save(out, "PNG")
        return "image/png", out.getvalue()


def _reduced(image: Pillow.Image, max_pixels: int) -> tuple[int, int]:
    share = min(1.0, (max_pixels / (image.width * image.height)) ** 0.5)
    return max(1, int(image.width * share)), max(1, int(image.height * share))


def _mode_of(image: Pillow.Image) -> str:
    """Return a mode that PNG supports and that can be resized without artefacts."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return image.mode if image.mode in PNG_MODES else "RGBA" if "A" in image.mode else "RGB"
